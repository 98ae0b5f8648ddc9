namespace MLNet.Quantization.Kernels;

/// <summary>
/// How <see cref="DepthwiseConvolution"/> computes lines by tiles that sum four taps at once (<see cref="Int8Kernel.DepthTile"/>): four lines
/// of the image are zipped to a block, 16 channels at a time; a window takes some columns of one block or of a few, and taps that lie outside
/// the image, or beside the window in a block, have weights of 0. Lines alike in this share weights and offsets. Immutable.
/// </summary>
internal sealed unsafe class QuadDepthwise
{
    private const int MostWindow = 16, MostBlocks = 4, Lanes = 16, VectorBytes = 64;

    private readonly Int8Kernel _kernel;
    private readonly sbyte[] _weights;
    private readonly int _channels, _repeat, _zeroPoint;
    private readonly AlignedBuffer _scales;
    private readonly int[] _bias;
    private readonly byte _flip;
    private readonly DepthTileArguments _stage;

    /// <param name="kernel">One with such tiles.</param>
    /// <param name="weights">s8 [channels, window].</param>
    /// <param name="channels">Channels.</param>
    /// <param name="source">What is read: codes.</param>
    /// <param name="output">What comes out.</param>
    /// <param name="stride">Of the windows along the width.</param>
    public QuadDepthwise(Int8Kernel kernel, ReadOnlySpan<sbyte> weights, int channels, PixelSource source, CodeOutput output, int stride)
    {
        (_kernel, _weights, _channels, _zeroPoint) = (kernel, weights.ToArray(), channels, source.Parameters.ZeroPoint);
        _flip = source.Form == PixelForm.SignedCodes ? (byte)0x80 : (byte)0;
        _repeat = stride == 1 && channels < Lanes && Lanes % channels == 0 ? Lanes / channels : 1;
        _bias = output.Bias.Length == 0 ? new int[channels] : output.Bias;
        _scales = new((Planes + 1L) * VectorBytes);
        for (int lane = 0; lane < Planes * Lanes; lane++)
            if (ChannelOf(lane) is { } channel) ((float*)_scales.Pointer)[lane] = output.Multipliers[channel];
        DepthTileArguments.CodeOrder.CopyTo(new Span<int>((int*)_scales.Pointer + (Planes * Lanes), Lanes));
        int flip = output.ClampMin < 0 ? 0x80 : 0;
        _stage = new() { High = output.ClampMax - output.ZeroPoint, ZeroPoint = output.ZeroPoint + flip, LowCode = output.ClampMin + flip, Flip = flip, OutputStep = (long)channels * _repeat, Mask = (1UL << Math.Min(Lanes, channels)) - 1 };
    }

    /// <summary>Of the channels, a vector each; the last has the last 16, where there are as many.</summary>
    private int Planes => ((_channels * _repeat) + Lanes - 1) / Lanes;

    /// <summary>Where channels fill no vector, columns lie as close as they are, and vectors may hold several.</summary>
    private int ColumnBytes => _channels < Lanes ? 4 * _channels : VectorBytes;

    /// <summary>True where the tiles can compute a convolution.</summary>
    /// <param name="kernel">Whose tiles.</param>
    /// <param name="form">What is read.</param>
    /// <param name="window">Of the convolution.</param>
    /// <param name="dilation">Along the height.</param>
    public static bool Fits(Int8Kernel kernel, PixelForm form, Extents window, int dilation) =>
        kernel.MaxDepthVectors(Math.Min(window.Width, MostWindow)) > 0 && form is PixelForm.Codes or PixelForm.SignedCodes && window.Width <= MostWindow && window.Depth == 1
        && ((window.Height - 1L) * dilation) + 1 <= ((MostBlocks - 1) * 4) + 1;

    /// <summary>What depends on shapes alone.</summary>
    public Plan For(ConvolutionShape shape) => new(this, shape);

    /// <summary>The first channel of a plane.</summary>
    private int ChannelAt(int plane) => Math.Max(0, Math.Min(plane * Lanes, _channels - Lanes));

    /// <summary>The channel of a lane, counted through all planes; null where there is none.</summary>
    private int? ChannelOf(int lane) =>
        _repeat > 1 ? lane % _channels : ChannelAt(lane / Lanes) + (lane % Lanes) is var channel && channel < _channels ? channel : null;

    /// <summary>What a line of the output is computed with.</summary>
    /// <param name="First">The first block that its windows read.</param>
    /// <param name="Count">How many.</param>
    /// <param name="Constants">By plane: <see cref="DepthTileArguments.Constants"/>.</param>
    private readonly record struct Line(int First, int Count, AlignedBuffer Constants)
    {
        public int End => First + Count;

        /// <summary>Where the first block lies in the scratch memory, and bytes from it to the next.</summary>
        public long From { get; init; }

        public long BlockStep { get; init; }

        /// <summary>Of one plane.</summary>
        public long ConstantBytes { get; init; }
    }

    /// <summary>A convolution at fixed extents. Immutable.</summary>
    internal sealed class Plan
    {
        /// <summary>Blocks that lines need at a time where windows are no higher than most; the next one then takes the place of the one before.</summary>
        private const int Ring = 2;

        /// <summary>Of blocks, that the first-level cache keeps.</summary>
        private const int CacheBytes = 24 << 10;

        private readonly QuadDepthwise _owner;
        private readonly ConvolutionShape _shape;
        private readonly Line[] _lines;
        private readonly int _padded, _columnBytes, _mostVectors;
        private readonly long _blockBytes, _vectorStep;

        /// <summary>Blocks of a plane at a time, and planes: as many as stay in the cache, so that lines of the output are written whole.</summary>
        private readonly int _slots, _planes;
        private readonly DepthStore _store;
        private readonly nint[] _tiles;

        /// <summary>Columns before the image, and those of it that windows reach.</summary>
        private readonly int _left, _pixels;

        /// <summary>A line is so many tiles of so many vectors, so many of one vector more, and pixels that fill no vector.</summary>
        private readonly int _equal, _vectors, _higher, _rest;

        public Plan(QuadDepthwise owner, ConvolutionShape shape)
        {
            if (owner._repeat > 1 && shape.Strides.Width != 1) throw new ArgumentException("The windows move by another number of pixels than was said.", nameof(shape));
            (_owner, _shape, _padded, _columnBytes) = (owner, shape, shape.Padded.Width, owner.ColumnBytes);
            _blockBytes = AlignedBuffer.Align((long)_padded * _columnBytes);
            _vectorStep = owner._repeat > 1 ? VectorBytes : (long)_columnBytes * shape.Strides.Width;
            _left = Math.Clamp(shape.Pads.Width, 0, _padded);
            _pixels = shape.Input.Height == 0 ? 0 : Math.Max(0, Math.Min(shape.Input.Width - Math.Max(0, -shape.Pads.Width), _padded - _left));
            _store = owner._channels * owner._repeat == Lanes ? DepthStore.Dense : owner._channels < Lanes ? DepthStore.Part : DepthStore.Apart;
            var known = new Dictionary<(int Row, int Count, int Lines), Line>();
            _lines = [.. Enumerable.Range(0, shape.Output.Height).Select(y => LineOf(y, known))];
            _slots = _lines.Length == 0 ? 0 : _lines.Max(l => l.Count) <= Ring ? Ring : _lines.Max(l => l.End);
            for (int i = 0; i < _lines.Length; i++)
            {
                int slot = _lines[i].First % _slots;
                _lines[i] = _lines[i] with { From = slot * _blockBytes, BlockStep = slot + 1 < _slots ? _blockBytes : -slot * _blockBytes };
            }
            // Columns behind a line are read by lanes that are not stored.
            _planes = (int)Math.Clamp(CacheBytes / Math.Max(1, _slots * _blockBytes), 1, owner.Planes);
            ScratchBytes = (_planes * _slots * _blockBytes) + VectorBytes;
            _mostVectors = owner._kernel.MaxDepthVectors(shape.Window.Width);
            _tiles = new nint[(MostBlocks + 1) * (_mostVectors + 1)];
            var (vectors, rest) = Math.DivRem(shape.Output.Width, owner._repeat);
            int tiles = (vectors + _mostVectors - 1) / _mostVectors;
            _rest = rest;
            if (tiles == 0) return;
            (_vectors, _higher) = Math.DivRem(vectors, tiles);
            _equal = tiles - _higher;
        }

        /// <summary>Of one thread.</summary>
        public long ScratchBytes { get; }

        /// <summary>Zips the lines that some lines of the output read, some blocks at a time, and computes these.</summary>
        /// <param name="image">Channels last.</param>
        /// <param name="line">First line of the output.</param>
        /// <param name="count">How many.</param>
        /// <param name="to">Its first code.</param>
        /// <param name="scratch"><see cref="ScratchBytes"/>, aligned.</param>
        public void Compute(byte* image, int line, int count, byte* to, byte* scratch)
        {
            FillPads(scratch);
            var lines = _lines.AsSpan(line, count);
            var t = _owner._stage;
            t.Order = (int*)_owner._scales.Pointer + (_owner.Planes * Lanes);
            long lineCodes = (long)_shape.Output.Width * _owner._channels;
            for (int first = 0; first < _owner.Planes; first += _planes)
            {
                int end = Math.Min(first + _planes, _owner.Planes), ready = lines[0].First;
                byte* codes = to;
                foreach (ref readonly var l in lines)
                {
                    for (; ready < l.End; ready++)
                        for (int p = first; p < end; p++) ZipBlock(image + _owner.ChannelAt(p), ready, scratch + ((((p - first) * _slots) + (ready % _slots)) * _blockBytes));
                    t.BlockStep = l.BlockStep;
                    for (int p = first; p < end; p++)
                    {
                        t.From = scratch + ((p - first) * _slots * _blockBytes) + l.From;
                        t.Constants = l.Constants.Pointer + (p * l.ConstantBytes);
                        t.Scales = (float*)_owner._scales.Pointer + (p * Lanes);
                        t.Output = codes + _owner.ChannelAt(p);
                        ComputeLine(&t, l.Count);
                    }
                    codes += lineCodes;
                }
            }
            GC.KeepAlive(this);
        }

        private void ComputeLine(DepthTileArguments* t, int blocks)
        {
            if (_higher > 0) Call(t, _higher, _vectors + 1, blocks, _store);
            if (_equal > 0) Call(t, _equal, _vectors, blocks, _store);
            if (_rest == 0) return;
            ulong mask = t->Mask;
            t->Mask = (1UL << (_rest * _owner._channels)) - 1;
            Call(t, 1, 1, blocks, DepthStore.Part);
            t->Mask = mask;
        }

        private void Call(DepthTileArguments* t, int count, int vectors, int blocks, DepthStore store)
        {
            t->Count = count;
            ref nint tile = ref _tiles[(blocks * (_mostVectors + 1)) + (store == _store ? vectors : 0)];
            if (tile == 0) tile = _owner._kernel.DepthTile(new(vectors, _shape.Window.Width, blocks, (int)(_vectorStep / _columnBytes), _shape.Dilations.Width, _columnBytes, store));
            ((delegate* unmanaged[SuppressGCTransition]<DepthTileArguments*, void>)tile)(t);
            t->From += count * vectors * _vectorStep;
            t->Output += count * vectors * t->OutputStep;
        }

        /// <summary>Columns beside the image, which stay as they are while blocks come and go between them.</summary>
        private void FillPads(byte* scratch)
        {
            for (int s = 0; s < _slots * _planes; s++, scratch += _blockBytes)
            {
                new Span<byte>(scratch, _left * _columnBytes).Fill((byte)_owner._zeroPoint);
                new Span<byte>(scratch + ((long)(_left + _pixels) * _columnBytes), (_padded - _left - _pixels) * _columnBytes).Fill((byte)_owner._zeroPoint);
            }
        }

        /// <summary>Four lines of the image; of those behind its end, which no weight meets, the last one.</summary>
        private void ZipBlock(byte* image, int block, byte* to)
        {
            if (_pixels == 0) return;
            int last = _shape.Input.Height - 1, line = 4 * block;
            long lineBytes = (long)_shape.Input.Width * _owner._channels;
            image += Math.Max(0, -_shape.Pads.Width) * (long)_owner._channels;
            var quads = new LineQuads(image + (line * lineBytes), image + (Math.Min(line + 1, last) * lineBytes), image + (Math.Min(line + 2, last) * lineBytes), image + (Math.Min(line + 3, last) * lineBytes), _owner._flip);
            to += (long)_left * _columnBytes;
            if (_owner._channels <= Lanes) quads.Zip(_pixels * _owner._channels, to);
            else quads.ZipRuns(_pixels, _owner._channels, to);
        }

        private long ConstantBytes(int blocks) => (1L + (blocks * _shape.Window.Width)) * VectorBytes;

        private Line LineOf(int y, Dictionary<(int Row, int Count, int Lines), Line> known)
        {
            int dilation = _shape.Dilations.Height, first = (y * _shape.Strides.Height) - _shape.Pads.Height, height = _shape.Input.Height;
            int[] rows = [.. Enumerable.Range(0, _shape.Window.Height).Select(t => first + (t * dilation)).Where(r => r >= 0 && r < height)];
            int block = rows.Length == 0 ? 0 : rows[0] / 4, count = rows.Length == 0 ? 1 : (rows[^1] / 4) - block + 1;
            var key = (first - (4 * block), count, Math.Min(height - (4 * block), 4 * count));
            if (!known.TryGetValue(key, out var line)) known.Add(key, line = new(0, count, Prepare(key)) { ConstantBytes = ConstantBytes(count) });
            return line with { First = block };
        }

        /// <param name="at">Where the window begins in its first block, its blocks, and how many lines of these are in the image.</param>
        private AlignedBuffer Prepare((int Row, int Count, int Lines) at)
        {
            int width = _shape.Window.Width, taps = _shape.Window.Count;
            var buffer = new AlignedBuffer(_owner.Planes * ConstantBytes(at.Count));
            for (int lane = 0; lane < _owner.Planes * Lanes; lane++)
            {
                if (_owner.ChannelOf(lane) is not { } channel) continue;
                byte* constants = buffer.Pointer + (lane / Lanes * ConstantBytes(at.Count));
                int sum = 0;
                for (int t = 0; t < taps; t++)
                {
                    int row = at.Row + (t / width * _shape.Dilations.Height);
                    if (row < 0 || row >= at.Lines) continue;
                    sbyte w = _owner._weights[(channel * taps) + t];
                    sum += w;
                    constants[((1 + (row / 4 * width) + (t % width)) * VectorBytes) + (lane % Lanes * 4) + (row % 4)] = (byte)w;
                }
                ((int*)constants)[lane % Lanes] = unchecked(_owner._bias[channel] - (_owner._zeroPoint * sum));
            }
            return buffer;
        }
    }
}
