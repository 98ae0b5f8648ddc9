using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The mean of each window of x [N, C, ...], float32; elements of the padding count where count_include_pad is set.</summary>
internal sealed partial class AveragePool : Operator
{
    public override string OpType => "AveragePool";

    public override ValueFact[] Infer(OpContext context) => [new(context.Input(0, ElementType.Float).Type, PoolShape.Infer(context))];

    public override Step Prepare(PrepareContext context) => new PoolStep<float, Pool>(context, new(context.Attribute("count_include_pad", 0L) != 0));

    private readonly struct Pool(bool countPads) : IPool<float>
    {
        public float Start => 0;

        public float Add(float sum, float element) => sum + element;

        public float Finish(float sum, int inside, int window) => sum / (countPads ? window : inside);
    }
}
