using System.Diagnostics;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Benchmarks;

/// <summary>
/// `models`: whole models in INT8 beside ONNX Runtime in float and on the file that we write, in one process, turn by turn. Of the
/// two forms of that file it gets the one that it runs faster, which a short trial finds out for each batch and number of threads.
/// </summary>
internal static class ModelBenchmark
{
    /// <summary>How long the peer's workers keep spinning after a run, and more.</summary>
    private const int PeerSpinMilliseconds = 80;

    /// <summary>Turns of each form of the peer's file in the trial, and how long one is.</summary>
    private const int TrialRounds = 5;

    private const double TrialSeconds = 0.03;

    public static int Run(string[] args)
    {
        ModelOptions options;
        try
        {
            options = ModelOptions.Parse(args);
        }
        catch (FormatException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
        if (options.Footprint is not null) return Footprint(options);
        var rows = new List<ModelRow>();
        if (!options.Profile)
        {
            Console.WriteLine("| model | batch | threads | ours, µs | ORT FP32 | ORT INT8 | form | x FP32 | x INT8 | peak MiB |");
            Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
        }
        foreach (string name in options.Names)
        {
            if (!GeneratedModels.Names.Contains(name) && ModelCase.PathOf(name, options.Folder) is var path && !File.Exists(path))
            {
                Console.Error.WriteLine($"There is no '{path}'. --folder says where the models are; generated are {string.Join(", ", GeneratedModels.Names)}.");
                return 1;
            }
            ModelCase model;
            try
            {
                model = new(name, options.Folder, options.Products);
            }
            catch (QuantizationException e)
            {
                Console.WriteLine($"{name}: {e.Message}");
                continue;
            }
            foreach (int batch in options.Batches)
                foreach (int threads in options.Threads)
                {
                    if (options.Profile) Profile(name, model, batch, threads);
                    else rows.Add(Compare(name, model, batch, threads, options));
                    if (!options.Profile) Console.WriteLine(rows[^1].Table);
                }
        }
        foreach (var group in rows.GroupBy(r => r.Threads))
            Console.WriteLine(FormattableString.Invariant($"geometric mean, {group.Key} thread(s): x FP32 {Mean(group.Select(r => r.RatioFloat)):F2}, x INT8 {Mean(group.Select(r => r.RatioInt8)):F2}"));
        if (options.Json is { } file) File.WriteAllText(file, $"[\n  {string.Join(",\n  ", rows.Select(r => r.Json))}\n]\n");
        return 0;
    }

    private static double Mean(IEnumerable<double> ratios) => Math.Exp(ratios.Average(Math.Log));

    private static ModelRow Compare(string name, ModelCase model, int batch, int threads, ModelOptions options)
    {
        using var run = model.Rent(batch);
        using var real = new ModelPeer(model.Model.Graph, threads, run, model.Program.OutputType);
        using ModelPeer qdq = Quantized(OnnxQuantizationFormat.Qdq), onCodes = Quantized(OnnxQuantizationFormat.QOperator);
        var form = Faster(qdq, onCodes, threads);
        var ours = new Contender("ours", () => run.Execute(null, threads));
        Contender peerFloat = new("ORT FP32", real.Run), peerCodes = new("ORT INT8", (form == OnnxQuantizationFormat.Qdq ? qdq : onCodes).Run);
        // Until the runtime has replaced what it compiled in haste.
        for (var warm = Stopwatch.StartNew(); warm.ElapsedMilliseconds < 700;) run.Execute(null, threads);
        Timing.Interleave([ours, peerFloat, peerCodes], options.Rounds, options.Seconds, threads > 1 ? PeerSpinMilliseconds : 0);
        return new(
            name, model.IsDynamic ? "dynamic" : "static", batch, threads, ours.Median * 1e6, peerFloat.Median * 1e6, peerCodes.Median * 1e6, form, Timing.Ratio(peerFloat, ours), Timing.Ratio(peerCodes, ours),
            PeakOfChild(name, batch, options));

        ModelPeer Quantized(OnnxQuantizationFormat form) => new(model.Quantized.As(form), threads, run, model.Program.OutputType);
    }

    private static OnnxQuantizationFormat Faster(ModelPeer qdq, ModelPeer onCodes, int threads)
    {
        Contender first = new("QDQ", qdq.Run), second = new("QOperator", onCodes.Run);
        Timing.Interleave([first, second], TrialRounds, TrialSeconds, threads > 1 ? PeerSpinMilliseconds : 0);
        return first.Median <= second.Median ? OnnxQuantizationFormat.Qdq : OnnxQuantizationFormat.QOperator;
    }

    /// <summary>The peak memory of a process that does nothing but load, quantize and score the model.</summary>
    private static double PeakOfChild(string name, int batch, ModelOptions options)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, UseShellExecute = false };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet") start.ArgumentList.Add(typeof(ModelBenchmark).Assembly.Location);
        string[] products = options.Products ? ["--products"] : [];
        foreach (string argument in (string[])["models", "--footprint", name, "--batch", $"{batch}", "--folder", options.Folder, .. products]) start.ArgumentList.Add(argument);
        using var child = Process.Start(start)!;
        string text = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        return double.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out double mebibytes) ? mebibytes : double.NaN;
    }

    private static int Footprint(ModelOptions options)
    {
        var model = new ModelCase(options.Footprint!, options.Folder, options.Products);
        using var run = model.Rent(options.Batches[0]);
        for (int i = 0; i < 3; i++) run.Execute();
        Console.Write(FormattableString.Invariant($"{Process.GetCurrentProcess().PeakWorkingSet64 / 1048576.0:F1}"));
        return 0;
    }

    private static void Profile(string name, ModelCase model, int batch, int threads)
    {
        var lowered = LowerQuantized.Apply(model.Quantized.Graph);
        string[] watched = [.. lowered.Nodes.Select(n => n.Outputs[0])];
        var program = Execution.Program.Compile(lowered, new() { Watched = watched });
        using var source = model.Rent(batch);
        using var run = program.Rent([.. Enumerable.Range(0, program.Inputs.Length).Select(source.InputShape)]);
        for (int i = 0; i < program.Inputs.Length; i++) source.Input<byte>(i).CopyTo(run.Input<byte>(i));
        var clock = new StepClock(watched.Length);
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed.TotalSeconds < 3)
        {
            clock.Start();
            run.Execute(clock, threads);
        }
        Console.WriteLine(FormattableString.Invariant($"{name}, batch {batch}, {threads} thread(s), steps in µs (they keep all values, so the sum is more than a run takes): {clock.Total:F0}"));
        foreach (int i in Enumerable.Range(0, watched.Length).Where(i => clock.Median(i) > 0.01 * clock.Total).OrderByDescending(clock.Median))
            Console.WriteLine(FormattableString.Invariant($"{clock.Median(i),9:F1}  {lowered.Nodes[i].OpType,-20} {clock.Shapes[i],-20} {lowered.Nodes[i].DisplayName}"));
    }

    /// <summary>Takes the time between one value and the next.</summary>
    private sealed class StepClock(int steps) : IValueTap
    {
        private readonly List<double>[] _times = [.. Enumerable.Range(0, steps).Select(_ => new List<double>())];
        private long _last;

        public string[] Shapes { get; } = new string[steps];

        public double Total => Enumerable.Range(0, steps).Sum(Median);

        public void Start() => _last = Stopwatch.GetTimestamp();

        public void Observe(int watched, in TensorView value)
        {
            _times[watched].Add(Stopwatch.GetElapsedTime(_last).TotalMicroseconds);
            Shapes[watched] ??= string.Join('x', value.Dims);
            _last = Stopwatch.GetTimestamp();
        }

        public double Median(int step) => _times[step].Count == 0 ? 0 : Timing.Median(_times[step]);
    }
}

/// <summary>One line of the table.</summary>
internal sealed record ModelRow(
    string Model, string Mode, int Batch, int Threads, double Ours, double PeerFloat, double PeerInt8, OnnxQuantizationFormat PeerForm, double RatioFloat, double RatioInt8, double Peak)
{
    public string Table => FormattableString.Invariant(
        $"| {Model} | {Batch} | {Threads} | {Ours:F1} | {PeerFloat:F1} | {PeerInt8:F1} | {PeerForm} | {RatioFloat:F2} | {RatioInt8:F2} | {Peak:F0} |");

    public string Json => FormattableString.Invariant(
        $"{{\"model\": \"{Model}\", \"mode\": \"{Mode}\", \"batch\": {Batch}, \"threads\": {Threads}, \"ours_us\": {Ours:F2}, \"ort_fp32_us\": {PeerFloat:F2}, \"ort_int8_us\": {PeerInt8:F2}, \"ort_int8_form\": \"{PeerForm}\", \"ratio_fp32\": {RatioFloat:F3}, \"ratio_int8\": {RatioInt8:F3}, \"max_rss_mb\": {Peak:F1}}}");
}
