namespace MLNet.Quantization.Kernels;

/// <summary>
/// Machine code made at run time. It is written into pages that are writable, which then become executable and never writable again
/// (write xor execute); code lives as long as the process.
/// </summary>
internal static unsafe class EmittedCode
{
    /// <summary>0 forbids emitted code.</summary>
    public const string Variable = "MLNET_QUANTIZATION_EMIT";

    /// <summary>The AppContext switch that forbids emitted code when it is false.</summary>
    public const string Switch = "MLNet.Quantization.EmittedCode";

    private const int ArenaBytes = 256 << 10;

    private static readonly Lock s_lock = new();
    private static readonly Lazy<string?> s_whyNot = new(Probe);
    private static byte* s_next;
    private static byte* s_end;

    /// <summary>Null where code can be emitted, else the reason why not.</summary>
    public static string? WhyNot => s_whyNot.Value;

    /// <summary>Makes code callable.</summary>
    /// <returns>The address of its first byte.</returns>
    /// <exception cref="PlatformNotSupportedException">The host refuses; said beforehand by <see cref="WhyNot"/>.</exception>
    public static nint Publish(ReadOnlySpan<byte> code)
    {
        nint address = TryPublish(code, out int error);
        return address != 0 ? address : throw new PlatformNotSupportedException($"The host refuses executable memory (error {error}).");
    }

    /// <summary>What <see cref="WhyNot"/> is under settings; null where they allow emission.</summary>
    internal static string? Forbidden(string? variable, bool switchedOn) =>
        variable is "0" or "false" ? $"emitted code is forbidden by the environment variable {Variable}"
        : !switchedOn ? $"emitted code is forbidden by the AppContext switch {Switch}"
        : null;

    /// <summary>Emits the smallest of functions and calls it.</summary>
    private static string? Probe()
    {
        bool switchedOn = !AppContext.TryGetSwitch(Switch, out bool on) || on;
        if (Forbidden(Environment.GetEnvironmentVariable(Variable), switchedOn) is { } why) return why;
        if (!System.Runtime.Intrinsics.X86.X86Base.X64.IsSupported) return "the processor is not x64";
        ReadOnlySpan<byte> code = [0xB8, 42, 0, 0, 0, 0xC3]; // mov eax, 42; ret
        nint address = TryPublish(code, out int error);
        if (address == 0) return $"the host refuses executable memory (error {error})";
        int answer = ((delegate* unmanaged<int>)address)();
        return answer == 42 ? null : $"emitted code does not run as written (answered {answer})";
    }

    private static nint TryPublish(ReadOnlySpan<byte> code, out int error)
    {
        lock (s_lock)
        {
            int page = ExecutableMemory.PageSize;
            // Pages that hold code are executable already, so that each piece of code starts a new one.
            int bytes = (code.Length + page - 1) / page * page;
            if (s_end - s_next < bytes)
            {
                int size = Math.Max(ArenaBytes, bytes);
                s_next = ExecutableMemory.Map((nuint)size);
                s_end = s_next is null ? null : s_next + size;
                if (s_next is null)
                {
                    error = System.Runtime.InteropServices.Marshal.GetLastPInvokeError();
                    return 0;
                }
            }
            byte* start = s_next;
            new Span<byte>(start, bytes).Fill(0xCC); // int3: what is not code stops
            code.CopyTo(new(start, bytes));
            if (!ExecutableMemory.Seal(start, (nuint)bytes, out error)) return 0;
            s_next += bytes;
            return (nint)start;
        }
    }
}
