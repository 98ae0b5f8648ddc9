using System.Runtime.InteropServices;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>
/// Memory that ends at a page which cannot be touched, so that a read or write past the end stops the test run. Where the system is not
/// Linux it is plain memory.
/// </summary>
internal sealed unsafe class GuardedMemory<T> : IDisposable where T : unmanaged
{
    private const int Page = 4096;
    private readonly byte* _start;
    private readonly nuint _bytes;
    private readonly int _length;

    public GuardedMemory(int length)
    {
        _length = length;
        nuint used = ((nuint)length * (nuint)sizeof(T) + Page - 1) / Page * Page;
        _bytes = used + Page;
        if (OperatingSystem.IsLinux())
        {
            _start = (byte*)Pages.Map(null, _bytes, 3, 0x22, -1, 0);
            Assert.AreNotEqual(-1, (nint)_start);
            Assert.AreEqual(0, Pages.Protect(_start + used, Page, 0));
        }
        else
        {
            _start = (byte*)NativeMemory.AllocZeroed(_bytes);
        }
        Pointer = (T*)(_start + used) - length;
    }

    public GuardedMemory(ReadOnlySpan<T> values) : this(values.Length) => values.CopyTo(Span);

    public T* Pointer { get; }

    public Span<T> Span => new(Pointer, _length);

    public void Dispose()
    {
        if (OperatingSystem.IsLinux()) Assert.AreEqual(0, Pages.Unmap(_start, _bytes));
        else NativeMemory.Free(_start);
    }
}

internal static unsafe partial class Pages
{
    [LibraryImport("libc", EntryPoint = "mmap")]
    public static partial void* Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    public static partial int Protect(void* address, nuint length, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    public static partial int Unmap(void* address, nuint length);
}
