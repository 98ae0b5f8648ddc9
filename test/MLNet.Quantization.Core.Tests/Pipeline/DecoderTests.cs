using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Tests.Passes;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Networks that make images larger: transposed convolutions, interpolation, padding, slopes by channel, all on codes.</summary>
[TestClass]
public sealed class DecoderTests
{
    private static readonly int[] Dims = [1, 3, 10, 9];

    private static AttributeMap Strides(params long[] strides) => FloatGraph.Ints("strides", strides);

    /// <summary>Down, up again by two transposed convolutions with interpolation and padding between them.</summary>
    private static ModelGraph Decoder(int groups = 1)
    {
        var g = new FloatGraph(Dims);
        string h = g.Add("PRelu", g.Add("Conv", Strides(2, 2).With("pads", ImmutableArray.Create(1L, 1, 1, 1)), "x", g.Weights(8, 3, 3, 3), g.Weights(8)), g.Between(-0.2f, 0.4f, 8, 1, 1));
        string up = g.Add("Relu", g.Add("ConvTranspose", Strides(2, 2).With("group", (long)groups), h, g.Weights(8, 12 / groups, 2, 2), g.Weights(12)));
        string wide = g.Add("Resize", AttributeMap.Empty.With("mode", "linear"), up, "", g.Constant(Tensor.Create<float>([1, 1, 1.5f, 1], 4)));
        string padded = g.Add("Pad", AttributeMap.Empty.With("mode", "reflect"), wide, g.List(0, 0, 1, 1, 0, 0, 1, 1));
        string more = g.Add("PRelu", g.Add("ConvTranspose", Strides(2, 3).With("pads", ImmutableArray.Create(1L, 0, 1, 0)).With("output_padding", ImmutableArray.Create(1L, 0)), padded, g.Weights(12, 6, 3, 3)), g.Scalar(0.1f));
        return g.Build(17, g.Add("Conv", more, g.Weights(2, 6, 3, 3), g.Weights(2)));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(4)]
    public void StaysOnCodesAndSaysTheSameElsewhere(int groups)
    {
        var model = PreparedModel.Prepare(Decoder(groups));
        var quantized = ConvolutionalScoreHashTests.Static(model, 6);
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8), quantized.Report.ToString());
        Assert.AreEqual(2, quantized.Report.Layers.Count(l => l.Operator == "ConvTranspose"));
        Assert.AreEqual(
            "QuantizedConv ChannelTable QuantizedConvTranspose QuantizedResize Pad QuantizedConvTranspose CodeTable QuantizedConv Transpose", FloatGraph.Types(LowerQuantized.Apply(quantized.Graph)));
        float[] x = Image(3), expected = OnnxRuntimeOracle.Score(model.Graph, false, ("x", x, Dims))[0], found = Score(quantized.Compile(), x);
        Assert.IsGreaterThan(groups == 1 ? 28 : 25, SignalToNoise(expected, found));
        Assert.IsGreaterThan(36, SignalToNoise(OnnxRuntimeOracle.Score(quantized.Graph, false, ("x", x, Dims))[0], found), "ONNX Runtime on the exported file");
        var written = WriteQOperator.Apply(quantized.Graph);
        Assert.AreEqual(2, written.Nodes.Count(n => n.OpType == "ConvTranspose"));
        Assert.IsGreaterThan(36, SignalToNoise(OnnxRuntimeOracle.Score(written, false, ("x", x, Dims))[0], found), "ONNX Runtime on the file in QOperator form");
        Assert.IsTrue(QuantizedModel.FromGraph(quantized.Graph).Report.Layers.All(l => l.IsInt8), "read from the file");
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(4)]
    public void DynamicQuantizesEachImageByItself(int groups)
    {
        var model = PreparedModel.Prepare(Decoder(groups));
        var quantized = QuantizationRecipe.QuantizeDynamic(model);
        Assert.AreEqual(2, LowerQuantized.Apply(quantized.Graph).Nodes.Count(n => n.OpType == "DynamicQuantizedConvTranspose"));
        float[] x = Image(4);
        float[] expected = OnnxRuntimeOracle.Score(model.Graph, false, ("x", x, Dims))[0];
        Assert.IsGreaterThan(groups == 1 ? 30 : 26, SignalToNoise(expected, Score(quantized.Compile(), x)));
        Assert.IsGreaterThan(groups == 1 ? 30 : 26, SignalToNoise(expected, OnnxRuntimeOracle.Score(WriteQOperator.Apply(quantized.Graph), false, ("x", x, Dims))[0]), "the file in QOperator form");
    }

    [TestMethod]
    public void ScoreHash()
    {
        var model = PreparedModel.Prepare(Decoder());
        ConvolutionalScoreHashTests.HashOf("decoder, float", o => Program.Compile(model.Graph, o), model, 5, [1, 5]);
        ConvolutionalScoreHashTests.HashOf("decoder, static", ConvolutionalScoreHashTests.Static(model, 4).Compile, model, 5, [1, 5]);
        ConvolutionalScoreHashTests.HashOf("decoder, dynamic", QuantizationRecipe.QuantizeDynamic(model).Compile, model, 5, [1, 5]);
    }

    /// <summary>Sizes that a node asks for, by each way to ask, over one to three axes.</summary>
    [TestMethod]
    public void EveryWayToGiveTheSize()
    {
        (int[] Input, int[] Kernel, AttributeMap Attributes)[] cases =
        [
            ([1, 4, 7], [5], Strides(3).With("dilations", ImmutableArray.Create(2L))), ([1, 4, 5, 6], [3, 2], Strides(2, 1).With("auto_pad", "SAME_UPPER")),
            ([1, 4, 5, 6], [3, 4], Strides(2, 3).With("auto_pad", "SAME_LOWER")), ([1, 4, 5, 6], [2, 2], Strides(2, 2).With("output_shape", ImmutableArray.Create(9L, 13))),
            ([1, 4, 3, 2, 3], [2, 1, 3], Strides(2, 3, 1).With("pads", ImmutableArray.Create(0L, 0, 1, 1, 0, 1))), ([1, 4, 4, 4], [1, 1], Strides(3, 3)), ([1, 4, 1, 6], [1, 4], Strides(1, 4)),
        ];
        foreach (var (input, kernel, attributes) in cases)
            foreach (long group in new[] { 1L, 2 })
            {
                var g = new FloatGraph(input);
                string y = g.Add("ConvTranspose", attributes.With("group", group), "x", g.Weights([4, 3, .. kernel]), g.Weights(3 * (int)group));
                var model = PreparedModel.Prepare(g.Build(17, y));
                var quantized = ConvolutionalScoreHashTests.Static(model, 4);
                Assert.Contains("QuantizedConvTranspose", FloatGraph.Types(LowerQuantized.Apply(quantized.Graph)));
                float[] x = Image(5, input);
                float[] expected = OnnxRuntimeOracle.Score(quantized.Graph, false, ("x", x, input))[0], found = Score(quantized.Compile(), x, input);
                Assert.IsGreaterThan(80, SignalToNoise(expected, found), $"[{string.Join(',', input)}], {group} groups");
            }
    }

    [TestMethod]
    public void StridesThatFallIntoTooManyPhasesAreNamed()
    {
        var g = new FloatGraph(1, 2, 2, 2);
        var model = PreparedModel.Prepare(g.Build(17, g.Add("ConvTranspose", Strides(80, 80), "x", g.Weights(2, 1, 2, 2))));
        var layer = QuantizationRecipe.QuantizeDynamic(model).Report.Layers.Single();
        Assert.IsFalse(layer.IsInt8);
        StringAssert.Contains(layer.Reason, "6400 phases");
    }

    private static float[] Image(int seed, int[]? dims = null)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, (dims ?? Dims).Aggregate(1, (p, d) => p * d)).Select(_ => (random.NextSingle() * 4) - 2)];
    }

    private static float[] Score(Program program, float[] x, int[]? dims = null)
    {
        using var run = program.Rent(dims ?? Dims);
        x.CopyTo(run.Input<float>(0));
        run.Execute();
        return run.Output<float>(0).ToArray();
    }

    private static double SignalToNoise(float[] expected, float[] found)
    {
        Assert.HasCount(expected.Length, found);
        return 10 * Math.Log10(expected.Sum(v => (double)v * v) / expected.Zip(found, (a, b) => ((double)a - b) * (a - b)).Sum());
    }
}
