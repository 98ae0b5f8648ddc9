using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>
/// A product over the state while training, for all steps of one direction: some gates' columns of R, packed once a pass and used at each
/// step in both directions of time, and what goes in and comes out, kept for the way back.
/// </summary>
internal sealed unsafe class StateProduct<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly int _hidden, _width, _firstGate, _gates;
    private readonly bool _rounds;
    private readonly T[] _weights, _gradient;
    private readonly AlignedBuffer _forward, _backward;

    /// <param name="hidden">Units.</param>
    /// <param name="firstGate">First of the gates.</param>
    /// <param name="gates">How many.</param>
    /// <param name="rows">Steps · batch.</param>
    /// <param name="rounds">Each row of the state is quantized by its own range, as INT8 layers do.</param>
    /// <param name="gradients">Memory of <see cref="SumGradients"/> where another has it, too.</param>
    public StateProduct(int hidden, int firstGate, int gates, int rows, bool rounds, RowBuffer<T>? gradients)
    {
        (_hidden, _width, _firstGate, _gates, _rounds) = (hidden, RecurrentWeights.WidthOf(hidden), firstGate, gates, rounds);
        Columns = gates * _width;
        _weights = new T[Columns * hidden];
        _gradient = new T[Columns * hidden];
        Operands = new(rows, hidden);
        Sums = new(rows, Columns);
        SumGradients = gradients ?? new(rows, Columns);
        _forward = new(typeof(T) == typeof(float) ? FloatGemm.WorkspaceBytes(hidden, Columns) : 0);
        _backward = new(typeof(T) == typeof(float) ? FloatGemm.WorkspaceBytes(Columns, hidden) : 0);
    }

    /// <summary>Columns of all its gates, filled up.</summary>
    public int Columns { get; }

    /// <summary>What the weights multiply: rows of hidden.</summary>
    public RowBuffer<T> Operands { get; }

    /// <summary>Rows of <see cref="Columns"/>.</summary>
    public RowBuffer<T> Sums { get; }

    /// <summary>Gradients of <see cref="Sums"/>; 0 in rows that have no step.</summary>
    public RowBuffer<T> SumGradients { get; }

    /// <param name="r">R of the direction, [all gates · hidden, hidden].</param>
    public void Pack(ReadOnlySpan<T> r)
    {
        RecurrentWeights.PadGates(r.Slice(_firstGate * _hidden * _hidden, _gates * _hidden * _hidden), _gates, _weights.AsSpan());
        if (typeof(T) != typeof(float)) return;
        ReadOnlySpan<float> weights = MemoryMarshal.Cast<T, float>(_weights);
        FloatGemm.PackInto(weights, _hidden, Columns, transposed: true, (float*)_forward.Pointer, FloatTier.Best);
        FloatGemm.PackInto(weights, Columns, _hidden, transposed: false, (float*)_backward.Pointer, FloatTier.Best);
    }

    /// <summary>Takes a row in.</summary>
    /// <param name="state">At least hidden values.</param>
    /// <param name="row">Its number among all steps'.</param>
    public void Put(ReadOnlySpan<T> state, int row)
    {
        var to = Operands[row];
        if (_rounds && typeof(T) == typeof(float)) Round(MemoryMarshal.Cast<T, float>(state[.._hidden]), MemoryMarshal.Cast<T, float>(to));
        else state[.._hidden].CopyTo(to);
    }

    /// <summary>Sums of some rows of a step, on the calling thread.</summary>
    /// <param name="row">The first.</param>
    /// <param name="rows">How many.</param>
    /// <param name="bias">Columns values, or empty.</param>
    public void Multiply(int row, int rows, ReadOnlySpan<T> bias) =>
        Multiply(Operands.Part(row, rows), rows, _hidden, Columns, _forward, transposed: true, bias, Sums.Part(row, rows));

    /// <summary>Gradients of some operands of a step from <see cref="SumGradients"/>, on the calling thread.</summary>
    /// <param name="row">The first.</param>
    /// <param name="rows">How many.</param>
    /// <param name="gradients">[rows, hidden], overwritten.</param>
    public void MultiplyBack(int row, int rows, Span<T> gradients) =>
        Multiply(SumGradients.Part(row, rows), rows, Columns, _hidden, _backward, transposed: false, default, gradients);

    /// <summary>Adds to the gradient of R: one product over all steps.</summary>
    /// <param name="r">Of the direction, [all gates · hidden, hidden].</param>
    /// <param name="memory">For the product.</param>
    public void AddWeightGradient(Span<T> r, TapeMemory memory)
    {
        Products.Multiply<T>(SumGradients.Data, true, Operands.Data, false, Columns, Operands.Data.Length / _hidden, _hidden, _gradient, add: false, memory);
        for (int gate = 0, count = _hidden * _hidden; gate < _gates; gate++)
            Vectors.Add<T>(_gradient.AsSpan(gate * _width * _hidden, count), r.Slice((_firstGate + gate) * count, count));
    }

    private void Multiply(ReadOnlySpan<T> a, int rows, int k, int n, AlignedBuffer packed, bool transposed, ReadOnlySpan<T> bias, Span<T> c)
    {
        if (typeof(T) == typeof(float))
        {
            FloatGemm.Multiply(MemoryMarshal.Cast<T, float>(a), rows, k, n, (float*)packed.Pointer, FloatTier.Best, MemoryMarshal.Cast<T, float>(bias), MemoryMarshal.Cast<T, float>(c), maxThreads: 1);
            GC.KeepAlive(packed);
            return;
        }
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < n; j++)
            {
                T sum = bias.IsEmpty ? T.Zero : bias[j];
                for (int l = 0; l < k; l++) sum += a[(i * k) + l] * _weights[transposed ? (j * k) + l : (l * n) + j];
                c[(i * n) + j] = sum;
            }
    }

    /// <summary>The values of the codes that <see cref="RowQuantizer"/> gives a row; NaN where it has no range.</summary>
    private static void Round(ReadOnlySpan<float> x, Span<float> y)
    {
        const int Block = 512;
        fixed (float* px = x, py = y)
        {
            var (scale, zeroPoint) = RowQuantizer.ParametersOf(px, x.Length);
            if (float.IsNaN(scale))
            {
                y.Fill(float.NaN);
                return;
            }
            byte* codes = stackalloc byte[Block];
            for (int from = 0; from < x.Length; from += Block)
            {
                int count = Math.Min(Block, x.Length - from);
                RowQuantizer.Codes(px + from, count, scale, zeroPoint, codes);
                Quantizer.Dequantize(new ReadOnlySpan<byte>(codes, count), new(scale, zeroPoint), new Span<float>(py + from, count));
            }
        }
    }
}
