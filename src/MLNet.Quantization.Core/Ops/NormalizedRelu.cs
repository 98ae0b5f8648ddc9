using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// BatchNormalization, Relu and, where there is one, MaxPool in a row while training, as one: the normalization's inputs, the last one's
/// output. Only training knows it; <see cref="OpContext.Node"/> is the normalization.
/// </summary>
/// <param name="pool">The pool's node, or null.</param>
internal sealed class NormalizedRelu(OpContext? pool) : IDifferentiable
{
    public string OpType => "BatchNormalization";

    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public bool Overwrites => true;

    public ValueFact[] Infer(OpContext context) => [new(ElementType.Float, pool is null ? context.Input(0).Shape : PoolShape.Infer(pool))];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => BatchNormalization.Run(node, PlanesOf(node), isForward: true);

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> => BatchNormalization.Run(node, PlanesOf(node), isForward: false);

    private NormalizedPlanes<T> PlanesOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        pool is null ? PositivePlanes<T>.Instance
        : (NormalizedPlanes<T>)(node.State ??= new PooledPlanes<T>(new(PoolShape.Resolve(pool, node.Input(0).Dims), WorkerPool.LaneCount), node.Output().Count));
}
