using System.Runtime.InteropServices;

namespace MLNet.Quantization.Kernels;

/// <summary>Pages from the operating system: writable when they are mapped, executable and no longer writable once sealed.</summary>
internal static unsafe partial class ExecutableMemory
{
    /// <summary>What pages are sealed in: the page, or the unit in which the system gives them out.</summary>
    public static int PageSize { get; } = Environment.SystemPageSize;

    /// <summary>New zeroed memory that can be written; null where there is none.</summary>
    public static byte* Map(nuint bytes)
    {
        if (OperatingSystem.IsWindows()) return (byte*)Windows.VirtualAlloc(null, bytes, Windows.CommitAndReserve, Windows.ReadWrite);
        // MAP_PRIVATE | MAP_ANONYMOUS, whose number the systems do not agree on
        void* p = Unix.Map(null, bytes, Unix.Read | Unix.Write, OperatingSystem.IsMacOS() ? 0x1002 : 0x22, -1, 0);
        return p == (void*)-1 ? null : (byte*)p;
    }

    /// <summary>Makes whole pages executable and read-only. False where the host does not allow that; <paramref name="error"/> then is its error code.</summary>
    public static bool Seal(byte* start, nuint bytes, out int error)
    {
        bool done;
        if (OperatingSystem.IsWindows())
        {
            done = Windows.VirtualProtect(start, bytes, Windows.ExecuteRead, out _) != 0;
            error = done ? 0 : Marshal.GetLastPInvokeError();
            if (done) Windows.FlushInstructionCache(Windows.GetCurrentProcess(), start, bytes);
        }
        else
        {
            done = Unix.Protect(start, bytes, Unix.Read | Unix.Execute) == 0;
            error = done ? 0 : Marshal.GetLastPInvokeError();
        }
        return done;
    }

    private static partial class Unix
    {
        public const int Read = 1, Write = 2, Execute = 4;

        [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
        public static partial void* Map(void* address, nuint length, int protection, int flags, int file, nint offset);

        [LibraryImport("libc", EntryPoint = "mprotect", SetLastError = true)]
        public static partial int Protect(void* address, nuint length, int protection);
    }

    private static partial class Windows
    {
        public const uint CommitAndReserve = 0x3000, ReadWrite = 0x04, ExecuteRead = 0x20;

        [LibraryImport("kernel32", SetLastError = true)]
        public static partial void* VirtualAlloc(void* address, nuint size, uint type, uint protection);

        [LibraryImport("kernel32", SetLastError = true)]
        public static partial int VirtualProtect(void* address, nuint size, uint protection, out uint before);

        [LibraryImport("kernel32")]
        public static partial nint GetCurrentProcess();

        [LibraryImport("kernel32")]
        public static partial int FlushInstructionCache(nint process, void* address, nuint size);
    }
}
