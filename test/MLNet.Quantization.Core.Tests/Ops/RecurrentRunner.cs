using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Quantizes and runs a <see cref="RecurrentNode"/>.</summary>
internal static class RecurrentRunner
{
    public static Program Int8(RecurrentNode node, out QuantizationReport report, bool symbolic = false)
    {
        var graph = node.Graph();
        if (symbolic)
        {
            var (t, b) = (new Dimension("T"), new Dimension("B"));
            graph = graph with { Inputs = [.. graph.Inputs.Select(i => i with { Shape = i.Name == "x" ? new(t, b, node.Inputs) : new(b) })] };
        }
        var model = QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(graph, new() { SymbolicBatch = false }));
        report = model.Report;
        return model.Compile();
    }

    public static float[][] Run(Program program, RecurrentNode node, int threads = 1) => Run(program, node.Fed(), threads);

    public static float[][] Run(Program program, List<Tensor> fed, int threads)
    {
        using var run = program.Rent([.. fed.Select(t => t.Dims)]);
        for (int i = 0; i < fed.Count; i++) fed[i].Bytes.Span.CopyTo(run.Input<byte>(i));
        run.Execute(maxThreads: threads);
        return [.. program.Outputs.Select((_, o) => run.Output<float>(o).ToArray())];
    }

    public static void SameBits(float[] expected, float[] found, string what)
    {
        Assert.AreEqual(expected.Length, found.Length, what);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(BitConverter.SingleToInt32Bits(expected[i]), BitConverter.SingleToInt32Bits(found[i]), $"{what}, element {i}: {expected[i]} and {found[i]}");
    }
}
