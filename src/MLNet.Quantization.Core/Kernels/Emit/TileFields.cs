using System.Runtime.InteropServices;

namespace MLNet.Quantization.Kernels;

/// <summary>Where emitted code finds the fields of <see cref="TileArguments"/>.</summary>
internal static class TileFields
{
    public static int A { get; } = Of(nameof(TileArguments.A));

    public static int Lda { get; } = Of(nameof(TileArguments.Lda));

    public static int B { get; } = Of(nameof(TileArguments.B));

    public static int Groups { get; } = Of(nameof(TileArguments.Groups));

    public static int Jumps { get; } = Of(nameof(TileArguments.Jumps));

    public static int SegmentGroups { get; } = Of(nameof(TileArguments.SegmentGroups));

    public static int C { get; } = Of(nameof(TileArguments.C));

    public static int Ldc { get; } = Of(nameof(TileArguments.Ldc));

    public static int Offsets { get; } = Of(nameof(TileArguments.Offsets));

    public static int Scales { get; } = Of(nameof(TileArguments.Scales));

    public static int Bias { get; } = Of(nameof(TileArguments.Bias));

    public static int ColumnSums { get; } = Of(nameof(TileArguments.ColumnSums));

    public static int RowScales { get; } = Of(nameof(TileArguments.RowScales));

    public static int RowScaleStep { get; } = Of(nameof(TileArguments.RowScaleStep));

    public static int RowZeroPoints { get; } = Of(nameof(TileArguments.RowZeroPoints));

    public static int RowZeroPointStep { get; } = Of(nameof(TileArguments.RowZeroPointStep));

    public static int LastVectorMask { get; } = Of(nameof(TileArguments.LastVectorMask));

    public static int Low { get; } = Of(nameof(TileArguments.Low));

    public static int High { get; } = Of(nameof(TileArguments.High));

    public static int ZeroPoint { get; } = Of(nameof(TileArguments.ZeroPoint));

    private static int Of(string field) => (int)Marshal.OffsetOf<TileArguments>(field);
}
