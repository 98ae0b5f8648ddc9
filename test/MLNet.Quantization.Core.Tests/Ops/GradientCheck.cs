using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Holds an operator's gradient against central differences, in double.</summary>
internal static class GradientCheck
{
    private const double Step = 1e-5;

    /// <summary>L = Σ w · y with random w over all outputs: every element of every input of real numbers is moved a little, and L's slope compared.</summary>
    /// <param name="node">Its inputs are named anyhow; what <paramref name="constants"/> does not hold gets random values.</param>
    /// <param name="inputDims">By position; null where omitted.</param>
    /// <param name="random">For values of magnitude 0.1 to 1.1, away from the kinks at 0.</param>
    /// <param name="constants">By position: shapes, axes, ids, or real values that must not be random (such are not moved).</param>
    /// <param name="tolerance">Greatest error, relative to slopes above 1.</param>
    /// <param name="opset">Of the standard.</param>
    /// <param name="op">Null: as <see cref="OperatorSet"/> has it.</param>
    /// <param name="arrange">Sets the tape node up, or null.</param>
    /// <param name="threads">That the operator may use.</param>
    public static void Run(
        Node node, int[]?[] inputDims, Random random, IReadOnlyDictionary<int, Tensor>? constants = null, double tolerance = 1e-6, int opset = 17,
        IDifferentiable? op = null, Action<TapeNode<double>>? arrange = null, int threads = 1)
    {
        op ??= (IDifferentiable)OperatorSet.For(node);
        var facts = inputDims.Select((d, i) =>
            constants?.GetValueOrDefault(i) is { } c ? ValueFact.Of(c) : d is null ? null : new ValueFact(ElementType.Float, TensorShape.FromDims(d))).ToArray();
        var context = new OpContext(node, opset, [.. facts]);
        var inputs = facts.Select((f, i) => f is not { Type: ElementType.Float } ? null : f.Value is { } c ? Doubles(c) : RandomValues(inputDims[i]!, random)).ToArray();
        var outputs = op.Infer(context).Take(node.Outputs.Length).Select((f, i) => node.Outputs[i].Length == 0 ? null : new Values<double>(f.Shape!.ToInts())).ToArray();
        var tape = new TapeNode<double>(context, inputs, outputs, new(threads));
        for (int i = 0; i < inputs.Length; i++)
        {
            if (facts[i]?.Value is { Type: ElementType.Int64 or ElementType.Int32 } ids) tape.Integers[i] = new(ids.Dims, ids.ToInt64s());
            else if (inputs[i] is { } x && constants?.ContainsKey(i) != true) tape.InputGradients[i] = new(x.Dims);
        }
        for (int i = 0; i < outputs.Length; i++)
            if (outputs[i] is { } y) tape.OutputGradients[i] = RandomValues(y.Dims, random);
        arrange?.Invoke(tape);

        op.Forward(tape);
        op.Backward(tape);
        for (int x = 0; x < inputs.Length; x++)
        {
            if (tape.InputGradients[x] is not { } gradient) continue;
            for (int i = 0; i < gradient.Count; i++)
            {
                double at = inputs[x]!.Data[i];
                inputs[x]!.Data[i] = at + Step;
                double above = Loss();
                inputs[x]!.Data[i] = at - Step;
                double below = Loss();
                inputs[x]!.Data[i] = at;
                double slope = (above - below) / (2 * Step);
                Assert.AreEqual(slope, gradient.Data[i], tolerance * Math.Max(1, Math.Abs(slope)), $"{node.OpType}: input {x}, element {i}");
            }
        }

        // What stands in the gradients is added to: going back twice doubles them.
        double[]?[] once = [.. tape.InputGradients.Select(g => g?.Data.ToArray())];
        op.Forward(tape);
        op.Backward(tape);
        for (int x = 0; x < once.Length; x++)
            for (int i = 0; i < (once[x]?.Length ?? 0); i++)
                Assert.AreEqual(2 * once[x]![i], tape.InputGradients[x]!.Data[i], 1e-9 * Math.Max(1, Math.Abs(once[x]![i])), "a gradient is added to what is there");

        // Where it may overwrite, what stood there does not matter.
        if (op.Overwrites && tape.InputGradients[0] is { } fresh)
        {
            Array.Fill(fresh.Data, double.NaN);
            tape.IsFresh = true;
            op.Backward(tape);
            for (int i = 0; i < fresh.Count; i++) Assert.AreEqual(once[0]![i], fresh.Data[i], 1e-9 * Math.Max(1, Math.Abs(once[0]![i])), "a fresh gradient is overwritten");
        }

        double Loss()
        {
            op.Forward(tape);
            return outputs.Zip(tape.OutputGradients).Sum(p => p.First is null ? 0 : p.First.Data.Zip(p.Second!.Data, (a, b) => a * b).Sum());
        }
    }

    private static Values<double> Doubles(Tensor tensor) => new(tensor.Dims, Array.ConvertAll(tensor.Span<float>().ToArray(), v => (double)v));

    private static Values<double> RandomValues(int[] dims, Random random)
    {
        var values = new Values<double>(dims);
        for (int i = 0; i < values.Data.Length; i++) values.Data[i] = (0.1 + random.NextDouble()) * (random.Next(2) == 0 ? 1 : -1);
        return values;
    }
}
