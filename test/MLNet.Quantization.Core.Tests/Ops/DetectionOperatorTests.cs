using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Places of maxima, what undoes them, and boxes that do not overlap, at random shapes and attributes, against ONNX Runtime.</summary>
[TestClass]
public sealed class DetectionOperatorTests
{
    [TestMethod]
    public void MaximaLieWhereOnnxRuntimeFindsThem()
    {
        var random = new Random(61);
        for (int i = 0; i < 300; i++)
        {
            int rank = random.Next(1, 4);
            int[] x = [random.Next(1, 3), random.Next(1, 4), .. Ints(random, rank, 4, 12)], kernel = Ints(random, rank, 1, 4);
            var attributes = WithWindow(random, kernel).With("storage_order", (long)random.Next(2)).With("ceil_mode", (long)random.Next(2));
            // Few values, so that many are equal.
            bool isCode = random.Next(3) == 0;
            float[] values = [.. Enumerable.Range(0, OneNode.Count(x)).Select(_ => (float)random.Next(isCode ? 0 : -3, 4))];
            var data = isCode ? Tensor.Create(Array.ConvertAll(values, v => (byte)v), x) : Tensor.Create(values, x);
            var node = Node.Create("pool", "MaxPool", ["x"], ["y", "places"]) with { Attributes = attributes };
            Tensor y = OneNode.Run(node, [data], opset: 12, threads: 2), places = OneNode.Run(node, [data], opset: 12, threads: 2, output: 1);
            float[][] expected = Oracle(node, ["y", "places"], [data], values);
            string what = $"{data} {Describe(attributes)}";
            CollectionAssert.AreEqual(expected[0], Numbers(y), what);
            CollectionAssert.AreEqual(expected[1], Numbers(places), what);
        }
    }

    [TestMethod]
    public void PlacesAloneAndSignedCodesAreTheSame()
    {
        var random = new Random(62);
        sbyte[] codes = [.. Enumerable.Range(0, 2 * 49).Select(_ => (sbyte)random.Next(-128, 128))];
        var attributes = AttributeMap.Empty.With("kernel_shape", Longs([3, 3])).With("pads", Longs([1, 1, 1, 1])).With("strides", Longs([2, 2]));
        var both = Node.Create("pool", "MaxPool", ["x"], ["y", "places"]) with { Attributes = attributes };
        Tensor signed = Tensor.Create(codes, 1, 2, 7, 7), reals = Tensor.Create(Array.ConvertAll(codes, c => (float)c), 1, 2, 7, 7);
        long[] places = OneNode.Run(both, [reals], output: 1).Span<long>().ToArray();
        CollectionAssert.AreEqual(places, OneNode.Run(both, [signed], output: 1).Span<long>().ToArray());
        CollectionAssert.AreEqual(places, OneNode.Run(both with { Outputs = ["", "places"] }, [signed], output: 1).Span<long>().ToArray());
        CollectionAssert.AreEqual(Array.ConvertAll(places, p => codes[p]), OneNode.Run(both, [signed]).Span<sbyte>().ToArray());
        CollectionAssert.AreEqual(Array.ConvertAll(places, p => codes[p]), OneNode.Run(both with { Outputs = ["y"] }, [signed]).Span<sbyte>().ToArray());
    }

    [TestMethod]
    public void WindowsWithoutANumberStillHaveAPlace()
    {
        var attributes = AttributeMap.Empty.With("kernel_shape", Longs([2])).With("strides", Longs([2])).With("pads", Longs([2, 0]));
        var node = Node.Create("pool", "MaxPool", ["x"], ["y", "places"]) with { Attributes = attributes };
        var x = Tensor.Create([float.NaN, float.NaN, float.NegativeInfinity, float.NaN, float.NaN, -7f], 1, 1, 6);
        // Padding alone, NaN alone, -infinity, a number behind NaN.
        CollectionAssert.AreEqual(new[] { float.NegativeInfinity, float.NegativeInfinity, float.NegativeInfinity, -7 }, Numbers(OneNode.Run(node, [x])));
        CollectionAssert.AreEqual(new long[] { -1, 0, 2, 5 }, OneNode.Run(node, [x], output: 1).Span<long>().ToArray());
    }

    [TestMethod]
    public void UnpoolingAgreesWithOnnxRuntime()
    {
        var random = new Random(63);
        for (int i = 0; i < 200; i++)
        {
            int rank = random.Next(1, 4);
            bool isGiven = random.Next(2) == 0;
            int[] x = [random.Next(1, 3), random.Next(1, 4), .. Ints(random, rank, 1, 5)], kernel = Ints(random, rank, 1, 4), strides = Ints(random, rank, 1, 4);
            int[] pads = [.. kernel.Concat(kernel).Select((k, a) => x[(a % rank) + 2] > 1 ? random.Next(0, (k + 1) / 2) : 0)];
            int[] y = [.. x.Select((e, a) => a < 2 ? e : ((e - 1) * strides[a - 2]) + kernel[a - 2] - pads[a - 2] - pads[a - 2 + rank])];
            if (isGiven) y = [y[0], y[1], .. y.Skip(2).Select(e => e + random.Next(3))];
            var attributes = AttributeMap.Empty.With("kernel_shape", Longs(kernel)).With("strides", Longs(strides)).With("pads", Longs(pads));
            var values = OneNode.Floats(random, x);
            // Each place once: which of several stays is not said by the standard.
            long[] all = [.. Enumerable.Range(0, Math.Max(OneNode.Count(y), values.Count)).Select(p => (long)p)];
            if (all.Length > OneNode.Count(y)) continue;
            random.Shuffle(all);
            var places = Tensor.Create(all[..values.Count], x);
            var node = Node.Create("unpool", "MaxUnpool", isGiven ? ["x", "places", "shape"] : ["x", "places"], ["y"]) with { Attributes = attributes };
            Tensor[] inputs = isGiven ? [values, places, Tensor.Create([.. y.Select(e => (long)e)], y.Length)] : [values, places];
            var found = OneNode.Run(node, inputs, isGiven ? [2] : [], opset: 12);
            CollectionAssert.AreEqual(y, found.Dims, Describe(attributes));
            CollectionAssert.AreEqual(Oracle(node, ["y"], inputs, [.. inputs.Select(Numbers)])[0], Numbers(found), $"{values} {Describe(attributes)}");
        }
    }

    [TestMethod]
    public void UnpoolingPutsMaximaBack()
    {
        var random = new Random(64);
        // An odd extent: the window alone does not tell it.
        var x = OneNode.Floats(random, 2, 3, 5, 7);
        var window = AttributeMap.Empty.With("kernel_shape", Longs([2, 2])).With("strides", Longs([2, 2]));
        var pool = Node.Create("pool", "MaxPool", ["x"], ["y", "places"]) with { Attributes = window };
        Tensor y = OneNode.Run(pool, [x]), places = OneNode.Run(pool, [x], output: 1);
        var back = OneNode.Run(Node.Create("unpool", "MaxUnpool", ["y", "places", "shape"], ["x"]) with { Attributes = window }, [y, places, Tensor.Create([2L, 3, 5, 7], 4)], [2]);
        var kept = places.Span<long>().ToArray().ToHashSet();
        for (int i = 0; i < x.Count; i++) Assert.AreEqual(kept.Contains(i) ? x.Span<float>()[i] : 0, back.Span<float>()[i], $"element {i}");
    }

    [TestMethod]
    public void TheBoxesOfOnnxRuntimeAreKept()
    {
        var random = new Random(65);
        int kept = 0;
        for (int i = 0; i < 300; i++)
        {
            int images = random.Next(1, 3), classes = random.Next(1, 4), count = random.Next(0, 40);
            // Multiples of 1/8 (corners in any order), so that areas are exact, boxes and scores often equal, some boxes empty.
            float[] boxes = [.. Enumerable.Range(0, images * count * 4).Select(_ => random.Next(0, 9) / 8f)], scores = [.. Enumerable.Range(0, images * classes * count).Select(_ => random.Next(-4, 8) / 8f)];
            Tensor[] inputs =
            [
                Tensor.Create(boxes, images, count, 4), Tensor.Create(scores, images, classes, count), Tensor.Create([(long)random.Next(-1, 12)], 1),
                Tensor.Create([random.Next(0, 9) / 8f], 1), Tensor.Create([random.Next(-5, 6) / 8f], 1),
            ];
            inputs = inputs[..random.Next(2, 6)];
            string[] names = ["boxes", "scores", "most", "overlap", "least"];
            var node = Node.Create("nms", "NonMaxSuppression", names[..inputs.Length], ["y"]) with { Attributes = AttributeMap.Empty.With("center_point_box", (long)random.Next(2)) };
            var found = OneNode.Run(node, inputs, opset: 11);
            CollectionAssert.AreEqual(Oracle(node, ["y"], inputs, [.. inputs.Select(Numbers)])[0], Numbers(found), $"{string.Join(' ', inputs.Select(t => t.ToString()))} {Describe(node.Attributes)}");
            kept += found.Dims[0];
        }
        Assert.IsGreaterThan(500, kept);
    }

    [TestMethod]
    public void AScoreThatIsNoNumberIsNotChosen()
    {
        var node = Node.Create("nms", "NonMaxSuppression", ["boxes", "scores", "most"], ["y"]);
        var boxes = Tensor.Create([0f, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], 1, 3, 4);
        var found = OneNode.Run(node, [boxes, Tensor.Create([float.NaN, float.NegativeInfinity, 1], 1, 1, 3), Tensor.Create([9L], 1)]);
        CollectionAssert.AreEqual(new long[] { 0, 0, 2, 0, 0, 1 }, found.Span<long>().ToArray());
    }

    [TestMethod]
    [DataRow("MaxPool", "storage_order", 2L, "storage_order is 2")]
    [DataRow("MaxUnpool", "", 0L, "kernel_shape has 0 elements")]
    [DataRow("MaxUnpool", "place", 99L, "index 99 lies outside the 4 elements")]
    [DataRow("MaxUnpool", "place", -1L, "index -1 lies outside")]
    [DataRow("MaxUnpool", "indices", 3L, "differ in shape")]
    [DataRow("MaxUnpool", "shape", 3L, "output_shape has 3 elements")]
    [DataRow("NonMaxSuppression", "center_point_box", 2L, "center_point_box is 2")]
    [DataRow("NonMaxSuppression", "boxes", 5L, "expected [images, boxes, 4]")]
    [DataRow("NonMaxSuppression", "count", 3L, "do not go together")]
    [DataRow("NonMaxSuppression", "overlap", 2L, "threshold is 2, expected 0 to 1")]
    [DataRow("NonMaxSuppression", "most", 2L, "expected one number")]
    public void WhatDoesNotFitIsATypedErrorThatNamesTheNode(string op, string wrong, long value, string expected)
    {
        Tensor[] inputs = op switch
        {
            "MaxPool" => [OneNode.Floats(new(1), 1, 1, 4, 4)],
            "MaxUnpool" => [OneNode.Floats(new(1), 1, 1, 1, 2), Tensor.Create([0L, wrong == "place" ? value : 1], wrong == "indices" ? [1, 1, 2, 1] : [1, 1, 1, 2]), Tensor.Create([1L, 1, 2, 2], 4)],
            _ =>
            [
                OneNode.Floats(new(1), 1, 2, wrong == "boxes" ? 5 : 4), OneNode.Floats(new(1), 1, 1, wrong == "count" ? 3 : 2), wrong == "most" ? Tensor.Create([1L, 2], 2) : Tensor.Create([1L], 1),
                Tensor.Create([wrong == "overlap" ? (float)value : 0.5f], 1),
            ],
        };
        if (wrong == "shape") inputs[2] = Tensor.Create([1L, 2, 2], 3);
        if (op == "MaxUnpool" && wrong.Length == 0) inputs = inputs[..2];
        var attributes = AttributeMap.Empty;
        if (op != "NonMaxSuppression" && wrong.Length > 0) attributes = attributes.With("kernel_shape", Longs([2, 1]));
        if (wrong is "storage_order" or "center_point_box") attributes = attributes.With(wrong, value);
        string[] outputs = op == "MaxPool" ? ["y", "places"] : ["y"];
        var node = Node.Create("detection", op, [.. inputs.Select((_, i) => $"x{i}")], outputs) with { Attributes = attributes };
        var error = Assert.Throws<QuantizationException>(() => OneNode.Run(node, inputs, inputs.Length == 3 ? [2] : []));
        StringAssert.Contains(error.Message, "'detection'");
        StringAssert.Contains(error.Message, expected);
    }

    private static AttributeMap WithWindow(Random random, int[] kernel)
    {
        var attributes = AttributeMap.Empty.With("kernel_shape", Longs(kernel)).With("strides", Longs([.. kernel.Select(k => random.Next(1, k + 1))]));
        return random.Next(2) == 0 ? attributes.With("pads", Longs([.. kernel.Concat(kernel).Select(k => random.Next(0, k))]))
            : attributes.With("dilations", Longs([.. kernel.Select(k => k == 1 ? 1 : random.Next(1, 3))])).With("pads", Longs([.. kernel.Concat(kernel).Select(k => k - 1)]));
    }

    private static float[][] Oracle(Node node, string[] outputs, Tensor[] inputs, params float[][] values)
    {
        var graph = new ModelGraph
        {
            Inputs = [.. node.Inputs.Select((n, i) => new ValueInfo(n, inputs[i].Type, inputs[i].Shape))],
            Outputs = [.. outputs.Select((o, i) => new ValueInfo(o, i > 0 || node.OpType == "NonMaxSuppression" ? ElementType.Int64 : inputs[0].Type, null))],
            Nodes = [node],
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 12),
        };
        return OnnxRuntimeOracle.Score(graph, false, [.. node.Inputs.Select((n, i) => (n, values[i], inputs[i].Dims))]);
    }

    private static float[] Numbers(Tensor t) => t.Type switch
    {
        ElementType.Int64 => Array.ConvertAll(t.Span<long>().ToArray(), v => (float)v),
        ElementType.UInt8 => Array.ConvertAll(t.Span<byte>().ToArray(), v => (float)v),
        _ => t.Span<float>().ToArray(),
    };

    private static string Describe(AttributeMap attributes) => string.Join(' ', attributes.Select(a => $"{a.Key}={(a.Value is ImmutableArray<long> list ? string.Join(',', list) : a.Value)}"));

    private static ImmutableArray<long> Longs(int[] values) => [.. values.Select(v => (long)v)];

    private static int[] Ints(Random random, int count, int least, int above) => [.. Enumerable.Range(0, count).Select(_ => random.Next(least, above))];
}
