using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The greatest element of each window, of x [N, C, ...] float32, uint8 or int8, and, where the second output is named, its place in x
/// (<see cref="IndexedMaxPoolStep{T}"/>).
/// </summary>
internal sealed partial class MaxPool : Operator
{
    public override string OpType => "MaxPool";

    public override ValueFact[] Infer(OpContext context)
    {
        var type = context.Input(0, ElementType.Float, ElementType.UInt8, ElementType.Int8).Type;
        long order = context.Attribute("storage_order", 0L);
        if (order is not (0 or 1)) throw context.Malformed($"storage_order is {order}, expected 0 or 1");
        var shape = PoolShape.Infer(context);
        return [new(type, shape), new(ElementType.Int64, shape)];
    }

    public override Step Prepare(PrepareContext context) => (context.Input(0).Type, HasIndices(context)) switch
    {
        (ElementType.UInt8, true) => new IndexedMaxPoolStep<byte>(context, byte.MinValue),
        (ElementType.Int8, true) => new IndexedMaxPoolStep<sbyte>(context, sbyte.MinValue),
        (_, true) => new IndexedMaxPoolStep<float>(context, float.NegativeInfinity),
        (ElementType.UInt8, _) => new PoolStep<byte, Pool<byte>>(context, new(byte.MinValue)),
        (ElementType.Int8, _) => new PoolStep<sbyte, Pool<sbyte>>(context, new(sbyte.MinValue)),
        _ => new FloatMaxPoolStep(context),
    };

    private static bool HasIndices(OpContext context) => context.OutputCount > 1 && context.Node.Outputs[1].Length > 0;

    private readonly struct Pool<T>(T least) : IPool<T> where T : unmanaged, INumber<T>
    {
        public T Start => least;

        public T Add(T sum, T element) => element > sum ? element : sum;

        public T Finish(T sum, int inside, int window) => sum;
    }
}
