using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>The product; 1 of nothing. Of a shape with one extent that is a symbol, and numbers that make 1, that symbol.</summary>
internal sealed class ReduceProd : Reduction
{
    public override string OpType => "ReduceProd";

    protected override float Reduce(ReadOnlySpan<float> x, Span<float> scratch) => FloatReductions.Product(x);

    protected override T Reduce<T>(ReadOnlySpan<T> x)
    {
        T product = T.One;
        foreach (T element in x) product = unchecked(product * element);
        return product;
    }

    protected override ShapeEntry Reduce(ShapeEntry[] entries)
    {
        ShapeEntry[] open = [.. entries.Where(e => e.Number is null)], known = [.. entries.Where(e => e.Number is not null)];
        var product = base.Reduce(known);
        return open.Length == 0 ? product : open.Length == 1 && product.Number == 1 ? open[0] : default;
    }
}
