using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The greatest element of each window, of x [N, C, ...] float32, uint8 or int8. The optional second output (indices) is not supported.</summary>
internal sealed partial class MaxPool : Operator
{
    public override string OpType => "MaxPool";

    public override ValueFact[] Infer(OpContext context)
    {
        if (context.OutputCount > 1 && context.Node.Outputs[1].Length > 0) throw context.Unsupported("the indices of the maxima are asked for, supported are the maxima alone");
        return [new(context.Input(0, ElementType.Float, ElementType.UInt8, ElementType.Int8).Type, PoolShape.Infer(context))];
    }

    public override Step Prepare(PrepareContext context) => context.Input(0).Type switch
    {
        ElementType.UInt8 => new PoolStep<byte, Pool<byte>>(context, new(byte.MinValue)),
        ElementType.Int8 => new PoolStep<sbyte, Pool<sbyte>>(context, new(sbyte.MinValue)),
        _ => new FloatMaxPoolStep(context),
    };

    private readonly struct Pool<T>(T least) : IPool<T> where T : unmanaged, INumber<T>
    {
        public T Start => least;

        public T Add(T sum, T element) => element > sum ? element : sum;

        public T Finish(T sum, int inside, int window) => sum;
    }
}
