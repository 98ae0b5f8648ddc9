using Iced.Intel;
using MLNet.Quantization.Kernels;
using static Iced.Intel.AssemblerRegisters;

namespace MLNet.Quantization.Benchmarks;

/// <summary>Emitted loops that do one thing only: what the processor can reach at most.</summary>
internal static unsafe class RegisterLoops
{
    private const int Chains = 12;

    private static readonly AssemblerRegisterZMM[] s_zmm = CallingConvention.Native.Vectors;

    private static readonly AssemblerRegisterYMM[] s_ymm = [.. new[] { ymm16, ymm17, ymm18, ymm19, ymm20, ymm21, ymm22, ymm23, ymm24, ymm25, ymm26, ymm27, ymm28, ymm29, ymm30, ymm31 }];

    /// <summary>A loop over registers: takes the rounds.</summary>
    public sealed record Loop(string Name, nint Code, double WorkPerRound)
    {
        public void Run(long rounds) => ((delegate* unmanaged<long, void>)Code)(rounds);
    }

    /// <summary>Multiply-adds of u8 by s8.</summary>
    public static Loop Vnni512 { get; } = Make("vpdpbusd zmm", 64, c => { for (int i = 0; i < Chains; i++) c.vpdpbusd(s_zmm[i], s_zmm[^1], s_zmm[^2]); });

    public static Loop Vnni256 => Make("vpdpbusd ymm", 32, c => { for (int i = 0; i < Chains; i++) c.vpdpbusd(s_ymm[i], s_ymm[^1], s_ymm[^2]); });

    public static Loop Fma512 => Make("vfmadd231ps zmm", 16, c => { for (int i = 0; i < Chains; i++) c.vfmadd231ps(s_zmm[i], s_zmm[^1], s_zmm[^2]); });

    public static Loop Fma256 => Make("vfmadd231ps ymm", 8, c => { for (int i = 0; i < Chains; i++) c.vfmadd231ps(s_ymm[i], s_ymm[^1], s_ymm[^2]); });

    /// <summary>What the tiers without VNNI do: int16 pairs, then an addition.</summary>
    public static Loop Words512 => Make("vpmaddwd + vpaddd zmm", 32, c =>
    {
        for (int i = 0; i < Chains; i++)
        {
            var t = s_zmm[Chains + (i % 4)];
            c.vpmaddwd(t, s_zmm[^1], s_zmm[^2]);
            c.vpaddd(s_zmm[i], s_zmm[i], t);
        }
    });

    public static Loop Words256 => Make("vpmaddwd + vpaddd ymm", 16, c =>
    {
        for (int i = 0; i < Chains; i++)
        {
            var t = s_ymm[Chains + (i % 2)];
            c.vpmaddwd(t, s_ymm[^1], s_ymm[^2]);
            c.vpaddd(s_ymm[i], s_ymm[i], t);
        }
    });

    public static Loop Bytes512 => Make("vpmaddubsw + vpmaddwd + vpaddd zmm (saturates)", 64, c =>
    {
        for (int i = 0; i < Chains; i++)
        {
            var t = s_zmm[Chains + (i % 4)];
            c.vpmaddubsw(t, s_zmm[^1], s_zmm[^2]);
            c.vpmaddwd(t, t, s_zmm[^3]);
            c.vpaddd(s_zmm[i], s_zmm[i], t);
        }
    });

    /// <summary>Reads memory and does nothing with it; takes passes, address and bytes, a multiple of 512.</summary>
    public static nint Read { get; } = EmitRead();

    private static Loop Make(string name, int perInstruction, Action<Assembler> body)
    {
        var c = new Assembler(64) { PreferVex = false };
        var count = CallingConvention.Native.Argument;
        foreach (var z in s_zmm) c.vpxord(z, z, z);
        var top = c.CreateLabel();
        c.Label(ref top);
        body(c);
        c.dec(count);
        c.jnz(top);
        c.vzeroupper();
        c.ret();
        return new(name, Publish(c), Chains * perInstruction);
    }

    private static nint EmitRead()
    {
        var (passes, start, bytes) = OperatingSystem.IsWindows() ? (rcx, rdx, r8) : (rdi, rsi, rdx);
        var c = new Assembler(64) { PreferVex = false };
        Label pass = c.CreateLabel(), inner = c.CreateLabel();
        for (int i = 0; i < 8; i++) c.vpxord(s_zmm[i], s_zmm[i], s_zmm[i]);
        c.add(bytes, start);
        c.Label(ref pass);
        c.mov(rax, start);
        c.Label(ref inner);
        for (int i = 0; i < 8; i++)
        {
            c.vpord(s_zmm[i], s_zmm[i], __zmmword_ptr[rax + (64 * i)]);
            c.prefetcht0(__byte_ptr[rax + (64 * i) + 1024]);
        }
        c.add(rax, 512);
        c.cmp(rax, bytes);
        c.jb(inner);
        c.dec(passes);
        c.jnz(pass);
        c.vzeroupper();
        c.ret();
        return Publish(c);
    }

    private static nint Publish(Assembler code)
    {
        var bytes = new MemoryStream();
        code.Assemble(new StreamCodeWriter(bytes), 0);
        return EmittedCode.Publish(bytes.ToArray());
    }
}
