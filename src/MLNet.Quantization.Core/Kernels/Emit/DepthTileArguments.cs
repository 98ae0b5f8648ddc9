using System.Runtime.InteropServices;

namespace MLNet.Quantization.Kernels;

/// <summary>The one argument of a tile of a depthwise convolution (<see cref="VnniDepthTile"/>), which reads the fields at their offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct DepthTileArguments
{
    /// <summary>First column of the first window: [lane][line of the block], bytes.</summary>
    public byte* From;

    /// <summary>Bytes from one block of four lines to the next.</summary>
    public long BlockStep;

    /// <summary>Offsets, int32 by lane, then weights: s8 [block][tap along the width][lane][line of the block].</summary>
    public void* Constants;

    /// <summary>Multipliers by lane.</summary>
    public float* Scales;

    /// <summary>Puts the groups of four codes in order: 16 numbers, <see cref="CodeOrder"/>.</summary>
    public int* Order;

    /// <summary>First code, and bytes from one vector's codes to the next.</summary>
    public byte* Output;

    public long OutputStep;

    /// <summary>Tiles one behind the other in a line, 1 or more.</summary>
    public long Count;

    /// <summary>The lanes that exist.</summary>
    public ulong Mask;

    /// <summary>The greatest code, less the zero point.</summary>
    public float High;

    /// <summary>Zero point and least code, as u8 codes; what these differ in from the codes that are stored is turned at the end.</summary>
    public int ZeroPoint, LowCode, Flip;

    /// <summary>Codes of four vectors, packed within quarters, lie in this order.</summary>
    public static ReadOnlySpan<int> CodeOrder => [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];
}
