using System.Runtime.InteropServices;

namespace MLNet.Quantization.Kernels;

/// <summary>What becomes of the sums of a tile.</summary>
internal enum OutputStage
{
    /// <summary>int32: sum + offset.</summary>
    Int32,

    /// <summary>8-bit codes: (sum + offset) · multiplier, clamped, rounded, plus zero point (<see cref="NaiveInt8.Requantize"/>).</summary>
    Requantized,

    /// <summary>float32: (sum + offset - Za · Σw), scaled by row and by column, plus bias (<see cref="NaiveInt8.Scale"/>).</summary>
    Float,
}

/// <summary>
/// The one argument of a tile function: rows of activations times one panel of weights, to a rectangle of the output. Emitted code
/// reads the fields at their offsets. Everything that is indexed by column starts at the panel's first column and can be read for as
/// many columns as the panel is wide; only <see cref="Columns"/> of the output are written.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TileArguments
{
    /// <summary>Ends <see cref="Jumps"/>; no distance within memory that a row spans.</summary>
    public const long LastJump = int.MinValue;

    /// <summary>First row of activations, in the kernel's <see cref="ActivationForm"/>.</summary>
    public byte* A;

    /// <summary>Bytes from one row of activations to the next.</summary>
    public long Lda;

    /// <summary>The panel: [group][column][k within group].</summary>
    public sbyte* B;

    /// <summary>Groups of k that the sums run over.</summary>
    public long Groups;

    /// <summary>
    /// Null where the groups of a row lie side by side. Else they lie in segments of <see cref="SegmentGroups"/> groups (the window of a
    /// convolution): bytes from the end of one segment to the start of the next, <see cref="LastJump"/> at the end.
    /// </summary>
    public long* Jumps;

    /// <summary>Groups of one segment.</summary>
    public long SegmentGroups;

    /// <summary>First element of the output rectangle.</summary>
    public byte* C;

    /// <summary>Bytes from one output row to the next.</summary>
    public long Ldc;

    /// <summary>Added to the sum of each column.</summary>
    public int* Offsets;

    /// <summary>Multiplier, or scale, of each column.</summary>
    public float* Scales;

    /// <summary>Float stage: bias of each column.</summary>
    public float* Bias;

    /// <summary>Float stage: Σw of each column.</summary>
    public int* ColumnSums;

    /// <summary>Float stage: scale of the first row.</summary>
    public float* RowScales;

    /// <summary>Float stage: bytes from one row's scale to the next, 4 or 0.</summary>
    public long RowScaleStep;

    /// <summary>Float stage: zero point of the first row.</summary>
    public int* RowZeroPoints;

    /// <summary>Float stage: bytes from one row's zero point to the next, 4 or 0.</summary>
    public long RowZeroPointStep;

    /// <summary>The valid lanes of the panel's last vector.</summary>
    public ulong LastVectorMask;

    /// <summary>Requantized stage: the clamp, less the zero point.</summary>
    public float Low, High;

    /// <summary>Requantized stage: zero point of the output.</summary>
    public int ZeroPoint;

    /// <summary>Valid columns of the panel.</summary>
    public int Columns;

    /// <summary>Which of the three; emitted code is made for one.</summary>
    public OutputStage Stage;
}
