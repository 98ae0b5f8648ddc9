using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>One node in the order of a tape.</summary>
internal abstract class TapeEntry<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    public abstract void Forward();

    public virtual void Backward()
    {
    }
}

/// <summary>A node with a gradient.</summary>
internal sealed class DifferentiableEntry<T>(IDifferentiable op, TapeNode<T> node) : TapeEntry<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    public TapeNode<T> Node => node;

    public IDifferentiable Operator => op;

    /// <summary>Gradients that this node is the first to add to, but for one that it overwrites.</summary>
    public List<Values<T>> ToClear { get; } = [];

    /// <summary>Whether a gradient comes in and one is wanted.</summary>
    public bool GoesBack { get; set; }

    public override void Forward() => op.Forward(node);

    public override void Backward()
    {
        foreach (var gradient in ToClear) Array.Clear(gradient.Data);
        if (GoesBack) op.Backward(node);
    }
}

/// <summary>A node that no parameter leads to: computed by the step that scores, on whatever types it has.</summary>
internal sealed class EvaluatedEntry<T>(Node node, int opset, Func<Tensor?>[] inputs, Action<Tensor>?[] outputs) : TapeEntry<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    public override void Forward()
    {
        var facts = inputs.Select(i => i() is { } t ? ValueFact.Of(t) : null);
        var results = Evaluator.Evaluate(OperatorSet.For(node), new OpContext(node, opset, [.. facts]));
        for (int i = 0; i < outputs.Length; i++) outputs[i]?.Invoke(results[i]);
    }
}
