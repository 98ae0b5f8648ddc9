using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Weighted sums along the axes of a float32 tensor, one axis after the other from the first on; each element is a sum of rounded products with
/// the source ascending. Immutable.
/// </summary>
internal sealed class Interpolation
{
    /// <param name="Outer">Product of the extents before the axis.</param>
    /// <param name="Input">Extent of the axis before.</param>
    /// <param name="Output">Extent after.</param>
    /// <param name="Inner">Product of the extents behind.</param>
    /// <param name="Taps">By place; empty: the extrapolation value.</param>
    private sealed record Pass(int Outer, int Input, int Output, int Inner, (int Element, float Weight)[][] Taps)
    {
        public long ResultCount => (long)Outer * Output * Inner;
    }

    private readonly List<Pass> _passes = [];
    private readonly long _between;

    /// <param name="source">Extents.</param>
    /// <param name="taps">By axis and place; null: the axis stays as it is.</param>
    public Interpolation(ReadOnlySpan<int> source, (int Element, float Weight)[]?[]?[] taps)
    {
        int[] dims = source.ToArray();
        for (int i = 0; i < dims.Length; i++)
        {
            if (taps[i] is not { } axis) continue;
            var pass = new Pass(Product(dims.AsSpan(0, i)), dims[i], axis.Length, Product(dims.AsSpan(i + 1)), axis!);
            _passes.Add(pass);
            dims[i] = axis.Length;
        }
        for (int i = 0; i + 1 < _passes.Count; i++) _between = Math.Max(_between, _passes[i].ResultCount);
    }

    /// <summary>Two tensors between passes.</summary>
    public long WorkspaceBytes => sizeof(float) * 2 * _between;

    public void Run(ReadOnlySpan<float> source, Span<float> result, Span<byte> workspace, float extrapolation)
    {
        if (result.IsEmpty) return;
        if (_passes.Count == 0) source.CopyTo(result);
        var work = MemoryMarshal.Cast<byte, float>(workspace);
        for (int i = 0; i < _passes.Count; i++)
        {
            var to = i == _passes.Count - 1 ? result : work.Slice(i % 2 * (int)_between, (int)_passes[i].ResultCount);
            Run(_passes[i], source, to, extrapolation);
            source = to;
        }
        // A place outside along one axis is outside, whatever the passes behind it made of it.
        foreach (var pass in _passes)
            for (int o = 0; o < pass.Output; o++)
                if (pass.Taps[o].Length == 0) FillPlace(pass, o, result, extrapolation);
    }

    private static void FillPlace(Pass pass, int place, Span<float> result, float extrapolation)
    {
        // The axes behind have their final extents in the result.
        int inner = result.Length / pass.Outer / pass.Output;
        for (int outer = 0; outer < pass.Outer; outer++) result.Slice(((outer * pass.Output) + place) * inner, inner).Fill(extrapolation);
    }

    private static void Run(Pass pass, ReadOnlySpan<float> source, Span<float> result, float extrapolation)
    {
        int n = pass.Inner;
        for (int outer = 0; outer < pass.Outer; outer++)
        {
            var from = source.Slice(outer * pass.Input * n, pass.Input * n);
            for (int o = 0; o < pass.Output; o++)
            {
                var to = result.Slice(((outer * pass.Output) + o) * n, n);
                var taps = pass.Taps[o];
                if (taps.Length == 0) to.Fill(extrapolation);
                else if (n == 1) to[0] = One(from, taps);
                else WeightedSum.Run(from, taps, to);
            }
        }
    }

    private static float One(ReadOnlySpan<float> from, (int Element, float Weight)[] taps)
    {
        float sum = from[taps[0].Element] * taps[0].Weight;
        for (int i = 1; i < taps.Length; i++) sum += from[taps[i].Element] * taps[i].Weight;
        return sum;
    }

    private static int Product(ReadOnlySpan<int> dims)
    {
        int product = 1;
        foreach (int d in dims) product = checked(product * d);
        return product;
    }
}
