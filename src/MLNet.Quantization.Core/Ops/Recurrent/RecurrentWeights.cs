using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>Makes the products of a recurrent layer from its weights; each gate's columns are filled up with zeros to <see cref="Width"/>.</summary>
/// <param name="gates">Gates of the cell.</param>
/// <param name="inputs">Elements of a row of x.</param>
/// <param name="hidden">Units.</param>
internal abstract class RecurrentWeights(int gates, int inputs, int hidden)
{
    public int Gates { get; } = gates;

    public int Hidden { get; } = hidden;

    /// <summary>Columns of one gate.</summary>
    public int Width { get; } = WidthOf(hidden);

    /// <summary>Columns of a gate of so many units.</summary>
    public static int WidthOf(int hidden) => (hidden + RecurrentGates.Unit - 1) / RecurrentGates.Unit * RecurrentGates.Unit;

    /// <summary>x · W + bias for all gates.</summary>
    /// <param name="direction">0 or 1.</param>
    /// <param name="bias">Gates · Width.</param>
    public RowProduct Input(int direction, float[] bias) => Make(Part.Input, direction, 0, Gates, inputs, bias);

    /// <summary>h · R + bias for some gates.</summary>
    /// <param name="direction">0 or 1.</param>
    /// <param name="firstGate">The first of them.</param>
    /// <param name="count">How many.</param>
    /// <param name="bias">count · Width, or empty.</param>
    public RowProduct Recurrent(int direction, int firstGate, int count, float[] bias) => Make(Part.Recurrent, direction, firstGate, count, Hidden, bias);

    protected abstract RowProduct Make(Part part, int direction, int firstGate, int count, int k, float[] bias);

    protected enum Part
    {
        Input,
        Recurrent,
    }

    /// <summary>Rows of k elements of some gates of one direction, padded.</summary>
    protected T[] Padded<T>(ReadOnlySpan<T> all, int direction, int firstGate, int count, int k, T fill)
    {
        var result = new T[count * Width * k];
        result.AsSpan().Fill(fill);
        PadGates(all.Slice(((direction * Gates) + firstGate) * Hidden * k, count * Hidden * k), count, result);
        return result;
    }

    /// <summary>Values of one direction's gates, padded with zeros.</summary>
    /// <param name="all">hidden values for each of several gates.</param>
    /// <param name="first">The first gate.</param>
    /// <param name="count">How many.</param>
    public float[] PadGates(ReadOnlySpan<float> all, int first, int count)
    {
        var result = new float[count * Width];
        PadGates(all.Slice(first * Hidden, count * Hidden), count, result);
        return result;
    }

    /// <summary>Moves gates that lie close together apart; what is between stays.</summary>
    /// <param name="close">So many elements for each gate.</param>
    /// <param name="gates">How many.</param>
    /// <param name="padded">More for each.</param>
    public static void PadGates<T>(ReadOnlySpan<T> close, int gates, Span<T> padded)
    {
        int from = close.Length / gates, to = padded.Length / gates;
        for (int gate = 0; gate < gates; gate++) close.Slice(gate * from, from).CopyTo(padded[(gate * to)..]);
    }
}

/// <summary>float32 W [directions, gates · hidden, inputs] and R [directions, gates · hidden, hidden].</summary>
internal sealed class FloatRecurrentWeights(int gates, int inputs, int hidden, ReadOnlyMemory<float> w, ReadOnlyMemory<float> r) : RecurrentWeights(gates, inputs, hidden)
{
    protected override RowProduct Make(Part part, int direction, int firstGate, int count, int k, float[] bias) =>
        new FloatRows(FloatGemm.Pack(Padded((part == Part.Input ? w : r).Span, direction, firstGate, count, k, 0f), k, count * Width, transposed: true), bias);
}

/// <summary>s8 W and R of the same shapes, with a scale for each of their rows.</summary>
/// <param name="gates">Gates of the cell.</param>
/// <param name="inputs">Elements of a row of x.</param>
/// <param name="hidden">Units.</param>
/// <param name="w">Codes of W.</param>
/// <param name="r">Codes of R.</param>
/// <param name="wScales">directions · gates · hidden.</param>
/// <param name="rScales">directions · gates · hidden.</param>
/// <param name="input">Makes the product over rows of x, which are codes or floats.</param>
internal sealed class CodeRecurrentWeights(
    int gates, int inputs, int hidden, ReadOnlyMemory<sbyte> w, ReadOnlyMemory<sbyte> r, float[] wScales, float[] rScales, Func<FloatProduct, RowProduct> input)
    : RecurrentWeights(gates, inputs, hidden)
{
    protected override RowProduct Make(Part part, int direction, int firstGate, int count, int k, float[] bias)
    {
        bool isInput = part == Part.Input;
        var codes = Padded((isInput ? w : r).Span, direction, firstGate, count, k, (sbyte)0);
        var scales = Padded<float>(isInput ? wScales : rScales, direction, firstGate, count, 1, 1f);
        var product = new FloatProduct(Int8Gemm.Pack(codes, k, count * Width, transposed: true), scales, bias);
        return isInput ? input(product) : new DynamicRows(product);
    }
}
