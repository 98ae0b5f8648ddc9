using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>(Σ |x|^p)^(1/p), the elements one after the other; p is 1 or more.</summary>
internal readonly struct LpNorm(int p) : IPool<float>
{
    /// <summary>Attribute <c>p</c>, by default 2.</summary>
    public static LpNorm Of(OpContext context)
    {
        long p = context.Attribute("p", 2L);
        return p is >= 1 and <= int.MaxValue ? new((int)p) : throw context.Malformed($"p is {p}, expected 1 or more");
    }

    public float Start => 0;

    public float Add(float sum, float element)
    {
        float magnitude = MathF.Abs(element), power = 1;
        for (int rest = p; ;)
        {
            if ((rest & 1) != 0) power *= magnitude;
            if ((rest >>= 1) == 0) return sum + power;
            magnitude *= magnitude;
        }
    }

    public float Finish(float sum, int inside, int window) => p switch
    {
        1 => sum,
        2 => MathF.Sqrt(sum),
        _ when sum > 0 && float.IsFinite(sum) => ExpFunction.Of<LanesScalar, float, int>(default(LogFunction).Apply<LanesScalar, float, int>(sum) / p),
        _ => sum,
    };
}

/// <summary>The p-norm of each window of x [N, C, ...], float32.</summary>
internal sealed class LpPool : Operator
{
    public override string OpType => "LpPool";

    public override ValueFact[] Infer(OpContext context)
    {
        LpNorm.Of(context);
        return [new(context.Input(0, ElementType.Float).Type, PoolShape.Infer(context))];
    }

    public override Step Prepare(PrepareContext context) => new PoolStep<float, LpNorm>(context, LpNorm.Of(context));
}

/// <summary>The p-norm of each channel.</summary>
internal sealed class GlobalLpPool : GlobalPool
{
    public override string OpType => "GlobalLpPool";

    protected override PlanePool PoolOf(OpContext context)
    {
        var norm = LpNorm.Of(context);
        return plane =>
        {
            float sum = norm.Start;
            foreach (float element in plane) sum = norm.Add(sum, element);
            return norm.Finish(sum, plane.Length, plane.Length);
        };
    }
}
