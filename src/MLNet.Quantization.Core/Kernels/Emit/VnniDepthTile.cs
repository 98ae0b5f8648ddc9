using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Emits a tile of a depthwise convolution: a lane is a channel, and its four bytes are four lines of the image, so that vpdpbusd sums
/// four taps of a column. A column is loaded once for all windows that it lies in. What the sums become is <see cref="VnniDepthOutput"/>'s.
/// </summary>
internal sealed class VnniDepthTile
{
    private const int VectorBytes = 64;

    private readonly Assembler _code = new(64) { PreferVex = false }; // the VEX form of vpdpbusd is another instruction set's
    private readonly DepthTileShape _shape;
    private readonly CallingConvention _convention;
    private readonly bool _holdsWeights;
    private readonly AssemblerRegisterZMM[] _sums, _weights, _columns;
    private readonly AssemblerRegister64 _from, _block, _list, _count;
    private int _turn;

    private VnniDepthTile(DepthTileShape shape, CallingConvention convention)
    {
        _shape = shape;
        _convention = convention;
        _holdsWeights = DepthTileShape.HoldsWeights(convention, shape.Window);
        var free = convention.Vectors.AsSpan(DepthTileShape.Constants);
        _columns = free[..DepthTileShape.Columns].ToArray();
        _sums = free.Slice(DepthTileShape.Columns, shape.Vectors).ToArray();
        _weights = free[(DepthTileShape.Columns + shape.Vectors)..].ToArray();
        (_from, _block, _list, _count) = (convention.General[0], convention.General[1], convention.General[2], convention.General[3]);
    }

    /// <summary>The code: a function that takes a <see cref="DepthTileArguments"/>* under that convention.</summary>
    public static byte[] Emit(DepthTileShape shape, CallingConvention convention)
    {
        var tile = new VnniDepthTile(shape, convention);
        tile.Run();
        var bytes = new MemoryStream();
        tile._code.Assemble(new StreamCodeWriter(bytes), 0);
        return bytes.ToArray();
    }

    /// <summary>Where the code finds a field.</summary>
    public static int Field(string name) => (int)Marshal.OffsetOf<DepthTileArguments>(name);

    private void Run()
    {
        var arguments = _convention.Argument;
        var output = new VnniDepthOutput(_code, _shape, _convention, _sums, _columns[0], _block);
        output.LoadConstants(_list);
        _code.mov(_from, __qword_ptr[arguments + Field(nameof(DepthTileArguments.From))]);
        _code.mov(_list, __qword_ptr[arguments + Field(nameof(DepthTileArguments.Constants))]);
        _code.mov(_count, __qword_ptr[arguments + Field(nameof(DepthTileArguments.Count))]);
        var next = _code.CreateLabel();
        _code.Label(ref next);
        _code.vmovdqu32(_sums[0], __zmmword_ptr[_list]);
        for (int v = 1; v < _sums.Length; v++) _code.vmovdqa32(_sums[v], _sums[0]);
        for (int b = 0; b < _shape.Blocks; b++) Block(b);
        output.Emit();
        _code.add(_from, _shape.Vectors * _shape.Stride * _shape.ColumnBytes);
        _code.dec(_count);
        _code.jnz(next);
        _code.vzeroupper();
        _code.ret();
    }

    /// <summary>Column by column; of those between the windows none is read.</summary>
    private void Block(int block)
    {
        if (block == 1) _code.mov(_block, _from);
        if (block > 0) _code.add(_block, __qword_ptr[_convention.Argument + Field(nameof(DepthTileArguments.BlockStep))]);
        if (_holdsWeights)
            for (int k = 0; k < _shape.Window; k++) _code.vmovdqu32(_weights[k], WeightsAt(block, k));
        int last = ((_shape.Vectors - 1) * _shape.Stride) + ((_shape.Window - 1) * _shape.Dilation);
        for (int c = 0; c <= last; c++)
        {
            var uses = UsesOf(c).ToList();
            if (uses.Count == 0) continue;
            var column = _columns[_turn++ % _columns.Length];
            _code.vmovdqu32(column, __zmmword_ptr[(block == 0 ? _from : _block) + (c * _shape.ColumnBytes)]);
            foreach (var (vector, tap) in uses)
            {
                if (_holdsWeights) _code.vpdpbusd(_sums[vector], column, _weights[tap]);
                else _code.vpdpbusd(_sums[vector], column, WeightsAt(block, tap));
            }
        }
    }

    private IEnumerable<(int Vector, int Tap)> UsesOf(int column)
    {
        for (int v = 0; v < _shape.Vectors; v++)
        {
            int distance = column - (v * _shape.Stride);
            if (distance >= 0 && distance % _shape.Dilation == 0 && distance / _shape.Dilation < _shape.Window) yield return (v, distance / _shape.Dilation);
        }
    }

    private AssemblerMemoryOperand WeightsAt(int block, int tap) => __zmmword_ptr[_list + ((1 + (block * _shape.Window) + tap) * VectorBytes)];
}
