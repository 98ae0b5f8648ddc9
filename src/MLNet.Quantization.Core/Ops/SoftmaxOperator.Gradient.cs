using System.Numerics;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Ops;

internal abstract partial class SoftmaxOperator
{
    /// <summary>In float32 the function that scores.</summary>
    /// <returns>False in double, where nothing is done.</returns>
    protected bool ForwardAsScored<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (typeof(T) != typeof(float)) return false;
        var (length, stride) = RowsOf(node);
        ReadOnlySpan<float> x = MemoryMarshal.Cast<T, float>(node.Input(0).Data);
        Span<float> y = MemoryMarshal.Cast<T, float>(node.Output().Data.AsSpan()), memory = MemoryMarshal.Cast<T, float>(node.Scratch(0, 2 * length)), row = memory[..length], scratch = memory[length..];
        if (y.IsEmpty) return true;
        if (stride == 1) AllRows(x, length, y, scratch, node.MaxThreads);
        else
            for (int r = 0; r < x.Length / length; r++)
            {
                int from = FirstOf(r, length, stride);
                for (int i = 0; i < length; i++) row[i] = x[from + (i * stride)];
                Row(row, row, scratch);
                for (int i = 0; i < length; i++) y[from + (i * stride)] = row[i];
            }
        return true;
    }

    /// <summary>Elements of a row, and from one to the next.</summary>
    protected static (int Length, int Stride) RowsOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        int[] dims = node.Input(0).Dims;
        int axis = AxisOf(node.Context, dims.Length);
        return node.Context.Opset < 13 ? (dims.Skip(axis).Aggregate(1, (a, b) => a * b), 1) : (dims[axis], dims.Skip(axis + 1).Aggregate(1, (a, b) => a * b));
    }

    /// <summary>Where a row starts.</summary>
    protected static int FirstOf(int row, int length, int stride) => (row / stride * stride * length) + (row % stride);
}
