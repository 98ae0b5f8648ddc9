using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Operators over [N, C, ...] at random shapes and attributes, against ONNX Runtime; what contradicts the standard, and what is lacking, is a typed error.</summary>
[TestClass]
public sealed class SpatialOperatorTests
{
    private static readonly string[] AutoPads = ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"];

    [TestMethod]
    public void ConvTransposeAgreesWithOnnxRuntime()
    {
        var random = new Random(41);
        for (int i = 0; i < 250; i++)
        {
            int rank = random.Next(1, 4), groups = random.Next(1, 4);
            int[] x = [random.Next(1, 3), groups * random.Next(1, 4), .. Ints(random, rank, 1, 7)], kernel = Ints(random, rank, 1, 4);
            // Windows with gaps between them: ONNX Runtime leaves the gap behind the last one out where auto_pad promises input times stride.
            int[] dilations = Ints(random, rank, 1, 3), strides = [.. kernel.Select((k, a) => random.Next(1, Math.Min(4, ((k - 1) * dilations[a]) + 2)))];
            int[] w = [x[1], random.Next(1, 4), .. kernel];
            var attributes = AttributeMap.Empty.With("group", (long)groups).With("strides", Longs(strides)).With("dilations", Longs(dilations));
            attributes = random.Next(3) switch
            {
                0 => attributes.With("auto_pad", AutoPads[random.Next(4)]),
                1 => attributes.With("output_shape", Longs([.. x.Skip(2).Select((e, a) => Math.Max(1, (strides[a] * (e - 1)) + ((kernel[a] - 1) * dilations[a]) + 1 - random.Next(3)))])).With("auto_pad", AutoPads[random.Next(3)]),
                _ => attributes.With("pads", Longs([.. kernel.Concat(kernel).Select(k => random.Next(0, (k + 1) / 2))])).With("output_padding", Longs([.. strides.Select(s => random.Next(s))])),
            };
            Tensor[] inputs = [OneNode.Floats(random, x), OneNode.Floats(random, w), OneNode.Floats(random, w[1] * groups)];
            Compare("ConvTranspose", attributes, random.Next(2) == 0 ? inputs : inputs[..2], random.Next(1, 3));
        }
    }

    [TestMethod]
    public void ConvAgreesWithOnnxRuntime()
    {
        var random = new Random(42);
        for (int i = 0; i < 400; i++)
        {
            int rank = random.Next(1, 4), groups = random.Next(1, 4), perGroup = random.Next(4) == 0 ? 1 : random.Next(1, 5);
            int[] x = [random.Next(1, 3), groups * perGroup, .. Ints(random, rank, 1, rank == 3 ? 8 : 40)], kernel = Ints(random, rank, 1, 4);
            bool same = random.Next(3) == 0; // which ONNX Runtime has without dilations only
            int[] strides = random.Next(2) == 0 ? [.. kernel.Select(_ => 1)] : Ints(random, rank, 1, 4), dilations = Ints(random, rank, 1, same ? 2 : 3);
            int[] w = [groups * random.Next(1, 4), perGroup, .. kernel];
            var attributes = AttributeMap.Empty.With("group", (long)groups).With("strides", Longs(strides)).With("dilations", Longs(dilations));
            // Pads as wide as the window is, so that it always fits.
            attributes = same ? attributes.With("auto_pad", AutoPads[random.Next(1, 3)])
                : attributes.With("pads", Longs([.. Enumerable.Range(0, 2 * rank).Select(a => Math.Max(0, ((kernel[a % rank] - 1) * dilations[a % rank]) - random.Next(a < rank || x[(a % rank) + 2] < 6 ? 1 : 3)))]));
            Tensor[] inputs = [OneNode.Floats(random, x), OneNode.Floats(random, w), OneNode.Floats(random, w[0])];
            Compare("Conv", attributes, random.Next(2) == 0 ? inputs : inputs[..2], random.Next(1, 3));
        }
    }

    [TestMethod]
    public void AnElementOfConvIsOneChainOfFusedMultiplyAddsAndTheBias()
    {
        var random = new Random(48);
        for (int i = 0; i < 200; i++)
        {
            int groups = random.Next(1, 4), perGroup = random.Next(2) == 0 ? 1 : random.Next(1, 6), outputs = groups * random.Next(1, 8), kh = random.Next(1, 4), kw = random.Next(1, 4), stride = random.Next(1, 3);
            Tensor x = OneNode.Floats(random, random.Next(1, 3), groups * perGroup, random.Next(3, 40), random.Next(3, 70)), w = OneNode.Floats(random, outputs, perGroup, kh, kw), bias = OneNode.Floats(random, outputs);
            var y = Run("Conv", AttributeMap.Empty.With("group", (long)groups).With("strides", Longs([stride, stride])).With("pads", Longs([1, 0, 0, 1])), [x, w, bias], random.Next(1, 3));
            for (int e = 0; e < y.Count; e++)
            {
                int ow = e % y.Dims[3], oh = e / y.Dims[3] % y.Dims[2], f = e / (y.Dims[3] * y.Dims[2]) % outputs, image = e / (y.Dims[3] * y.Dims[2] * outputs);
                float sum = 0;
                for (int l = 0; l < perGroup * kh * kw; l++)
                {
                    int c = (f / (outputs / groups) * perGroup) + (l / (kh * kw)), h = (oh * stride) + (l / kw % kh) - 1, v = (ow * stride) + (l % kw);
                    float element = h >= 0 && h < x.Dims[2] && v < x.Dims[3] ? x.Span<float>()[(((((image * x.Dims[1]) + c) * x.Dims[2]) + h) * x.Dims[3]) + v] : 0;
                    sum = MathF.FusedMultiplyAdd(w.Span<float>()[(f * perGroup * kh * kw) + l], element, sum);
                }
                Assert.AreEqual(sum + bias.Span<float>()[f], y.Span<float>()[e], $"{x} * {w}, stride {stride}, element {e}");
            }
        }
    }

    [TestMethod]
    [DataRow("MaxPool")]
    [DataRow("AveragePool")]
    [DataRow("LpPool")]
    public void PoolsAgreeWithOnnxRuntime(string op)
    {
        var random = new Random(43);
        for (int i = 0; i < 200; i++)
        {
            int rank = random.Next(1, 4);
            int[] x = [random.Next(1, 3), random.Next(1, 4), .. Ints(random, rank, 3, 20)], kernel = Ints(random, rank, 1, 4);
            // Windows with gaps between them have a negative padding by the letter of the standard, which ONNX Runtime takes in one way here and in another there.
            var attributes = AttributeMap.Empty.With("kernel_shape", Longs(kernel)).With("strides", Longs([.. kernel.Select(k => random.Next(1, k + 1))]));
            attributes = random.Next(2) == 0 ? attributes.With("auto_pad", AutoPads[random.Next(1, 4)])
                : attributes.With("pads", Longs([.. kernel.Concat(kernel).Select(k => random.Next(0, k))])).With("ceil_mode", op == "LpPool" ? 0L : (long)random.Next(2));
            if (op == "LpPool") attributes = attributes.With("p", (long)random.Next(1, 5));
            if (op == "AveragePool" && attributes.Get("ceil_mode", 0L) == 0) attributes = attributes.With("count_include_pad", (long)random.Next(2));
            Compare(op, attributes, [OneNode.Floats(random, x)], random.Next(1, 3));
        }
    }

    [TestMethod]
    [DataRow("constant")]
    [DataRow("reflect")]
    [DataRow("edge")]
    [DataRow("wrap")]
    public void PadIsNumPys(string mode)
    {
        var random = new Random(44);
        for (int i = 0; i < 200; i++)
        {
            int[] x = Ints(random, random.Next(1, 5), 1, 6);
            int[] pads = [.. x.Concat(x).Select(_ => random.Next(-1, 12))];
            for (int a = 0; a < x.Length; a++)
                if (x[a] + Math.Min(0, pads[a]) + Math.Min(0, pads[a + x.Length]) < 1) pads[a] = pads[a + x.Length] = 0;
            var data = Tensor.Create([.. Enumerable.Range(1, OneNode.Count(x)).Select(v => (long)v)], x);
            var node = Node.Create("n", "Pad", ["x", "pads", "value"], ["y"]) with { Attributes = AttributeMap.Empty.With("mode", mode) };
            var found = OneNode.Run(node, [data, Tensor.Create([.. pads.Select(p => (long)p)], pads.Length), Tensor.Scalar(-7L)], [1, 2]);
            int[] y = [.. x.Select((e, a) => e + pads[a] + pads[a + x.Length])];
            CollectionAssert.AreEqual(y, found.Dims);
            for (int e = 0; e < found.Count; e++)
            {
                long expected = 0;
                int rest = e, stride = 1;
                for (int a = x.Length - 1; a >= 0 && expected >= 0; a--)
                {
                    int skipped = Math.Max(0, -pads[a]), kept = x[a] - skipped - Math.Max(0, -pads[a + x.Length]), at = (rest % y[a]) - Math.Max(0, pads[a]);
                    // One step at a time, as the modes are told in words.
                    while (mode == "wrap" && (at < 0 || at >= kept)) at += at < 0 ? kept : -kept;
                    while (mode == "reflect" && (at < 0 || at >= kept)) at = kept == 1 ? 0 : at < 0 ? -at : (2 * (kept - 1)) - at;
                    if (mode == "edge") at = Math.Clamp(at, 0, kept - 1);
                    expected = at < 0 || at >= kept ? -7 : expected + ((at + skipped) * stride);
                    rest /= y[a];
                    stride *= x[a];
                }
                Assert.AreEqual(expected < 0 ? -7 : expected + 1, found.Span<long>()[e], $"[{string.Join(',', x)}] pads [{string.Join(',', pads)}] element {e}");
            }
        }
    }

    [TestMethod]
    public void ResizeAgreesWithOnnxRuntime()
    {
        string[] coordinates = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"], nearest = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"], modes = ["nearest", "linear", "cubic"];
        var random = new Random(45);
        for (int i = 0; i < 300; i++)
        {
            string mode = modes[random.Next(3)];
            int[] x = [random.Next(1, 3), random.Next(1, 4), .. Ints(random, 2, 1, 9)];
            var attributes = AttributeMap.Empty.With("mode", mode).With("coordinate_transformation_mode", coordinates[random.Next(4)]).With("nearest_mode", nearest[random.Next(4)]);
            if (mode == "cubic") attributes = attributes.With("exclude_outside", (long)random.Next(2)).With("cubic_coeff_a", random.Next(2) == 0 ? -0.5f : -0.75f);
            // Whole scales, and halves of even extents, so that both round coordinates alike.
            float[] scales = [1, 1, .. x.Skip(2).Select(e => e % 2 == 0 && random.Next(2) == 0 ? 0.5f : random.Next(1, 4))];
            Compare("Resize", attributes, [OneNode.Floats(random, x), Tensor.Create<float>([], 0), Tensor.Create(scales, 4)], 1);
        }
    }

    [TestMethod]
    public void NormalizationsAgreeWithOnnxRuntime()
    {
        var random = new Random(46);
        for (int i = 0; i < 100; i++)
        {
            int[] x = [random.Next(1, 4), random.Next(1, 9), .. Ints(random, random.Next(1, 4), 1, 9)];
            var data = OneNode.Floats(random, x);
            Compare("InstanceNormalization", AttributeMap.Empty.With("epsilon", 1e-2f), [data, OneNode.Floats(random, x[1]), OneNode.Floats(random, x[1])], random.Next(1, 3));
            if (x.Length == 4)
                Compare("LRN", AttributeMap.Empty.With("size", (2L * random.Next(4)) + 1).With("alpha", 0.3f).With("beta", (float)random.NextDouble()).With("bias", 1.5f), [data], 1);
        }
    }

    [TestMethod]
    public void SpaceToDepthUndoesDepthToSpace()
    {
        var random = new Random(47);
        for (int i = 0; i < 60; i++)
        {
            int b = random.Next(1, 4);
            var x = OneNode.Floats(random, random.Next(1, 3), random.Next(1, 4) * b * b, random.Next(0, 5), random.Next(1, 5));
            var size = AttributeMap.Empty.With("blocksize", (long)b);
            var wide = OneNode.Run(Node.Create("n", "DepthToSpace", ["x"], ["y"]) with { Attributes = size }, [x], opset: 13);
            CollectionAssert.AreEqual(OneNode.Bits(x), OneNode.Bits(OneNode.Run(Node.Create("n", "SpaceToDepth", ["x"], ["y"]) with { Attributes = size }, [wide], opset: 13)));
        }
    }

    [TestMethod]
    public void GlobalLpPoolIsThePNorm()
    {
        var x = Tensor.Create<float>([3, -4, 0, 0, 1, 2, 2, -1], 1, 4, 2);
        CollectionAssert.AreEqual(new float[] { 5, 0, MathF.Sqrt(5), MathF.Sqrt(5) }, Score("GlobalLpPool", AttributeMap.Empty, x));
        CollectionAssert.AreEqual(new float[] { 7, 0, 3, 3 }, Score("GlobalLpPool", AttributeMap.Empty.With("p", 1L), x));
        Assert.AreEqual(4.497941, Score("GlobalLpPool", AttributeMap.Empty.With("p", 3L), x)[0], 1e-5);
    }

    [TestMethod]
    [DataRow("Conv", "pads", "negative")]
    [DataRow("Conv", "strides", "below 1")]
    [DataRow("Conv", "kernel_shape", "not that of its weights")]
    [DataRow("ConvTranspose", "group", "groups")]
    [DataRow("ConvTranspose", "pads", "leave")]
    [DataRow("ConvTranspose", "output_shape", "output_shape has 1 elements")]
    [DataRow("MaxPool", "kernel_shape", "window reaches over 9")]
    [DataRow("DepthToSpace", "blocksize", "blocks of 4")]
    [DataRow("LRN", "size", "size is 0")]
    [DataRow("LpPool", "p", "p is 0")]
    public void WhatDoesNotFitIsATypedErrorThatNamesTheNode(string op, string attribute, string expected)
    {
        object value = (op, attribute) switch
        {
            ("Conv", "pads") => Longs([-1, 0, 0, 0]),
            ("Conv", "strides") => Longs([0, 1]),
            ("Conv", "kernel_shape") => Longs([3, 3]),
            ("ConvTranspose", "group") => 3L,
            ("ConvTranspose", "pads") => Longs([40, 0, 0, 0]),
            ("ConvTranspose", "output_shape") => Longs([5]),
            ("MaxPool", _) => Longs([9, 1]),
            (_, "blocksize") => 2L,
            _ => 0L,
        };
        var attributes = AttributeMap.Empty.With(attribute, value);
        if (op == "LpPool") attributes = attributes.With("kernel_shape", Longs([2, 2]));
        Tensor[] inputs = op.StartsWith("Conv", StringComparison.Ordinal) ? [OneNode.Floats(new(1), 1, 2, 5, 5), OneNode.Floats(new(1), 2, 2, 2, 2)] : [OneNode.Floats(new(1), 1, 2, 5, 5)];
        var error = Assert.Throws<QuantizationException>(() => Run(op, attributes, inputs, 1));
        StringAssert.Contains(error.Message, "'spatial'");
        StringAssert.Contains(error.Message, expected);
    }

    private static ImmutableArray<long> Longs(int[] values) => [.. values.Select(v => (long)v)];

    private static int[] Ints(Random random, int count, int least, int above) => [.. Enumerable.Range(0, count).Select(_ => random.Next(least, above))];

    private static float[] Score(string op, AttributeMap attributes, params Tensor[] inputs) => Run(op, attributes, inputs, 1).Span<float>().ToArray();

    private static Node NodeOf(string op, AttributeMap attributes, Tensor[] inputs) =>
        Node.Create("spatial", op, [.. inputs.Select((t, i) => t.Count == 0 ? "" : $"x{i}")], ["y"]) with { Attributes = attributes };

    private static Tensor Run(string op, AttributeMap attributes, Tensor[] inputs, int threads)
    {
        int[] constant = [.. Enumerable.Range(0, inputs.Length).Where(i => i > 0 || inputs[i].Count == 0)];
        return OneNode.Run(NodeOf(op, attributes, inputs), inputs, [.. constant.Where(i => inputs[i].Count > 0), .. constant.Where(i => inputs[i].Count == 0)], 19, threads);
    }

    private static void Compare(string op, AttributeMap attributes, Tensor[] inputs, int threads)
    {
        var node = NodeOf(op, attributes, inputs);
        var found = Run(op, attributes, inputs, threads);
        var graph = new ModelGraph
        {
            Inputs = [new("x0", ElementType.Float, inputs[0].Shape)],
            Outputs = [new("y", ElementType.Float, found.Shape)],
            Nodes = [node],
            Initializers = Enumerable.Range(1, inputs.Length - 1).Where(i => inputs[i].Count > 0).ToImmutableDictionary(i => $"x{i}", i => inputs[i], StringComparer.Ordinal),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 19),
        };
        float[] expected = OnnxRuntimeOracle.Score(graph, false, ("x0", inputs[0].Span<float>().ToArray(), inputs[0].Dims))[0];
        string what = $"{op} {string.Join(" x ", inputs.Select(t => t.ToString()))} {string.Join(' ', attributes.Select(a => $"{a.Key}={(a.Value is ImmutableArray<long> list ? string.Join(',', list) : a.Value)}"))}";
        Assert.AreEqual(expected.Length, found.Count, what);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found.Span<float>()[i], 1e-4 * Math.Max(1, Math.Abs(expected[i])), $"{what}, element {i}");
    }
}
