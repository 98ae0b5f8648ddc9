using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// What the gates of a recurrent cell read and write for one row at one step. Each gate is <see cref="Width"/> values wide, of which
/// those beyond the layer's own are unspecified in results; gates follow each other in the order of the ONNX standard.
/// </summary>
internal unsafe struct GateArguments
{
    /// <summary>Units of the layer, filled up to a multiple of <see cref="RecurrentGates.Unit"/>.</summary>
    public int Width;

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
}

/// <summary>The gates of one kind of cell. Written once over the vector widths: the same bits from all.</summary>
internal abstract unsafe class RecurrentGates
{
    /// <summary>The widest vector.</summary>
    public const int Unit = 16;

    protected RecurrentGates(FloatTier? tier) => Lanes = (tier ?? FloatTier.Best).Lanes;

    protected int Lanes { get; }

    /// <summary>One row, one step.</summary>
    public abstract void Run(GateArguments* a);

    /// <summary>The two sums of a gate, bounded.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected static TFloats Sum<L, TFloats, TInts>(GateArguments* a, int at) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Add(L.Load(a->Input + at), L.Load(a->Recurrent + at));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private protected static TFloats Bounded<L, TFloats, TInts>(GateArguments* a, TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        float.IsPositiveInfinity(a->Clip) ? x : new ClipFunction(-a->Clip, a->Clip).Apply<L, TFloats, TInts>(x);
}

/// <summary>
/// i = f(xi + hi + Pi ⊙ c), F = f(xf + hf + Pf ⊙ c), C = F ⊙ c + i ⊙ g(xc + hc), o = f(xo + ho + Po ⊙ C), h = o ⊙ H(C): the ONNX
/// standard's LSTM, gates in the order i, o, f, c.
/// </summary>
internal sealed unsafe class LstmGates(GateActivation f, GateActivation g, GateActivation h, FloatTier? tier = null) : RecurrentGates(tier)
{
    private readonly bool _isUsual = f.Kind == GateFunctionKind.Sigmoid && g.Kind == GateFunctionKind.Tanh && h.Kind == GateFunctionKind.Tanh;

    public override void Run(GateArguments* a)
    {
        if (_isUsual) Run(a, new SigmoidFunction(), new TanhFunction(), new TanhFunction());
        else Run(a, f, g, h);
    }

    private void Run<F, G, H>(GateArguments* a, F first, G second, H third) where F : struct, IUnaryFunction where G : struct, IUnaryFunction where H : struct, IUnaryFunction
    {
        switch (Lanes)
        {
            case 16: Run<F, G, H, Lanes512, Vector512<float>, Vector512<int>>(a, first, second, third); break;
            case 8: Run<F, G, H, Lanes256, Vector256<float>, Vector256<int>>(a, first, second, third); break;
            case 4: Run<F, G, H, Lanes128, Vector128<float>, Vector128<int>>(a, first, second, third); break;
            default: Run<F, G, H, LanesScalar, float, int>(a, first, second, third); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<F, G, H, L, TFloats, TInts>(GateArguments* a, F f, G g, H h)
        where F : struct, IUnaryFunction where G : struct, IUnaryFunction where H : struct, IUnaryFunction
        where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        float* p = a->Peepholes;
        for (int j = 0; j < width; j += L.Count)
        {
            TFloats c = L.Load(a->Cell + j), input = Sum<L, TFloats, TInts>(a, j), output = Sum<L, TFloats, TInts>(a, width + j);
            TFloats forget = Sum<L, TFloats, TInts>(a, (2 * width) + j), change = Sum<L, TFloats, TInts>(a, (3 * width) + j);
            if (p != null)
            {
                input = L.Fma(L.Load(p + j), c, input);
                forget = L.Fma(L.Load(p + (2 * width) + j), c, forget);
            }
            input = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, input));
            forget = a->Coupled ? L.Subtract(L.Create(1f), input) : f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, forget));
            change = g.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, change));
            c = L.Fma(forget, c, L.Multiply(input, change));
            if (p != null) output = L.Fma(L.Load(p + width + j), c, output);
            output = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, output));
            L.Store(c, a->Cell + j);
            L.Store(L.Multiply(output, h.Apply<L, TFloats, TInts>(c)), a->State + j);
        }
    }
}

/// <summary>
/// z = f(xz + hz), r = f(xr + hr), then H = (1 - z) ⊙ g(xh + r ⊙ hh) + z ⊙ h: the ONNX standard's GRU with linear_before_reset, gates in
/// the order z, r, h.
/// </summary>
internal sealed unsafe class GruGates(GateActivation f, GateActivation g, FloatTier? tier = null) : RecurrentGates(tier)
{
    private readonly bool _isUsual = f.Kind == GateFunctionKind.Sigmoid && g.Kind == GateFunctionKind.Tanh;

    public override void Run(GateArguments* a)
    {
        if (_isUsual) Run(a, new SigmoidFunction(), new TanhFunction());
        else Run(a, f, g);
    }

    private void Run<F, G>(GateArguments* a, F first, G second) where F : struct, IUnaryFunction where G : struct, IUnaryFunction
    {
        switch (Lanes)
        {
            case 16: Run<F, G, Lanes512, Vector512<float>, Vector512<int>>(a, first, second); break;
            case 8: Run<F, G, Lanes256, Vector256<float>, Vector256<int>>(a, first, second); break;
            case 4: Run<F, G, Lanes128, Vector128<float>, Vector128<int>>(a, first, second); break;
            default: Run<F, G, LanesScalar, float, int>(a, first, second); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<F, G, L, TFloats, TInts>(GateArguments* a, F f, G g)
        where F : struct, IUnaryFunction where G : struct, IUnaryFunction where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        for (int j = 0; j < width; j += L.Count)
        {
            var z = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j)));
            var r = f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, width + j)));
            var sum = L.Fma(r, L.Load(a->Recurrent + (2 * width) + j), L.Load(a->Input + (2 * width) + j));
            var change = g.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, sum));
            L.Store(ResetGates.Blend<L, TFloats, TInts>(z, change, L.Load(a->State + j)), a->State + j);
        }
    }
}

/// <summary>
/// The first half of the ONNX standard's GRU without linear_before_reset: z = f(xz + hz), which replaces xz, and r ⊙ h with
/// r = f(xr + hr), which the recurrent weights of the last gate then multiply; and the second half, H = (1 - z) ⊙ g(xh + hh) + z ⊙ h.
/// </summary>
internal sealed unsafe class ResetGates(GateActivation f, GateActivation g, FloatTier? tier = null) : RecurrentGates(tier)
{
    private readonly bool _isUsual = f.Kind == GateFunctionKind.Sigmoid && g.Kind == GateFunctionKind.Tanh;

    public override void Run(GateArguments* a)
    {
        if (_isUsual) Split(a, new SigmoidFunction(), first: true);
        else Split(a, f, first: true);
    }

    /// <summary>The second half; <see cref="GateArguments.Recurrent"/> is the last gate's alone.</summary>
    public void Finish(GateArguments* a)
    {
        if (_isUsual) Split(a, new TanhFunction(), first: false);
        else Split(a, g, first: false);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TFloats Blend<L, TFloats, TInts>(TFloats z, TFloats change, TFloats old) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged =>
        L.Add(L.Multiply(L.Subtract(L.Create(1f), z), change), L.Multiply(z, old));

    private void Split<F>(GateArguments* a, F function, bool first) where F : struct, IUnaryFunction
    {
        switch (Lanes)
        {
            case 16: Half<F, Lanes512, Vector512<float>, Vector512<int>>(a, function, first); break;
            case 8: Half<F, Lanes256, Vector256<float>, Vector256<int>>(a, function, first); break;
            case 4: Half<F, Lanes128, Vector128<float>, Vector128<int>>(a, function, first); break;
            default: Half<F, LanesScalar, float, int>(a, function, first); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Half<F, L, TFloats, TInts>(GateArguments* a, F function, bool first)
        where F : struct, IUnaryFunction where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        int width = a->Width;
        for (int j = 0; j < width; j += L.Count)
        {
            var h = L.Load(a->State + j);
            if (first)
            {
                var r = function.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, width + j)));
                L.Store(function.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j))), a->Input + j);
                L.Store(L.Multiply(r, h), a->Reset + j);
            }
            else
            {
                var sum = L.Add(L.Load(a->Input + (2 * width) + j), L.Load(a->Recurrent + j));
                var change = function.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, sum));
                L.Store(Blend<L, TFloats, TInts>(L.Load(a->Input + j), change, h), a->State + j);
            }
        }
    }
}

/// <summary>h = f(x + h'): the ONNX standard's RNN.</summary>
internal sealed unsafe class RnnGates(GateActivation f, FloatTier? tier = null) : RecurrentGates(tier)
{
    public override void Run(GateArguments* a)
    {
        switch (Lanes)
        {
            case 16: Run<Lanes512, Vector512<float>, Vector512<int>>(a, f); break;
            case 8: Run<Lanes256, Vector256<float>, Vector256<int>>(a, f); break;
            case 4: Run<Lanes128, Vector128<float>, Vector128<int>>(a, f); break;
            default: Run<LanesScalar, float, int>(a, f); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run<L, TFloats, TInts>(GateArguments* a, GateActivation f) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged
    {
        for (int j = 0; j < a->Width; j += L.Count)
            L.Store(f.Apply<L, TFloats, TInts>(Bounded<L, TFloats, TInts>(a, Sum<L, TFloats, TInts>(a, j))), a->State + j);
    }
}
