using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// A way to compute u8 x s8 products on one kind of processor. It declares how weights are packed and activations are read, and gives
/// functions that compute one tile; packer and driver obey. All kernels give the same bytes.
/// </summary>
internal abstract unsafe class Int8Kernel
{
    /// <summary>What the environment variable, the tests and the benchmark call it.</summary>
    public abstract string Name { get; }

    /// <summary>Null where this process can run it, else the reason why not.</summary>
    public abstract string? WhyNot { get; }

    /// <summary>True where this process can run it.</summary>
    public bool IsSupported => WhyNot is null;

    /// <summary>Neighbours in k that lie together for each column of a panel: 4 where the instruction sums four products, 2 where two.</summary>
    public abstract int GroupSize { get; }

    public abstract ActivationForm Form { get; }

    /// <summary>Columns that one vector of sums holds.</summary>
    public abstract int Lanes { get; }

    /// <summary>True where tile functions are native code.</summary>
    public virtual bool IsNative => false;

    /// <summary>The widths of the panels of n columns, in vectors; all panels but the last are filled.</summary>
    public abstract int[] PanelVectors(int n);

    /// <summary>The most rows of a tile over a panel of that width.</summary>
    public abstract int MaxRows(int vectors);

    /// <summary>The function for a tile of that many rows, over segments or not: takes a TileArguments*.</summary>
    public abstract nint Tile(OutputStage stage, int vectors, int rows, bool segmented);

    /// <summary>The most vectors of a tile of a depthwise convolution whose window has so many taps along the width; 0 where the kernel has no such tiles.</summary>
    public virtual int MaxDepthVectors(int window) => 0;

    /// <summary>The function for a tile of a depthwise convolution, native code: takes a DepthTileArguments*.</summary>
    public virtual nint DepthTile(DepthTileShape shape) => throw new NotSupportedException($"{Name} has no tiles of depthwise convolutions.");

    /// <summary>Bytes of one activation in <see cref="Form"/>.</summary>
    public int ActivationBytes => Form == ActivationForm.Words ? 2 : 1;

    /// <summary>What the sums lack by the form of the activations, for a column whose weights sum to <paramref name="columnSum"/>.</summary>
    public int FormOffset(int columnSum) => Form == ActivationForm.SignedBytes ? unchecked(128 * columnSum) : 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Call(nint function, bool native, TileArguments* arguments)
    {
        if (!native)
            ((delegate*<TileArguments*, void>)function)(arguments);
        else if (arguments->Groups <= LongTile)
            ((delegate* unmanaged[SuppressGCTransition]<TileArguments*, void>)function)(arguments);
        else
            ((delegate* unmanaged<TileArguments*, void>)function)(arguments);
    }

    /// <summary>Without a transition, a garbage collection waits for the call to return: that must stay within microseconds.</summary>
    private const int LongTile = 1024;

    public override string ToString() => Name;
}
