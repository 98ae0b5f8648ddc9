using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Scratch memory that the nodes of a tape use in turn, and how many threads they may keep busy. For one thread.</summary>
/// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
internal sealed unsafe class TapeMemory(int maxThreads)
{
    private AlignedBuffer[] _buffers = [];

    public int MaxThreads => maxThreads;

    /// <summary>Memory that starts at a multiple of 64, valid until the slot is taken again; not cleared.</summary>
    /// <param name="slot">0, 1, ...: what one call uses at the same time has different numbers. Products take 0 and 1.</param>
    /// <param name="count">Elements.</param>
    public Span<T> Take<T>(int slot, long count) where T : unmanaged
    {
        if (_buffers.Length <= slot) Array.Resize(ref _buffers, slot + 1);
        long bytes = count * sizeof(T);
        // The view ends with the next Take, before which nothing else lets go of the buffer.
        if (_buffers[slot] is not { } buffer || buffer.Length < bytes) _buffers[slot] = buffer = new(bytes);
        return MemoryMarshal.Cast<byte, T>(new Span<byte>(buffer.Pointer, checked((int)bytes)));
    }
}
