using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>All spatial elements of each channel of x [N, C, ...] become one, float32; y is [N, C, 1, ...].</summary>
internal abstract class GlobalPool : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        var type = context.Input(0, Types).Type;
        if (context.Input(0).Shape is not { } x) return [new(type, null)];
        if (x.Rank < 3) throw context.Malformed($"its input has shape {x}, expected [N, C, ...]");
        var dims = x.Dims.ToArray();
        Array.Fill(dims, 1, 2, dims.Length - 2);
        return [new(type, new(dims))];
    }

    /// <summary>Element types of x and y.</summary>
    protected virtual ElementType[] Types => [ElementType.Float];

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
internal sealed partial class GlobalAveragePool : GlobalPool
{
    public override string OpType => "GlobalAveragePool";

    protected override PlanePool PoolOf(OpContext context) => plane => FloatReductions.Sum(plane) / plane.Length;
}

/// <summary>The maximum.</summary>
internal sealed partial class GlobalMaxPool : GlobalPool
{
    public override string OpType => "GlobalMaxPool";

    protected override PlanePool PoolOf(OpContext context) => plane => FloatReductions.Max(plane);

    /// <summary>The order of 8-bit codes is that of what they stand for.</summary>
    protected override ElementType[] Types => [ElementType.Float, ElementType.UInt8, ElementType.Int8];

    public override Step Prepare(PrepareContext context) => context.Input(0).Type switch
    {
        ElementType.UInt8 => new CodeStep<byte>(byte.MinValue),
        ElementType.Int8 => new CodeStep<sbyte>(sbyte.MinValue),
        _ => base.Prepare(context),
    };

    private sealed class CodeStep<T>(T least) : Step where T : unmanaged, INumber<T>
    {
        public override void Run(in StepContext context)
        {
            var x = context.Input<T>(0);
            var y = context.Output<T>(0);
            int plane = y.Length == 0 ? 0 : x.Length / y.Length;
            for (int i = 0; i < y.Length; i++)
            {
                y[i] = least;
                foreach (T code in x.Slice(i * plane, plane)) y[i] = T.Max(y[i], code);
            }
        }
    }
}
