using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Gradients against central differences, in double.</summary>
[TestClass]
public sealed class GradientTests
{
    private readonly Random _random = new(11);

    [TestMethod]
    public void Relu() => Check("Relu", AttributeMap.Empty, [3, 5]);

    [TestMethod]
    [DataRow(false, false, 1f, 1f, new[] { 4 })]
    [DataRow(true, false, 0.5f, -2f, new[] { 1, 4 })]
    [DataRow(false, true, 2f, 1f, new[] { 3, 1 })]
    [DataRow(true, true, -1f, 3f, new[] { 3, 4 })]
    [DataRow(false, false, 1f, 0.5f, new int[0])]
    [DataRow(false, true, 1f, 1f, null)]
    public void Gemm(bool transA, bool transB, float alpha, float beta, int[]? c)
    {
        var attributes = AttributeMap.Empty.With("transA", transA ? 1L : 0L).With("transB", transB ? 1L : 0L).With("alpha", alpha).With("beta", beta);
        int[][] inputs = [transA ? [6, 3] : [3, 6], transB ? [4, 6] : [6, 4]];
        Check("Gemm", attributes, c is null ? inputs : [.. inputs, c]);
    }

    private void Check(string type, AttributeMap attributes, params int[][] inputDims) =>
        GradientCheck.Run(Node.Create("n", type, [.. inputDims.Select((_, i) => $"x{i}")], ["y"]) with { Attributes = attributes }, inputDims, _random);

    [TestMethod]
    public void TheDefinitionIsWhatTheStepComputes()
    {
        var node = Node.Create("n", "Gemm", ["a", "b", "c"], ["y"]);
        Values<float>?[] inputs = [Singles(3, 6), Singles(6, 4), Singles(4)];
        var context = new OpContext(node, 17, [.. inputs.Select(v => ValueFact.Of(Tensor.Create(v!.Data, v.Dims)))]);
        var y = new Values<float>(3, 4);
        var op = OperatorSet.For(node);
        ((IDifferentiable)op).Forward(new TapeNode<float>(context, inputs, [y], new(1)));
        var found = Evaluator.Evaluate(op, context)[0].Span<float>();
        for (int i = 0; i < y.Data.Length; i++) Assert.AreEqual(y.Data[i], found[i], 1e-6f);
    }

    private Values<float> Singles(params int[] dims)
    {
        var values = new Values<float>(dims);
        for (int i = 0; i < values.Data.Length; i++) values.Data[i] = (float)(_random.NextDouble() - 0.5);
        return values;
    }
}
