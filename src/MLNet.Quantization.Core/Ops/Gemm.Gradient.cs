using System.Numerics;

namespace MLNet.Quantization.Ops;

// With G = ∂L/∂Y: ∂L/∂A' = alpha · G · B'ᵀ, ∂L/∂B' = alpha · A'ᵀ · G, and ∂L/∂C = beta · G summed over what was broadcast.
internal sealed partial class Gemm : IDifferentiable
{
    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public bool Overwrites => true;

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var f = new Form<T>(node);
        var y = node.Output().Data.AsSpan();
        Products.Multiply<T>(node.Input(0).Data, f.TransA, node.Input(1).Data, f.TransB, f.M, f.K, f.N, y, add: false, node.Memory);
        if (f.Alpha != T.One)
            for (int i = 0; i < y.Length; i++) y[i] *= f.Alpha;
        if (!node.Has(2)) return;
        ReadOnlySpan<T> c = node.Input(2).Data;
        for (int row = 0; row < f.M; row++)
        {
            var sums = y.Slice(row * f.N, f.N);
            if (f.CColumns == 1) Vectors.AddTo(f.Beta * c[f.CRow(row)], sums);
            else Vectors.AddScaled(c.Slice(f.CRow(row), f.N), f.Beta, sums);
        }
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var f = new Form<T>(node);
        ReadOnlySpan<T> a = node.Input(0).Data, b = node.Input(1).Data, g = node.OutputGradient().Data;
        if (node.InputGradient(2) is { } c)
            for (int row = 0; row < f.M; row++)
            {
                var part = g.Slice(row * f.N, f.N);
                if (f.CColumns == 1) c.Data[f.CRow(row)] += f.Beta * Vectors.Sum(part);
                else Vectors.AddScaled(part, f.Beta, c.Data.AsSpan(f.CRow(row), f.N));
            }
        if (f.Alpha != T.One)
        {
            var scaled = node.Scratch(0, g.Length);
            scaled.Clear();
            Vectors.AddScaled(g, f.Alpha, scaled);
            g = scaled;
        }
        if (node.InputGradient(0) is { } da)
        {
            if (f.TransA) Products.Multiply(b, f.TransB, g, true, f.K, f.N, f.M, da.Data, add: !node.IsFresh, node.Memory);
            else Products.Multiply(g, false, b, !f.TransB, f.M, f.N, f.K, da.Data, add: !node.IsFresh, node.Memory);
        }
        if (node.InputGradient(1) is not { } db) return;
        if (f.TransB) Products.Multiply(g, true, a, f.TransA, f.N, f.M, f.K, db.Data, add: true, node.Memory);
        else Products.Multiply(a, !f.TransA, g, false, f.K, f.M, f.N, db.Data, add: true, node.Memory);
    }

    /// <summary>The node's attributes and extents.</summary>
    private readonly struct Form<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        private readonly int[]? _c = node.Has(2) ? node.Input(2).Dims : null;

        public bool TransA { get; } = node.Context.Attribute("transA", 0L) != 0;

        public bool TransB { get; } = node.Context.Attribute("transB", 0L) != 0;

        public T Alpha { get; } = T.CreateChecked(node.Context.Attribute("alpha", 1f));

        public T Beta { get; } = T.CreateChecked(node.Context.Attribute("beta", 1f));

        public int M { get; } = node.Output().Dims[0];

        public int N { get; } = node.Output().Dims[1];

        public int K => node.Input(0).Dims[TransA ? 0 : 1];

        /// <summary>N, or 1 where one number serves all columns.</summary>
        public int CColumns => _c is [.., var last] ? last : 1;

        /// <summary>Where the part of C for a row starts.</summary>
        public int CRow(int row) => _c is [> 1, _] ? row * CColumns : 0;
    }
}
