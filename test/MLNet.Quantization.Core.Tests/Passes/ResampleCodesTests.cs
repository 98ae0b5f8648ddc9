using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Tests.Ops;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>Pad and Resize between convolutions work on codes, channels last, and give the bits of the graph as it stands.</summary>
[TestClass]
public sealed class ResampleCodesTests
{
    private const float Scale = 0.021f;

    private static AttributeMap Mode(string mode) => AttributeMap.Empty.With("mode", mode);

    /// <summary>What stands between two convolutions.</summary>
    private static readonly (string Name, int Opset, Func<QdqGraph, string, string> Make)[] Between =
    [
        ("zeros", 13, (g, x) => g.Add("Pad", x, g.List(0, 0, 1, 2, 0, 0, 3, -1))),
        ("a value", 13, (g, x) => g.Add("Pad", x, g.List(0, 1, 1, 2, 0, 1, 0, 0), g.Float(1.37f))),
        ("some axes", 18, (g, x) => g.Add("Pad", Mode("edge"), x, g.List(1, 2, 0, 1), "", g.List(-1, 2))),
        ("reflect", 13, (g, x) => g.Add("Pad", Mode("reflect"), x, g.List(0, 0, 2, 1, 0, 0, 1, 3))),
        ("wrap", 19, (g, x) => g.Add("Pad", Mode("wrap"), x, g.List(0, 0, 2, 1, 0, 0, 1, 3))),
        ("nearest", 13, (g, x) => g.Add("Resize", x, "", g.Float(1, 1, 2, 1.5f))),
        ("nearest by sizes", 13, (g, x) => g.Add("Resize", Mode("nearest").With("coordinate_transformation_mode", "asymmetric").With("nearest_mode", "floor"), x, "", "", g.List(2, 4, 13, 5))),
        ("nearest by axes", 18, (g, x) => g.Add("Resize", Mode("nearest").With("axes", ImmutableArray.Create(3L, -2)), x, "", "", g.List(9, 4))),
        ("sizes that are computed", 13, (g, x) => g.Add("Resize", x, "", "", g.Add("Concat", AttributeMap.Empty.With("axis", 0L), g.Add("Slice", g.Add("Shape", x), g.List(0), g.List(2), g.List(0)), g.List(11, 6)))),
        ("linear", 13, (g, x) => g.Add("Resize", Mode("linear"), x, "", g.Float(1, 1, 2, 1.5f))),
        ("linear, smaller", 13, (g, x) => g.Add("Resize", Mode("linear").With("coordinate_transformation_mode", "align_corners"), x, "", "", g.List(2, 4, 3, 5))),
        ("linear by axes", 18, (g, x) => g.Add("Resize", Mode("linear").With("axes", ImmutableArray.Create(3L)), x, "", g.Constant("half", Tensor.Create<float>([2.5f], 1)).Add("Identity", "half"))),
        ("cubic", 13, (g, x) => g.Add("Resize", Mode("cubic"), x, "", g.Float(1, 1, 2, 2))),
    ];

    [TestMethod]
    public void BetweenConvolutionsNothingIsDequantized()
    {
        foreach (var (name, opset, make) in Between)
            foreach (bool signed in new[] { false, true })
            {
                var g = new QdqGraph(2, 3, 7, 6);
                string h = g.Around(g.Add("Conv", g.Around("x", Scale, 120), Weights(g, 4, 3)), 2 * Scale, signed ? -9 : 119, signed);
                string made = g.Around(make(g, h), 2 * Scale, signed ? -9 : 119, signed);
                string last = g.Around(g.Add("Conv", made, Weights(g, 5, name == "a value" ? 6 : 4)), 5 * Scale, 100);
                var graph = g.Build(last) with { OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", opset) };
                float[] x = g.RandomInput();
                var lowered = LowerQuantized.Apply(graph);
                string types = string.Join(' ', lowered.Nodes.Where(n => n.OpType is not ("Shape" or "Slice" or "Gather")).Select(n => n.OpType));
                // The operator Shape, where there is one, reads the real tensor.
                int ends = name.StartsWith("sizes", StringComparison.Ordinal) ? 2 : 1;
                Assert.AreEqual(ends, lowered.Nodes.Count(n => n.OpType == "DequantizeLinear"), $"{name}: {types}");
                Assert.AreEqual(ends, lowered.Nodes.Count(n => n.OpType == "Transpose"), $"{name}: {types}");
                AssertClose(QdqGraph.Score(graph, x), QdqGraph.Score(lowered, x), 5 * Scale, 0.02, name);
                // Weights of a half make many ties, which other sums break otherwise.
                if (opset < 19) AssertClose(QdqGraph.ScoreElsewhere(graph, x), QdqGraph.Score(lowered, x), 5 * Scale, 0.1, name);
            }
    }

    /// <summary>The engine's own operator against the three that it stands for, with other parameters behind it and bounds.</summary>
    [TestMethod]
    public void InterpolatedCodesAreThoseOfTheFloatOperator()
    {
        foreach (bool signed in new[] { false, true })
            foreach (var (dims, sizes) in new (int[], long[])[]
            {
                ([2, 5, 7, 3], [2, 9, 4, 3]), ([1, 1, 1, 1], [1, 5, 5, 1]), ([2, 6, 8, 16], [2, 12, 16, 16]), ([1, 3, 40], [1, 3, 61]), ([6, 33], [11, 33]), ([1, 3, 4, 5, 7], [1, 5, 3, 9, 7]), ([0, 3, 4], [0, 6, 8]), ([3, 4], [3, 4]),
                ([1, 50, 60, 24], [1, 100, 120, 24]),
            })
                foreach (string mode in new[] { "linear", "cubic" })
                    foreach (bool antialias in new[] { false, true })
                    {
                        var attributes = Mode(mode).With("antialias", antialias ? 1L : 0L);
                        var codes = new byte[OneNode.Count(dims)];
                        new Random(dims[^1]).NextBytes(codes);
                        Tensor x = new(signed ? ElementType.Int8 : ElementType.UInt8, dims, codes), list = Tensor.Create(sizes, sizes.Length), none = Tensor.Create<float>([], 0);
                        int zero = signed ? -20 : 97, outZero = signed ? 5 : 140;
                        var real = OneNode.Run(Node.Create("d", "DequantizeLinear", ["x", "s", "z"], ["y"]), [x, Tensor.Scalar(0.03f), Zero(zero, signed)]);
                        var resized = OneNode.Run(Node.Create("r", "Resize", ["x", "roi", "scales", "sizes"], ["y"]) with { Attributes = attributes }, [real, none, none, list], [1, 2, 3]);
                        byte[] expected = OneNode.Run(Node.Create("q", "QuantizeLinear", ["x", "s", "z"], ["y"]), [resized, Tensor.Scalar(0.025f), Zero(outZero, signed)]).Bytes.ToArray();
                        int low = outZero - 30, high = outZero + 90;
                        expected = Array.ConvertAll(expected, c => signed ? (byte)Math.Clamp((sbyte)c, low, high) : (byte)Math.Clamp((int)c, low, high));
                        var node = new Node("n", "QuantizedResize", ["x", "roi", "scales", "sizes"], ["y"])
                        {
                            Domain = OperatorSet.EngineDomain,
                            Attributes = attributes.With("input_scale", 0.03f).With("input_zero_point", zero).With("output_scale", 0.025f).With("output_zero_point", outZero)
                                .With("output_signed", signed ? 1L : 0L).With("clamp_min", low).With("clamp_max", high),
                        };
                        foreach (int threads in new[] { 1, 2 })
                            CollectionAssert.AreEqual(expected, OneNode.Run(node, [x, none, none, list], [1, 2, 3], threads: threads).Bytes.ToArray(), $"{mode} of [{string.Join(',', dims)}] to [{string.Join(',', sizes)}]");
                    }
    }

    /// <summary>A float network with each of them, calibrated: the region of codes reaches from the first convolution to the last.</summary>
    [TestMethod]
    public void ACalibratedNetworkKeepsItsCodes()
    {
        var g = new FloatGraph(1, 3, 12, 10);
        string h = g.Add("Relu", g.Add("Conv", "x", g.Weights(8, 3, 3, 3)));
        string up = g.Add("Resize", AttributeMap.Empty.With("mode", "linear"), h, "", g.Constant(Tensor.Create<float>([1, 1, 2, 2], 4)));
        string padded = g.Add("Pad", AttributeMap.Empty.With("mode", "reflect"), up, g.List(0, 0, 1, 1, 0, 0, 1, 1));
        string small = g.Add("Conv", padded, g.Weights(4, 8, 3, 3));
        string nearest = g.Add("Resize", small, "", g.Constant(Tensor.Create<float>([1, 1, 2, 2], 4)));
        string y = g.Add("Conv", g.Add("Pad", nearest, g.List(0, 0, 2, 2, 0, 0, 2, 2), g.Scalar(-0.5f)), g.Weights(2, 4, 5, 5));
        var model = PreparedModel.Prepare(g.Build(17, y));
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, 360).Select(_ => (random.NextSingle() * 2) - 1)];
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        using (var run = session.Program.Rent([1, 3, 12, 10]))
        {
            x.CopyTo(run.Input<float>(0));
            session.Observe(run, 0);
        }
        var quantized = QuantizationRecipe.QuantizeStatic(model, session.Finish());
        var lowered = LowerQuantized.Apply(quantized.Graph);
        string types = FloatGraph.Types(lowered);
        Assert.AreEqual("QuantizedConv QuantizedResize Pad QuantizedConv Resize Pad QuantizedConv Transpose", types);
        var expected = OnnxRuntimeOracle.Score(model.Graph, false, ("x", x, [1, 3, 12, 10]))[0];
        float[] found = QdqGraph.Score(lowered with { Inputs = [model.Graph.Inputs[0] with { Shape = TensorShape.FromDims([1, 3, 12, 10]) }] }, x);
        Assert.IsGreaterThan(28, SignalToNoise(expected, found));
        Assert.IsGreaterThan(40, SignalToNoise(OnnxRuntimeOracle.Score(quantized.Graph, false, ("x", x, [1, 3, 12, 10]))[0], found), "ONNX Runtime rounds a few sums otherwise");
    }

    private static double SignalToNoise(float[] expected, float[] found) =>
        10 * Math.Log10(expected.Sum(v => (double)v * v) / expected.Zip(found, (a, b) => ((double)a - b) * (a - b)).Sum());

    private static string Weights(QdqGraph g, int outputs, int channels)
    {
        string codes = $"w{outputs}_{channels}";
        var random = new Random(outputs);
        g.Constant(codes, Tensor.Create([.. Enumerable.Range(0, outputs * channels * 4).Select(_ => (sbyte)random.Next(-127, 128))], outputs, channels, 2, 2));
        return g.Dequantize(codes, 0.004f, 0, signed: true);
    }

    private static Tensor Zero(int zero, bool signed) => signed ? Tensor.Scalar((sbyte)zero) : Tensor.Scalar((byte)zero);

    /// <summary>Near a tie a convolution's sum may round to the neighbouring code.</summary>
    private static void AssertClose(float[] expected, float[] found, float step, double share, string what)
    {
        Assert.HasCount(expected.Length, found, what);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], step * 1.001f, what);
        Assert.IsLessThan((share * expected.Length) + 2, expected.Zip(found).Count(p => Math.Abs(p.First - p.Second) > step / 2), what);
    }
}
