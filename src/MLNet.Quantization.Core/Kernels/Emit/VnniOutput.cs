using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Emits what becomes of the sums of a tile: the formulas of <see cref="NaiveInt8"/>, 16 columns at a time, in the registers that the sums
/// are in. The last vector of a row is stored under a mask. The sums hold the offsets already.
/// </summary>
/// <param name="code">Where to.</param>
/// <param name="shape">The tile.</param>
/// <param name="convention">Its registers.</param>
/// <param name="sums">[rows, vectors].</param>
/// <param name="free">Vector registers beside; at least 4.</param>
internal sealed class VnniOutput(
    Assembler code, TileShape shape, CallingConvention convention, AssemblerRegisterZMM[] sums, AssemblerRegisterZMM[] free)
{
    private const int VectorBytes = 64;

    private readonly AssemblerRegister64 _arguments = convention.Argument;
    private readonly AssemblerRegister64 _output = convention.General[0];
    private readonly AssemblerRegister64 _scales = convention.General[1];

    public void Emit()
    {
        code.kmovw(k1, __word_ptr[_arguments + TileFields.LastVectorMask]);
        code.mov(_output, __qword_ptr[_arguments + TileFields.C]);
        switch (shape.Stage)
        {
            case OutputStage.Int32:
                Int32();
                break;
            case OutputStage.Requantized:
                Requantized();
                break;
            default:
                Float();
                break;
        }
    }

    private AssemblerRegisterZMM Sum(int row, int vector) => sums[(row * shape.Vectors) + vector];

    private void Int32()
    {
        for (int r = 0; r < shape.Rows; r++)
        {
            for (int v = 0; v < shape.Vectors; v++) code.vmovdqu32(Masked(__zmmword_ptr[_output + (v * VectorBytes)], v), Sum(r, v));
            NextRow(r);
        }
    }

    /// <summary>vmaxps and vminps give their second source where one of the two is NaN: the sum's NaN becomes the lower end.</summary>
    private void Requantized()
    {
        var (low, high, zeroPoint) = (free[0], free[1], free[2]);
        code.mov(_scales, __qword_ptr[_arguments + TileFields.Scales]);
        code.vbroadcastss(low, __dword_ptr[_arguments + TileFields.Low]);
        code.vbroadcastss(high, __dword_ptr[_arguments + TileFields.High]);
        code.vpbroadcastd(zeroPoint, __dword_ptr[_arguments + TileFields.ZeroPoint]);
        bool inRegisters = shape.Rows > 1 && free.Length >= 3 + shape.Vectors;
        if (inRegisters)
            for (int v = 0; v < shape.Vectors; v++) code.vmovups(free[3 + v], __zmmword_ptr[_scales + (v * VectorBytes)]);
        for (int r = 0; r < shape.Rows; r++)
        {
            for (int v = 0; v < shape.Vectors; v++) code.vcvtdq2ps(Sum(r, v), Sum(r, v));
            for (int v = 0; v < shape.Vectors; v++)
            {
                if (inRegisters) code.vmulps(Sum(r, v), Sum(r, v), free[3 + v]);
                else code.vmulps(Sum(r, v), Sum(r, v), __zmmword_ptr[_scales + (v * VectorBytes)]);
            }
            for (int v = 0; v < shape.Vectors; v++) code.vmaxps(Sum(r, v), Sum(r, v), low);
            for (int v = 0; v < shape.Vectors; v++) code.vminps(Sum(r, v), Sum(r, v), high);
            for (int v = 0; v < shape.Vectors; v++) code.vcvtps2dq(Sum(r, v), Sum(r, v));
            for (int v = 0; v < shape.Vectors; v++) code.vpaddd(Sum(r, v), Sum(r, v), zeroPoint);
            // The lowest byte of each lane is the code, signed or not.
            for (int v = 0; v < shape.Vectors; v++) code.vpmovdb(Masked(__xmmword_ptr[_output + (v * 16)], v), Sum(r, v));
            NextRow(r);
        }
    }

    private void Float()
    {
        var (scale, zeroPoint) = (free[0], free[1]);
        var correction = free[2..4];
        AssemblerRegister64 bias = convention.General[2], columnSums = convention.General[3], rowScales = convention.General[4], rowZeroPoints = convention.General[5];
        code.mov(_scales, __qword_ptr[_arguments + TileFields.Scales]);
        code.mov(bias, __qword_ptr[_arguments + TileFields.Bias]);
        code.mov(columnSums, __qword_ptr[_arguments + TileFields.ColumnSums]);
        code.mov(rowScales, __qword_ptr[_arguments + TileFields.RowScales]);
        code.mov(rowZeroPoints, __qword_ptr[_arguments + TileFields.RowZeroPoints]);
        for (int r = 0; r < shape.Rows; r++)
        {
            code.vbroadcastss(scale, __dword_ptr[rowScales]);
            code.vpbroadcastd(zeroPoint, __dword_ptr[rowZeroPoints]);
            for (int v = 0; v < shape.Vectors; v++)
            {
                code.vpmulld(correction[v % 2], zeroPoint, __zmmword_ptr[columnSums + (v * VectorBytes)]);
                code.vpsubd(Sum(r, v), Sum(r, v), correction[v % 2]);
            }
            for (int v = 0; v < shape.Vectors; v++) code.vcvtdq2ps(Sum(r, v), Sum(r, v));
            for (int v = 0; v < shape.Vectors; v++) code.vmulps(Sum(r, v), Sum(r, v), scale);
            for (int v = 0; v < shape.Vectors; v++) code.vmulps(Sum(r, v), Sum(r, v), __zmmword_ptr[_scales + (v * VectorBytes)]);
            for (int v = 0; v < shape.Vectors; v++) code.vaddps(Sum(r, v), Sum(r, v), __zmmword_ptr[bias + (v * VectorBytes)]);
            for (int v = 0; v < shape.Vectors; v++) code.vmovups(Masked(__zmmword_ptr[_output + (v * VectorBytes)], v), Sum(r, v));
            if (r + 1 == shape.Rows) break;
            code.add(rowScales, __qword_ptr[_arguments + TileFields.RowScaleStep]);
            code.add(rowZeroPoints, __qword_ptr[_arguments + TileFields.RowZeroPointStep]);
            NextRow(r);
        }
    }

    private AssemblerMemoryOperand Masked(AssemblerMemoryOperand output, int vector) => vector == shape.Vectors - 1 ? output.k1 : output;

    private void NextRow(int row)
    {
        if (row + 1 < shape.Rows) code.add(_output, __qword_ptr[_arguments + TileFields.Ldc]);
    }
}
