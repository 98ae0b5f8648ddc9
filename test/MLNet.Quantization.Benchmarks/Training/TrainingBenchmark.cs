using System.Globalization;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Tests.Training;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Benchmarks;

/// <summary>
/// `training`: an epoch of training beside the matrix products in it, in one process, turn by turn: in float, and with the rounding in the
/// loop, while ranges and batch statistics move and after they are frozen.
/// </summary>
internal static class TrainingBenchmark
{
    private const int BatchSize = 128, Batches = 31;

    public static int Run(string[] args)
    {
        bool quick = false;
        int[] threads = [1, 2];
        string? json = null;
        for (int i = 0; i < args.Length; i++)
            switch (args[i])
            {
                case "--quick": quick = true; break;
                case "--threads" when i + 1 < args.Length: threads = [.. args[++i].Split(',').Select(t => int.Parse(t, CultureInfo.InvariantCulture))]; break;
                case "--json" when i + 1 < args.Length: json = args[++i]; break;
                default:
                    Console.Error.WriteLine($"Unknown argument '{args[i]}', or it wants a value.");
                    return 2;
            }
        var rows = new List<TrainingRow>();
        Console.WriteLine("| network | threads | products, ms | float, ms | INT8 moving | INT8 frozen | float / products | moving / float | frozen / float |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        foreach (string name in new[] { "perceptron", "convolutional" })
            foreach (int count in threads)
            {
                rows.Add(Measure(name, count, quick ? 5 : 15));
                Console.WriteLine(rows[^1].Table);
            }
        if (json is not null) File.WriteAllText(json, $"[\n  {string.Join(",\n  ", rows.Select(r => r.Json))}\n]\n");
        return 0;
    }

    private static TrainingRow Measure(string name, int threads, int rounds)
    {
        int[] row = name == "perceptron" ? [784] : [1, 28, 28];
        var graph = PreparedModel.Prepare(name == "perceptron" ? TrainedNetworks.Perceptron(1) : TrainedNetworks.Convolutional(1), new() { FoldNormalization = false }).Graph;
        string output = Network.OutputFor(graph, TrainingLoss.CrossEntropy);
        var data = Data(row);
        var real = new FloatNetwork(graph, output, threads);
        Network Aware() => new QuantizationAwareNetwork(graph, new() { MovingShare = 0.5 }, output, threads);
        Network moving = Aware(), frozen = Aware();
        Train(frozen, data, 2);
        Train(real, data, 1);
        var tape = real.TapeOf([BatchSize, .. row]);
        var products = new LayerProducts(tape.Nodes, threads);
        Contender[] contenders =
        [
            new("products", () =>
            {
                for (int i = 0; i < Batches; i++) products.Run();
            }),
            new("float", () => Train(real, data, 1)), new("moving", () => Train(moving, data, 1)), new("frozen", () => Train(frozen, data, 1)),
        ];
        Timing.Interleave(contenders, rounds, seconds: 0.05);
        var (alone, inFloat, ranging, fixedRanges) = (contenders[0], contenders[1], contenders[2], contenders[3]);
        return new(
            name, threads, 1e3 * alone.Median, 1e3 * inFloat.Median, 1e3 * ranging.Median, 1e3 * fixedRanges.Median,
            Timing.Ratio(inFloat, alone), Timing.Ratio(ranging, inFloat), Timing.Ratio(fixedRanges, inFloat));
    }

    private static void Train(Network network, ArrayData data, int epochs) => new Trainer(network, new CrossEntropy(), data, null, new() { Epochs = epochs }).Run();

    /// <summary>Noise with as many rows as fill the batches, and ten classes.</summary>
    private static ArrayData Data(int[] row)
    {
        var random = new SplitMix64(1);
        float[] x = [.. Enumerable.Range(0, Batches * BatchSize * row.Aggregate(1, (a, b) => a * b)).Select(_ => (float)random.NextUniform())];
        return new([x], [row], [.. Enumerable.Range(0, Batches * BatchSize).Select(_ => (float)(random.Next() % 10))], BatchSize, 1);
    }
}

/// <summary>One line of the table.</summary>
internal sealed record TrainingRow(string Network, int Threads, double Products, double Float, double Moving, double Frozen, double RatioFloat, double RatioMoving, double RatioFrozen)
{
    public string Table => FormattableString.Invariant(
        $"| {Network} | {Threads} | {Products:F1} | {Float:F1} | {Moving:F1} | {Frozen:F1} | {RatioFloat:F2} | {RatioMoving:F2} | {RatioFrozen:F2} |");

    public string Json => FormattableString.Invariant(
        $"{{\"network\": \"{Network}\", \"threads\": {Threads}, \"products_ms\": {Products:F2}, \"float_ms\": {Float:F2}, \"int8_moving_ms\": {Moving:F2}, \"int8_frozen_ms\": {Frozen:F2}, \"ratio_float\": {RatioFloat:F3}, \"ratio_moving\": {RatioMoving:F3}, \"ratio_frozen\": {RatioFrozen:F3}}}");
}
