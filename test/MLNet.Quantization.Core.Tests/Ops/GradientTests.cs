using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Gradients against central differences, in double.</summary>
[TestClass]
public sealed class GradientTests
{
    private readonly Random _random = new(11);

    [TestMethod]
    public void Relu() => Check("Relu", AttributeMap.Empty, [3, 5], [3, 5]);

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
        Check("Gemm", attributes, [3, 4], c is null ? inputs : [.. inputs, c]);
    }

    /// <summary>L = Σ w · y with random w: every element of every input is moved a little, and L's slope compared.</summary>
    private void Check(string type, AttributeMap attributes, int[] outputDims, params int[][] inputDims)
    {
        var node = Node.Create("n", type, [.. inputDims.Select((_, i) => $"x{i}")], ["y"]) with { Attributes = attributes };
        var context = new OpContext(node, 17, [.. inputDims.Select(d => (ValueFact?)new ValueFact(ElementType.Float, TensorShape.FromDims(d)))]);
        var op = (IDifferentiable)OperatorSet.For(node);
        Values<double>?[] inputs = [.. inputDims.Select(Random)];
        var weights = Random(outputDims);
        Values<double>?[] gradients = [.. inputDims.Select(d => new Values<double>(d))];
        op.Backward(context, inputs, weights, gradients);
        const double Step = 1e-5;
        for (int x = 0; x < inputs.Length; x++)
            for (int i = 0; i < inputs[x]!.Data.Length; i++)
            {
                double at = inputs[x]!.Data[i];
                inputs[x]!.Data[i] = at + Step;
                double above = Loss();
                inputs[x]!.Data[i] = at - Step;
                double below = Loss();
                inputs[x]!.Data[i] = at;
                Assert.AreEqual((above - below) / (2 * Step), gradients[x]!.Data[i], 1e-6, $"input {x}, element {i}");
            }

        double Loss()
        {
            var y = new Values<double>(outputDims);
            op.Forward(context, inputs, y);
            return y.Data.Zip(weights.Data, (a, b) => a * b).Sum();
        }
    }

    [TestMethod]
    public void TheDefinitionIsWhatTheStepComputes()
    {
        var node = Node.Create("n", "Gemm", ["a", "b", "c"], ["y"]);
        Values<float>?[] inputs = [Singles(3, 6), Singles(6, 4), Singles(4)];
        var context = new OpContext(node, 17, [.. inputs.Select(v => ValueFact.Of(Tensor.Create(v!.Data, v.Dims)))]);
        var y = new Values<float>(3, 4);
        var op = OperatorSet.For(node);
        ((IDifferentiable)op).Forward(context, inputs, y);
        var found = Evaluator.Evaluate(op, context)[0].Span<float>();
        for (int i = 0; i < y.Data.Length; i++) Assert.AreEqual(y.Data[i], found[i], 1e-6f);
    }

    private Values<float> Singles(params int[] dims)
    {
        var values = new Values<float>(dims);
        for (int i = 0; i < values.Data.Length; i++) values.Data[i] = (float)(_random.NextDouble() - 0.5);
        return values;
    }

    /// <summary>Away from 0, where Relu has no slope.</summary>
    private Values<double> Random(int[] dims)
    {
        var values = new Values<double>(dims);
        for (int i = 0; i < values.Data.Length; i++) values.Data[i] = (0.1 + _random.NextDouble()) * (_random.Next(2) == 0 ? 1 : -1);
        return values;
    }
}
