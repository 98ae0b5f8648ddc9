using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Ops;

[TestClass]
public class LayerNormalizationTests
{
    [TestMethod]
    [DataRow(1, 1)]
    [DataRow(3, 17)]
    [DataRow(0, 5)]
    [DataRow(64, 1031)]
    public void IsTheNaiveDefinitionWithAnyThreads(int rows, int n)
    {
        var random = new Random(2);
        Tensor x = OneNode.Floats(random, rows, n), scale = OneNode.Floats(random, n), bias = OneNode.Floats(random, n);
        var found = OneNode.Run(Layer(), [x, scale, bias]);
        CollectionAssert.AreEqual(OneNode.Bits(found), OneNode.Bits(OneNode.Run(Layer(), [x, scale, bias], threads: 2)));
        for (int r = 0; r < rows; r++)
        {
            double[] row = Array.ConvertAll(x.Span<float>().Slice(r * n, n).ToArray(), v => (double)v);
            double mean = row.Average(), variance = row.Average(v => (v - mean) * (v - mean));
            for (int i = 0; i < n; i++)
            {
                double expected = ((row[i] - mean) / Math.Sqrt(variance + 1e-5) * scale.Span<float>()[i]) + bias.Span<float>()[i];
                Assert.AreEqual(expected, found.Span<float>()[(r * n) + i], 1e-5);
            }
        }
    }

    [TestMethod]
    public void OverSeveralAxesWithOneNumberAsScale()
    {
        var random = new Random(3);
        var x = OneNode.Floats(random, 2, 3, 4);
        var node = Layer("x", "s") with { Attributes = AttributeMap.Empty.With("axis", 1L) };
        var found = OneNode.Run(node, [x, Tensor.Scalar(2f)]);
        var flat = OneNode.Run(Layer("x", "s"), [new(ElementType.Float, [2, 12], x.Bytes), Tensor.Scalar(2f)]);
        CollectionAssert.AreEqual(OneNode.Bits(flat), OneNode.Bits(found));
    }

    [TestMethod]
    public void NotANumberStaysInItsRow()
    {
        var x = Tensor.Create([1f, float.NaN, 3, 4, 5, 6], 2, 3);
        var found = OneNode.Run(Layer("x", "s"), [x, Tensor.Create([1f, 1, 1], 3)]).Span<float>().ToArray();
        Assert.IsTrue(found.Take(3).All(float.IsNaN));
        Assert.IsTrue(found.Skip(3).All(float.IsFinite));
    }

    [TestMethod]
    public void AScaleThatDoesNotFitIsNamed()
    {
        var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => OneNode.Run(Layer("x", "s"), [Tensor.Create(new float[6], 2, 3), Tensor.Create(new float[2], 2)]));
        StringAssert.Contains(e.Message, "'s'");
        Assert.ThrowsExactly<UnsupportedOperatorException>(() => OneNode.Run(Layer("x", "s"), [Tensor.Create(new float[6], 2, 3), Tensor.Create(new float[6], 2, 3)]));
    }

    private static Node Layer(params string[] inputs) => Node.Create("n", "LayerNormalization", inputs.Length == 0 ? ["x", "s", "b"] : inputs, ["y"]);
}
