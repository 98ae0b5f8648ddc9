using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>All spatial elements of each channel of x [N, C, ...] become one, float32; y is [N, C, 1, ...].</summary>
internal abstract class GlobalPool : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        context.Input(0, ElementType.Float);
        if (context.Input(0).Shape is not { } x) return [new(ElementType.Float, null)];
        if (x.Rank < 3) throw context.Malformed($"its input has shape {x}, expected [N, C, ...]");
        var dims = x.Dims.ToArray();
        Array.Fill(dims, 1, 2, dims.Length - 2);
        return [new(ElementType.Float, new(dims))];
    }

    public override Step Prepare(PrepareContext context) => new PoolStep(PoolOf(context));

    protected delegate float PlanePool(ReadOnlySpan<float> plane);

    /// <summary>The function with the node's parameters.</summary>
    protected abstract PlanePool PoolOf(OpContext context);

    private sealed class PoolStep(PlanePool pool) : Step
    {
        public override void Run(in StepContext context)
        {
            var x = context.Input<float>(0);
            var y = context.Output<float>(0);
            int plane = y.Length == 0 ? 0 : x.Length / y.Length;
            for (int i = 0; i < y.Length; i++) y[i] = pool(x.Slice(i * plane, plane));
        }
    }
}

/// <summary>The mean.</summary>
internal sealed class GlobalAveragePool : GlobalPool
{
    public override string OpType => "GlobalAveragePool";

    protected override PlanePool PoolOf(OpContext context) => plane => FloatReductions.Sum(plane) / plane.Length;
}

/// <summary>The maximum.</summary>
internal sealed class GlobalMaxPool : GlobalPool
{
    public override string OpType => "GlobalMaxPool";

    protected override PlanePool PoolOf(OpContext context) => plane => FloatReductions.Max(plane);
}
