using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Zeroed native memory that starts at a multiple of <see cref="Alignment"/>, for packed constants. Freed with the object: whoever
/// uses <see cref="Pointer"/> keeps the object alive meanwhile.
/// </summary>
internal sealed unsafe partial class AlignedBuffer
{
    /// <summary>A cache line, and the widest vector.</summary>
    public const int Alignment = 64;

    /// <summary>The next multiple of <see cref="Alignment"/>, so that what lies behind so many bytes is aligned too.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Align(long bytes) => (bytes + Alignment - 1) & -Alignment;

    /// <summary>Large buffers start at a huge page, which saves address translations.</summary>
    private const int HugePage = 2 << 20;

    /// <param name="bytes">0 or more.</param>
    public AlignedBuffer(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        bool huge = bytes >= HugePage;
        nuint alignment = huge ? (nuint)HugePage : Alignment;
        nuint size = (checked((nuint)bytes) + alignment) & ~(alignment - 1);
        Pointer = (byte*)NativeMemory.AlignedAlloc(size, alignment);
        if (huge && OperatingSystem.IsLinux()) _ = Advise(Pointer, size, AdviseHugePages);
        NativeMemory.Clear(Pointer, size);
        Length = bytes;
        GC.AddMemoryPressure(Math.Max(1, bytes));
    }

    ~AlignedBuffer()
    {
        if (Pointer is null) return;
        NativeMemory.AlignedFree(Pointer);
        GC.RemoveMemoryPressure(Math.Max(1, Length));
    }

    public byte* Pointer { get; }

    public long Length { get; }

    private const int AdviseHugePages = 14;

    // A hint: what it answers does not matter.
    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
