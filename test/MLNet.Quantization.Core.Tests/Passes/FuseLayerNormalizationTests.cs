using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class FuseLayerNormalizationTests
{
    private static readonly int[] Dims = [2, 5, 7];

    [TestMethod]
    [DataRow(true, true)]
    [DataRow(true, false)]
    [DataRow(false, true)]
    [DataRow(false, false)]
    public void TheUsualFormOverTheLastAxis(bool scale, bool bias)
    {
        foreach (bool power in new[] { true, false })
        {
            var g = new Sketch();
            string d = g.Centred("x", -1);
            string y = g.Arithmetic("Div", Dims, d, g.Root(g.Mean(power ? g.Arithmetic("Pow", Dims, d, g.Graph.Scalar(2)) : g.Arithmetic("Mul", Dims, d, d), -1), -1));
            if (scale) y = g.Arithmetic("Mul", Dims, g.Graph.Weights(7), y);
            if (bias) y = g.Arithmetic("Add", Dims, y, g.Graph.Weights(1, 7));
            g.AssertFuses(y, "LayerNormalization");
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(0)]
    public void BySumsOverAnotherAxis(int axis)
    {
        var g = new Sketch();
        int[] mean = Sketch.Reduced(axis), flat = [.. Dims.Where((_, i) => i != axis)], along = [.. Dims.Select((d, i) => i == axis ? d : 1)];
        string Sum(string x) => g.Known(g.Graph.Add("ReduceSum", AttributeMap.Empty.With("keepdims", 0), x, g.Graph.List(axis)), flat);
        string Average(string x) => g.Arithmetic("Mul", flat, Sum(x), g.Graph.Scalar(1f / Dims[axis]));
        string average = Average("x"), square = Average(g.Arithmetic("Mul", Dims, "x", "x"));
        string variance = g.Arithmetic("Max", flat, g.Graph.Scalar(0), g.Arithmetic("Sub", flat, square, g.Arithmetic("Mul", flat, average, average)));
        string Kept(string x) => g.Known(g.Graph.Add("Reshape", x, g.Graph.List([.. mean.Select(m => (long)m)])), mean);
        string root = g.Known(g.Graph.Add("Sqrt", g.Arithmetic("Add", mean, Kept(variance), g.Graph.Scalar(1e-6f))), mean);
        string factor = g.Arithmetic("Mul", along, g.Known(g.Graph.Add("Reciprocal", root), mean), g.Graph.Weights(along));
        string y = g.Arithmetic("Add", Dims, g.Arithmetic("Mul", Dims, g.Arithmetic("Sub", Dims, "x", Kept(average)), factor), g.Graph.Weights(along));
        g.AssertFuses(y, "Transpose LayerNormalization Transpose");
    }

    [TestMethod]
    public void WhatNearlyMatchesStays()
    {
        AssertStays(g => g.Arithmetic("Div", Dims, g.Centred("x", -1), g.Root(g.Mean(g.Square(g.Centred("x", 1)), -1), -1)), "the mean of another axis");
        AssertStays(g => g.Arithmetic("Div", Dims, g.Arithmetic("Sub", Dims, g.Mean("x", -1), "x"), g.Root(g.Mean(g.Square(g.Centred("x", -1)), -1), -1)), "the sign is turned");
        AssertStays(g => g.Arithmetic("Div", Dims, "x", g.Root(g.Mean(g.Square("x"), -1), -1)), "no mean is taken off");
        AssertStays(g => g.Arithmetic("Mul", Dims, g.Centred("x", -1), g.Root(g.Mean(g.Square(g.Centred("x", -1)), -1), -1)), "multiplied by the deviation");
        AssertStays(
            g =>
            {
                string root = g.Root(g.Mean(g.Square(g.Centred("x", -1)), -1), -1);
                return g.Arithmetic("Mul", Dims, g.Arithmetic("Div", Dims, g.Centred("x", -1), root), root);
            },
            "the deviation is read again");
    }

    [TestMethod]
    public void AnAffineBehindThatIsNotAlongTheAxisStays()
    {
        var g = new Sketch();
        string y = g.Arithmetic("Div", Dims, g.Centred("x", -1), g.Root(g.Mean(g.Square(g.Centred("x", -1)), -1), -1));
        g.AssertFuses(g.Arithmetic("Add", Dims, g.Arithmetic("Mul", Dims, y, g.Graph.Weights(5, 1)), g.Graph.Weights(7)), "LayerNormalization Mul Add");
    }

    private static void AssertStays(Func<Sketch, string> build, string why)
    {
        var g = new Sketch();
        var graph = g.Graph.Build(13, build(g));
        Assert.AreSame(graph, FuseLayerNormalization.Apply(graph, g.Facts), why);
    }

    /// <summary>A graph with the shapes of its values.</summary>
    private sealed class Sketch
    {
        public FloatGraph Graph { get; } = new(Dims);

        public Dictionary<string, ValueFact> Facts { get; } = new(StringComparer.Ordinal) { ["x"] = Fact(Dims) };

        public static int[] Reduced(int axis) => [.. Dims.Select((d, i) => i == (axis < 0 ? axis + 3 : axis) ? 1 : d)];

        public string Known(string value, int[] dims)
        {
            Facts[value] = Fact(dims);
            return value;
        }

        public string Arithmetic(string type, int[] dims, string a, string b) => Known(Graph.Add(type, a, b), dims);

        public string Mean(string x, int axis) => Known(Graph.Add("ReduceMean", FloatGraph.Ints("axes", axis), x), Reduced(axis));

        public string Centred(string x, int axis) => Arithmetic("Sub", Dims, x, Mean(x, axis));

        public string Square(string x) => Arithmetic("Mul", Dims, x, x);

        public string Root(string variance, int axis) =>
            Known(Graph.Add("Sqrt", Arithmetic("Add", Reduced(axis), variance, Graph.Scalar(1e-5f))), Reduced(axis));

        public void AssertFuses(string output, string types)
        {
            var graph = Graph.Build(13, output);
            var fused = FuseLayerNormalization.Apply(graph, Facts);
            Assert.AreEqual(types, FloatGraph.Types(fused));
            Assert.AreEqual(17, fused.Opset);
            FloatGraph.AssertSame(graph, fused, 1e-4); // E x² - (E x)² cancels
        }

        private static ValueFact Fact(int[] dims) => new(ElementType.Float, TensorShape.FromDims(dims));
    }
}
