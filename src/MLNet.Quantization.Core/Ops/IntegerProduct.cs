using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Products of two 8-bit matrices with any zero points, the plain way: what MatMulInteger and QLinearMatMul fall back to where the INT8
/// kernels (u8 activations, constant symmetric s8 weights) do not apply.
/// </summary>
internal static class IntegerProduct
{
    /// <summary>The code at a position, whichever of the two types it has.</summary>
    public static int CodeAt(ReadOnlySpan<byte> codes, bool signed, int index) => signed ? (sbyte)codes[index] : codes[index];

    /// <summary>sums[i, j] = Σ over k of (a[i, k] - Za[i]) · (b[k, j] - Zb[j]), exact.</summary>
    /// <param name="a">[m, k].</param>
    /// <param name="b">[k, n].</param>
    /// <param name="m">Rows.</param>
    /// <param name="k">Terms of a sum.</param>
    /// <param name="n">Columns.</param>
    /// <param name="aZero">Za: empty, one, or m.</param>
    /// <param name="bZero">Zb: empty, one, or n.</param>
    /// <param name="aSigned">True where a is s8.</param>
    /// <param name="bSigned">True where b is s8.</param>
    /// <param name="sums">[m, n].</param>
    public static void Sums(
        ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, int m, int k, int n, ReadOnlySpan<byte> aZero, ReadOnlySpan<byte> bZero, bool aSigned, bool bSigned, Span<long> sums)
    {
        sums.Clear();
        for (int i = 0; i < m; i++)
        {
            int za = aZero.IsEmpty ? 0 : CodeAt(aZero, aSigned, aZero.Length == 1 ? 0 : i);
            var row = sums.Slice(i * n, n);
            for (int l = 0; l < k; l++)
            {
                int value = CodeAt(a, aSigned, (i * k) + l) - za;
                if (value == 0) continue;
                for (int j = 0; j < n; j++)
                {
                    int zb = bZero.IsEmpty ? 0 : CodeAt(bZero, bSigned, bZero.Length == 1 ? 0 : j);
                    row[j] += value * (CodeAt(b, bSigned, (l * n) + j) - zb);
                }
            }
        }
    }

    /// <summary>Checks a zero point (or scale) of A: one, or one a row.</summary>
    public static void CheckRows(OpContext context, int input, TensorShape? a) => Check(context, input, a is { Rank: > 1 } ? a[a.Rank - 2] : Dimension.Unknown, "rows");

    /// <summary>Checks a zero point (or scale) of B: one, or one a column.</summary>
    public static void CheckColumns(OpContext context, int input, TensorShape? b) => Check(context, input, b is { Rank: > 1 } ? b[b.Rank - 1] : Dimension.Unknown, "columns");

    private static void Check(OpContext context, int input, Dimension extent, string what)
    {
        if (context.Optional(input)?.Shape is not { IsKnown: true } shape || shape.ElementCount == 1 || !extent.IsKnown) return;
        if (shape.Rank != 1 || shape.ElementCount != extent.Value)
            throw context.Unsupported($"input {input} ('{context.Node.Inputs[input]}') has shape {shape}; supported: one value, or one for each of {extent} {what}");
    }

    /// <summary>True where the constant is absent or holds only zeros.</summary>
    public static bool IsZero(PrepareContext context, int input) => context.Optional(input) is not { } fact || fact.Value is { } zero && !zero.Bytes.Span.ContainsAnyExcept((byte)0);

    /// <summary>An input's bytes, or nothing.</summary>
    public static ReadOnlySpan<byte> Bytes(in StepContext context, int input) =>
        input < context.Inputs.Length && context.Inputs[input].IsPresent ? context.Input<byte>(input) : default;

    /// <summary>int64 sums of one product at the start of the workspace.</summary>
    public static Span<long> SumsIn(Span<byte> workspace, int count) => MemoryMarshal.Cast<byte, long>(workspace)[..count];
}
