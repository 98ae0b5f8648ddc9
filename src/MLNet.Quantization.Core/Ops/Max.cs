namespace MLNet.Quantization.Ops;

/// <summary>The greatest element of one or more tensors; NaN where one is NaN.</summary>
internal sealed class Max : VariadicOperator
{
    public override string OpType => "Max";

    protected override T Join<T>(T x, T y) => T.Max(x, y);
}
