using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// What the gates of a recurrent cell read and write for some rows at one step. Each gate is <see cref="Width"/> values wide, of which
/// those beyond the layer's own are unspecified in results; gates follow each other in the order of the ONNX standard.
/// </summary>
internal unsafe struct GateArguments
{
    /// <summary>Units of the layer, filled up to a multiple of <see cref="RecurrentGates.Unit"/>.</summary>
    public int Width;

    /// <summary>Rows still to do.</summary>
    public int Rows;

    /// <summary>Floats from one row of <see cref="Input"/> to the next, and of <see cref="Recurrent"/>. Other rows follow each other.</summary>
    public int InputStep, RecurrentStep;

    /// <summary>x · W + bias, all gates.</summary>
    public float* Input;

    /// <summary>h · R, all gates; or, in the second half of a reset cell, the last gate alone.</summary>
    public float* Recurrent;

    /// <summary>Peepholes of the gates i, o, f, or null.</summary>
    public float* Peepholes;

    /// <summary>c, replaced.</summary>
    public float* Cell;

    /// <summary>h, replaced.</summary>
    public float* State;

    /// <summary>Reset cells: r ⊙ h, what the last gate multiplies.</summary>
    public float* Reset;

    /// <summary>Bound of what goes into an activation; infinity for none.</summary>
    public float Clip;

    /// <summary>The forget gate is 1 less the input gate.</summary>
    public bool Coupled;

    /// <summary>Goes on to the next row; false after the last.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Next()
    {
        Input += InputStep;
        Recurrent += RecurrentStep;
        State += Width;
        if (Cell != null) Cell += Width;
        if (Reset != null) Reset += Width;
        return --Rows > 0;
    }
}

/// <summary>The gates of one kind of cell. Written once over the vector widths: the same bits from all.</summary>
internal abstract unsafe class RecurrentGates
{
    /// <summary>The widest vector.</summary>
    public const int Unit = 16;

    protected RecurrentGates(FloatTier? tier) => Lanes = (tier ?? FloatTier.Best).Lanes;

    protected int Lanes { get; }

    /// <summary>One step of at least one row, which <paramref name="a"/> stands behind afterwards.</summary>
    public abstract void Run(GateArguments* a);

    /// <summary>The two sums of a gate, bounded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected static TFloats Sum<L, TFloats, TInts>(GateArguments* a, int at) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Add(L.Load(a->Input + at), L.Load(a->Recurrent + at));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected static TFloats Bounded<L, TFloats, TInts>(GateArguments* a, TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        float.IsPositiveInfinity(a->Clip) ? x : new ClipFunction(-a->Clip, a->Clip).Apply<L, TFloats, TInts>(x);
}
