namespace MLNet.Quantization.Ops;

/// <summary>The least element of one or more tensors; NaN where one is NaN.</summary>
internal sealed class Min : VariadicOperator
{
    public override string OpType => "Min";

    protected override T Join<T>(T x, T y) => T.Min(x, y);
}
