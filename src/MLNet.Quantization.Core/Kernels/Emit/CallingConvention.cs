using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// What a function may use that takes one pointer, calls nothing and saves nothing: the registers that the caller expects to lose. Such
/// a function has no frame, and so needs no unwind data.
/// </summary>
/// <param name="Name">For messages.</param>
/// <param name="Argument">Holds the pointer.</param>
/// <param name="General">Registers for addresses and counts, beside the argument.</param>
/// <param name="Vectors">Vector registers.</param>
internal sealed record CallingConvention(string Name, AssemblerRegister64 Argument, AssemblerRegister64[] General, AssemblerRegisterZMM[] Vectors)
{
    private static readonly AssemblerRegisterZMM[] s_all =
    [
        zmm0, zmm1, zmm2, zmm3, zmm4, zmm5, zmm6, zmm7, zmm8, zmm9, zmm10, zmm11, zmm12, zmm13, zmm14, zmm15,
        zmm16, zmm17, zmm18, zmm19, zmm20, zmm21, zmm22, zmm23, zmm24, zmm25, zmm26, zmm27, zmm28, zmm29, zmm30, zmm31,
    ];

    /// <summary>Linux, macOS and the other Unixes.</summary>
    public static CallingConvention SystemV { get; } = new("System V", rdi, [rax, rcx, rdx, rsi, r8, r9, r10, r11], s_all);

    /// <summary>Windows expects rsi, rdi and the lower halves of registers 6 to 15 back.</summary>
    public static CallingConvention Windows { get; } = new("Windows", rcx, [rax, rdx, r8, r9, r10, r11], [.. s_all[..6], .. s_all[16..]]);

    /// <summary>Of this process.</summary>
    public static CallingConvention Native { get; } = OperatingSystem.IsWindows() ? Windows : SystemV;
}
