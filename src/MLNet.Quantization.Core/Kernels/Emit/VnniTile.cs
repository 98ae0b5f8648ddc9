using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// Emits one tile of the INT8 product: all of k in registers, then the output stage. Every step of the loop takes one group of four
/// values of k: loads the group's weights of all columns, and for each row broadcasts the row's four activations and adds their products
/// (vpdpbusd).
/// </summary>
internal sealed class VnniTile
{
    /// <summary>Groups in one round of the main loop.</summary>
    private const int Unroll = 4;

    /// <summary>How far ahead weights are asked for: about the time that the second-level cache takes to answer.</summary>
    private const int PrefetchBytes = 2048;

    private const int VectorBytes = 64;

    private readonly Assembler _code = new(64) { PreferVex = false }; // the VEX form of vpdpbusd is another instruction set's
    private readonly TileShape _shape;
    private readonly CallingConvention _convention;
    private readonly int _copies;
    private readonly AssemblerRegisterZMM[] _free;
    private readonly AssemblerRegister64 _weights, _stride, _count;
    private readonly AssemblerRegister64[] _rows;
    private int _turn;

    private VnniTile(TileShape shape, CallingConvention convention)
    {
        _shape = shape;
        _convention = convention;
        _copies = shape.Copies(convention.Vectors.Length);
        _free = convention.Vectors[(shape.Rows * shape.Vectors * _copies)..];
        (_weights, _stride, _count) = (convention.General[0], convention.General[1], convention.General[2]);
        _rows = convention.General[3..(3 + ((shape.Rows + 2) / 3))];
    }

    /// <summary>The code of a tile: a function that takes a <see cref="TileArguments"/>* under that convention.</summary>
    public static byte[] Emit(TileShape shape, CallingConvention convention)
    {
        var tile = new VnniTile(shape, convention);
        tile.StartSums();
        tile.ClaimOutput();
        tile.LoadPointers();
        if (shape.Segmented) tile.Segments();
        else tile.Loop();
        tile.AddCopies();
        var sums = convention.Vectors[..(shape.Rows * shape.Vectors)];
        new VnniOutput(tile._code, shape, convention, sums, convention.Vectors[sums.Length..]).Emit();
        tile._code.vzeroupper();
        tile._code.ret();
        var bytes = new MemoryStream();
        tile._code.Assemble(new StreamCodeWriter(bytes), 0);
        return bytes.ToArray();
    }

    private AssemblerRegisterZMM Sum(int copy, int row, int vector) =>
        _convention.Vectors[(((copy * _shape.Rows) + row) * _shape.Vectors) + vector];

    /// <summary>Sums start from the offsets.</summary>
    private void StartSums()
    {
        var arguments = _convention.Argument;
        _code.mov(_weights, __qword_ptr[arguments + TileFields.Offsets]);
        for (int v = 0; v < _shape.Vectors; v++) _code.vmovdqu32(Sum(0, 0, v), __zmmword_ptr[_weights + (v * VectorBytes)]);
        for (int r = 1; r < _shape.Rows; r++)
            for (int v = 0; v < _shape.Vectors; v++)
                _code.vmovdqa32(Sum(0, r, v), Sum(0, 0, v));
        for (int c = 1; c < _copies; c++)
            for (int r = 0; r < _shape.Rows; r++)
                for (int v = 0; v < _shape.Vectors; v++)
                    _code.vpxord(Sum(c, r, v), Sum(c, r, v), Sum(c, r, v));

    }

    /// <summary>Asks for the lines of the output, for writing, so that the stores at the end do not wait for them.</summary>
    private void ClaimOutput()
    {
        var (arguments, output) = (_convention.Argument, _weights);
        _code.mov(output, __qword_ptr[arguments + TileFields.C]);
        int rowBytes = _shape.Vectors * (_shape.Stage == OutputStage.Requantized ? 16 : VectorBytes);
        for (int r = 0; r < _shape.Rows; r++)
        {
            for (int at = 0; at < rowBytes; at += VectorBytes) _code.prefetchw(__byte_ptr[output + at]);
            if (r + 1 < _shape.Rows) _code.add(output, __qword_ptr[arguments + TileFields.Ldc]);
        }
    }

    /// <summary>Row r is read through register r / 3 with 0, 1 or 2 times the row stride, the forms that addressing has for free.</summary>
    private void LoadPointers()
    {
        var arguments = _convention.Argument;
        _code.mov(_weights, __qword_ptr[arguments + TileFields.B]);
        _code.mov(_stride, __qword_ptr[arguments + TileFields.Lda]);
        if (!_shape.Segmented) _code.mov(_count, __qword_ptr[arguments + TileFields.Groups]);
        _code.mov(_rows[0], __qword_ptr[arguments + TileFields.A]);
        for (int i = 1; i < _rows.Length; i++)
        {
            _code.lea(_rows[i], __[_rows[i - 1] + (_stride * 2)]);
            _code.add(_rows[i], _stride);
        }
    }

    /// <summary>One loop a segment. No register is free for the place in the list of jumps: the argument holds it.</summary>
    private void Segments()
    {
        var arguments = _convention.Argument;
        Label segment = _code.CreateLabel(), end = _code.CreateLabel();
        _code.Label(ref segment);
        _code.mov(_count, __qword_ptr[arguments + TileFields.SegmentGroups]);
        Loop();
        _code.mov(_count, __qword_ptr[arguments + TileFields.Jumps]);
        _code.add(__qword_ptr[arguments + TileFields.Jumps], sizeof(long));
        _code.mov(_count, __qword_ptr[_count]);
        _code.cmp(_count, (int)TileArguments.LastJump);
        _code.je(end);
        foreach (var row in _rows) _code.add(row, _count);
        _code.jmp(segment);
        _code.Label(ref end);
    }

    private void Loop()
    {
        Label main = _code.CreateLabel(), rest = _code.CreateLabel(), restLoop = _code.CreateLabel(), end = _code.CreateLabel();
        _code.sub(_count, Unroll);
        _code.jl(rest);
        _code.Label(ref main);
        for (int u = 0; u < Unroll; u++) Group(u, u % _copies);
        Advance(Unroll);
        _code.sub(_count, Unroll);
        _code.jge(main);
        _code.Label(ref rest);
        _code.add(_count, Unroll);
        _code.jz(end);
        _code.Label(ref restLoop);
        Group(0, 0);
        Advance(1);
        _code.dec(_count);
        _code.jnz(restLoop);
        _code.Label(ref end);
    }

    /// <summary>Adds the products of group <paramref name="u"/> from where the pointers stand to the sums of <paramref name="copy"/>.</summary>
    private void Group(int u, int copy)
    {
        int loaded = _shape.WeightRegisters, broadcasts = Math.Min(4, _free.Length - loaded);
        AssemblerMemoryOperand Weights(int v) => __zmmword_ptr[_weights + (((u * _shape.Vectors) + v) * VectorBytes)];
        // With a row or two, weights are one stream at the speed of a cache, which the processor follows by itself: asking takes load slots,
        // and asks for the wrong panel where panels are walked from the end.
        for (int v = 0; v < _shape.Vectors && _shape.Rows > 2; v++) _code.prefetcht0(__byte_ptr[_weights + (((u * _shape.Vectors) + v) * VectorBytes) + PrefetchBytes]);
        for (int v = 0; v < loaded; v++) _code.vmovdqu32(_free[v], Weights(v));
        for (int r = 0; r < _shape.Rows; r++)
        {
            var activations = _free[loaded + (_turn++ % broadcasts)];
            var row = _rows[r / 3];
            _code.vpbroadcastd(activations, (r % 3) switch
            {
                0 => __dword_ptr[row + (u * 4)],
                1 => __dword_ptr[row + _stride + (u * 4)],
                _ => __dword_ptr[row + (_stride * 2) + (u * 4)],
            });
            for (int v = 0; v < _shape.Vectors; v++)
            {
                if (loaded == 0) _code.vpdpbusd(Sum(copy, r, v), activations, Weights(v));
                else _code.vpdpbusd(Sum(copy, r, v), activations, _free[v]);
            }
        }
    }

    private void Advance(int groups)
    {
        _code.add(_weights, groups * _shape.Vectors * VectorBytes);
        foreach (var row in _rows) _code.add(row, groups * 4);
    }

    private void AddCopies()
    {
        for (int distance = 1; distance < _copies; distance *= 2)
            for (int c = 0; c + distance < _copies; c += 2 * distance)
                for (int r = 0; r < _shape.Rows; r++)
                    for (int v = 0; v < _shape.Vectors; v++)
                        _code.vpaddd(Sum(c, r, v), Sum(c, r, v), Sum(c + distance, r, v));
    }
}
