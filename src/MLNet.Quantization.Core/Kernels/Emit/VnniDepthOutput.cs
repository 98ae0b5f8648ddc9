using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Emits what becomes of the sums of a tile of a depthwise convolution: the formula of <see cref="NaiveInt8.Requantize"/>. The upper bound is
/// applied to floats, since too large a float has no integer; one that is too small has the least, which packing and the lower bound, on
/// codes, bring where it belongs. Codes of four vectors are packed together.
/// </summary>
/// <param name="code">Where to.</param>
/// <param name="shape">The tile.</param>
/// <param name="convention">Its registers; the first ones hold the constants.</param>
/// <param name="sums">One a vector.</param>
/// <param name="free">Another vector.</param>
/// <param name="pointer">A free register for addresses.</param>
internal sealed class VnniDepthOutput(
    Assembler code, DepthTileShape shape, CallingConvention convention, AssemblerRegisterZMM[] sums, AssemblerRegisterZMM free, AssemblerRegister64 pointer)
{
    private const int CodeBytes = 16, GroupSize = 4;

    private static readonly AssemblerRegisterXMM[] s_lower =
    [
        xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15,
        xmm16, xmm17, xmm18, xmm19, xmm20, xmm21, xmm22, xmm23, xmm24, xmm25, xmm26, xmm27, xmm28, xmm29, xmm30, xmm31,
    ];

    private readonly AssemblerRegisterZMM _scale = convention.Vectors[0], _high = convention.Vectors[1], _zeroPoint = convention.Vectors[2];
    private readonly AssemblerRegisterZMM _lowCode = convention.Vectors[3], _flip = convention.Vectors[4], _order = convention.Vectors[5];
    private readonly AssemblerRegister64 _output = convention.General[4], _step = convention.General[5];

    /// <param name="scratch">A free register.</param>
    public void LoadConstants(AssemblerRegister64 scratch)
    {
        var arguments = convention.Argument;
        code.mov(scratch, __qword_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.Scales))]);
        code.vmovups(_scale, __zmmword_ptr[scratch]);
        code.mov(scratch, __qword_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.Order))]);
        code.vmovdqu32(_order, __zmmword_ptr[scratch]);
        code.vbroadcastss(_high, __dword_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.High))]);
        code.vpbroadcastw(_zeroPoint, __word_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.ZeroPoint))]);
        code.vpbroadcastb(_lowCode, __byte_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.LowCode))]);
        code.vpbroadcastb(_flip, __byte_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.Flip))]);
        code.kmovw(k1, __word_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.Mask))]);
        code.mov(_output, __qword_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.Output))]);
        code.mov(_step, __qword_ptr[arguments + VnniDepthTile.Field(nameof(DepthTileArguments.OutputStep))]);
    }

    /// <summary>Stores the codes of the sums, and goes on to those behind them.</summary>
    public void Emit()
    {
        for (int first = 0; first < sums.Length; first += GroupSize)
        {
            var group = sums.AsSpan(first, Math.Min(GroupSize, sums.Length - first));
            foreach (var s in group) code.vcvtdq2ps(s, s);
            foreach (var s in group) code.vmulps(s, s, _scale);
            foreach (var s in group) code.vminps(s, s, _high);
            foreach (var s in group) code.vcvtps2dq(s, s);
            Pack(group);
            Store(group[0], group.Length);
        }
    }

    /// <summary>Codes of up to four vectors, in order, in the register of the first.</summary>
    private void Pack(ReadOnlySpan<AssemblerRegisterZMM> s)
    {
        for (int i = 0; i < s.Length; i += 2)
        {
            code.vpackssdw(s[i], s[i], s[Math.Min(i + 1, s.Length - 1)]);
            code.vpaddsw(s[i], s[i], _zeroPoint);
        }
        code.vpackuswb(s[0], s[0], s[s.Length > 2 ? 2 : 0]);
        code.vpmaxub(s[0], s[0], _lowCode);
        code.vpxord(s[0], s[0], _flip);
        code.vpermd(s[0], _order, s[0]);
    }

    private void Store(AssemblerRegisterZMM codes, int count)
    {
        if (shape.Store == DepthStore.Dense)
        {
            if (count == GroupSize) code.vmovdqu32(__zmmword_ptr[_output], codes);
            else
                for (int i = 0; i < count; i++) code.vextracti32x4(__xmmword_ptr[_output + (i * CodeBytes)], codes, (byte)i);
            code.add(_output, count * CodeBytes);
            return;
        }
        for (int i = 0; i < count; i++)
        {
            var at = _output + 0;
            if (i == 1) at = _output + _step;
            if (i >= 2) at = _output + (_step * 2);
            if (i == 3)
            {
                code.lea(pointer, __[at]);
                at = pointer + _step;
            }
            if (shape.Store == DepthStore.Apart)
            {
                code.vextracti32x4(__xmmword_ptr[at], codes, (byte)i);
                continue;
            }
            var part = s_lower[free.Value - Register.ZMM0];
            code.vextracti32x4(part, codes, (byte)i);
            code.vmovdqu8(__xmmword_ptr[at].k1, part);
        }
        for (int i = 0; i < count; i++) code.add(_output, _step);
    }
}
