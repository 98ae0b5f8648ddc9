using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

// With y = a^b: b · a^(b - 1) to a, and y · ln a to b, where a is above 0.
internal sealed partial class Pow : IDifferentiable
{
    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var plan = PlanOf(node);
        var y = node.Output().Data;
        for (int i = 0; i < y.Length; i++)
        {
            var (a, b) = At(node, plan, i);
            double from = double.CreateChecked(node.Input(0).Data[a]), exponent = ExponentAt(node, b);
            y[i] = T.CreateTruncating(exponent == 2 ? from * from : DoublePower.Of(from, exponent));
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var plan = PlanOf(node);
        var g = node.OutputGradient().Data;
        for (int i = 0; i < g.Length; i++)
        {
            var (a, b) = At(node, plan, i);
            double from = double.CreateChecked(node.Input(0).Data[a]), exponent = ExponentAt(node, b), gradient = double.CreateChecked(g[i]);
            if (node.InputGradient(0) is { } toA && exponent != 0) toA.Data[a] += T.CreateTruncating(gradient * exponent * DoublePower.Of(from, exponent - 1));
            if (node.InputGradient(1) is { } toB && from > 0) toB.Data[b] += T.CreateTruncating(gradient * DoublePower.Of(from, exponent) * Math.Log(from));
        }
    }

    private static BroadcastPlan PlanOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        (BroadcastPlan)(node.State ??= new BroadcastPlan(node.Input(0).Dims, node.Context.Input(1).Shape!.ToInts(), node.Output().Dims));

    private static (int A, int B) At<T>(TapeNode<T> node, BroadcastPlan plan, int i) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (run, at) = Math.DivRem(i, plan.RunLength);
        var (a, b) = plan.StartOf(run);
        return (a + (plan.AMoves ? at : 0), b + (plan.BMoves ? at : 0));
    }

    /// <summary>Exponents may be integers.</summary>
    private static double ExponentAt<T>(TapeNode<T> node, int at) where T : unmanaged, IFloatingPointIeee754<T> =>
        node.Inputs[1] is { } reals ? double.CreateChecked(reals.Data[at]) : node.Integers[1] is { } integers ? integers.Data[at] : node.Context.Input(1).Value!.ToInt64s()[at];
}
