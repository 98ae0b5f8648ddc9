using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>Rows of numbers that stay where they are in memory; zero at first.</summary>
/// <param name="rows">0 or more.</param>
/// <param name="width">Elements of a row.</param>
internal sealed unsafe class RowBuffer<T>(int rows, int width) where T : unmanaged
{
    public T[] Data { get; } = GC.AllocateArray<T>(checked(rows * width), pinned: true);

    public int Width => width;

    public Span<T> this[int row] => Data.AsSpan(row * width, width);

    public Span<T> Part(int first, int count) => Data.AsSpan(first * width, count * width);

    /// <summary>Valid while this object lives.</summary>
    public T* At(int row) => (T*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(Data)) + ((long)row * width);
}
