using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// Resize of u8 or s8 codes by weighted sums of neighbours (mode linear or cubic): the bits of DequantizeLinear, Resize, QuantizeLinear, a
/// line at a time. Inputs and attributes are those of Resize; input_scale, input_zero_point and what else <see cref="CodeStage"/> has.
/// Any axes: none is taken for the channels.
/// </summary>
internal sealed class QuantizedResize : Resize
{
    public override string OpType => nameof(QuantizedResize);

    public override string Domain => OperatorSet.EngineDomain;

    protected override ValueFact Source(OpContext context, ResizeRule rule) => context.Input(0, ElementType.UInt8, ElementType.Int8);

    protected override ElementType ResultType(OpContext context, ElementType source) => CodeStage.OutputType(context);

    public override Step Prepare(PrepareContext context) => new ResizeStep(context);

    /// <param name="Inner">Product of the result's extents of the leading axes behind this one.</param>
    /// <param name="Input">Extent of the source.</param>
    /// <param name="Taps">By place; null: every place is the element of the same number.</param>
    private sealed record Axis(int Inner, int Input, (int Element, float Weight)[]?[]? Taps);

    /// <param name="Leading">The axes before that along which a line lies.</param>
    /// <param name="Taps">Along the line; null where it stays as it is.</param>
    /// <param name="Lines">Of the result.</param>
    /// <param name="Input">Elements of a line of the source.</param>
    /// <param name="Output">Elements of a line of the result.</param>
    /// <param name="Inner">Elements that move together along the line.</param>
    private sealed record State(Axis[] Leading, (int Element, float Weight)[]?[]? Taps, int Lines, int Input, int Output, int Inner)
    {
        /// <summary>A line that is summed for each leading axis, one for the sum, one for the result.</summary>
        public long LaneBytes => AlignedBuffer.Align((((Leading.Length + 1L) * Input) + Output) * sizeof(float));
    }

    private sealed class ResizeStep : Step
    {
        /// <summary>Codes of the result that are one thread's work at least.</summary>
        private const int ChunkCodes = 1 << 15;

        private readonly PrepareContext _node;
        private readonly ResizeRule _rule;
        private readonly AffineParameters _input, _output;
        private readonly bool _isSigned, _makesSigned;

        /// <summary>Bounds of what comes out, as a table; null where all codes may.</summary>
        private readonly byte[]? _clamp;

        public ResizeStep(PrepareContext node)
        {
            _node = node;
            _rule = RuleOf(node);
            _isSigned = node.Input(0).Type == ElementType.Int8;
            _makesSigned = CodeStage.OutputType(node) == ElementType.Int8;
            _input = new(node.Attribute("input_scale", 1f), (int)node.Attribute("input_zero_point", 0L));
            _output = new(node.Attribute("output_scale", 1f), (int)node.Attribute("output_zero_point", 0L));
            var grid = _makesSigned ? CodeGrid.Int8 : CodeGrid.UInt8;
            long min = node.Attribute("clamp_min", (long)grid.Min), max = node.Attribute("clamp_max", (long)grid.Max);
            if (min > grid.Min || max < grid.Max)
                _clamp = [.. Enumerable.Range(0, CodeTable.Codes).Select(bits => (byte)Math.Clamp(_makesSigned ? (sbyte)bits : bits, min, max))];
        }

        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            TensorLayout x = inputs[0]!, y = outputs[0]!;
            if (y.Count == 0) return StepPlan.Empty;
            var taps = TapsOf(_rule, ExtentsOf(_node, _rule, x, y));
            int line = Math.Max(0, Array.FindLastIndex(taps, t => t is not null)), inner = x.CountOf(Math.Min(line + 1, x.Rank), x.Rank);
            var leading = new Axis[Math.Min(line, x.Rank)];
            for (int i = 0; i < leading.Length; i++) leading[i] = new(y.CountOf(i + 1, line), x.Dims[i], taps[i]);
            int input = x.CountOf(leading.Length, x.Rank), output = y.CountOf(leading.Length, y.Rank);
            var state = new State(leading, taps.Length == 0 ? null : taps[line], y.Count / output, input, output, inner);
            return new(state.LaneBytes * Math.Min(WorkerPool.LaneCount, state.Lines), state);
        }

        public override unsafe void Run(in StepContext context)
        {
            if (context.State is not State state) return;
            int each = Math.Clamp(ChunkCodes / state.Output, 1, state.Lines), chunks = (state.Lines + each - 1) / each;
            fixed (byte* x = context.Input<byte>(0), y = context.Output<byte>(0), work = context.Workspace)
            {
                var body = new Body(this, state, each, x, y, work);
                WorkerPool.Run(ref body, chunks, Math.Min(chunks, Math.Min(state.Lines, Parallelism.Resolve(context.MaxThreads))));
            }
        }

        /// <summary>A chunk is some lines of the result.</summary>
        private readonly unsafe struct Body(ResizeStep step, State state, int each, byte* x, byte* y, byte* work) : IParallelBody
        {
            public void Run(int chunk, int lane)
            {
                var floats = new Span<float>(work + (lane * state.LaneBytes), (int)(state.LaneBytes / sizeof(float)));
                Span<float> row = floats[..state.Input], sums = floats.Slice((state.Leading.Length + 1) * state.Input, state.Output);
                for (int line = chunk * each, end = Math.Min(state.Lines, line + each); line < end; line++)
                {
                    Row(0, line, 0, floats, row);
                    Interpolate(row, sums);
                    step.Quantize(state.Taps is null ? row : sums, new(y + ((long)line * state.Output), state.Output));
                }
            }

            /// <summary>What the leading axes from <paramref name="axis"/> on make of the source, which the ones before have led to a row of.</summary>
            private void Row(int axis, int line, int source, Span<float> floats, Span<float> to)
            {
                if (axis == state.Leading.Length)
                {
                    step.Dequantize(new(x + ((long)source * state.Input), state.Input), to);
                    return;
                }
                var a = state.Leading[axis];
                int place = line / a.Inner, rest = line % a.Inner;
                if (a.Taps?[place] is not { } taps)
                {
                    Row(axis + 1, rest, (source * a.Input) + place, floats, to);
                    return;
                }
                var other = floats.Slice((axis + 1) * state.Input, state.Input);
                for (int i = 0; i < taps.Length; i++)
                {
                    var row = i == 0 ? to : other;
                    Row(axis + 1, rest, (source * a.Input) + taps[i].Element, floats, row);
                    if (i > 0) WeightedSum.Add(row, taps[i].Weight, to);
                    else Elementwise.Combine<MultiplyFunction>(row, [taps[i].Weight], row);
                }
            }

            private void Interpolate(ReadOnlySpan<float> row, Span<float> sums)
            {
                if (state.Taps is null) return;
                for (int o = 0; o < state.Taps.Length; o++) WeightedSum.Run(row, state.Taps[o], sums.Slice(o * state.Inner, state.Inner));
            }
        }

        private void Dequantize(ReadOnlySpan<byte> codes, Span<float> values)
        {
            if (_isSigned) Quantizer.Dequantize(MemoryMarshal.Cast<byte, sbyte>(codes), _input, values);
            else Quantizer.Dequantize(codes, _input, values);
        }

        private void Quantize(ReadOnlySpan<float> values, Span<byte> codes)
        {
            if (_makesSigned) Quantizer.Quantize(values, _output, MemoryMarshal.Cast<byte, sbyte>(codes));
            else Quantizer.Quantize(values, _output, codes);
            if (_clamp is not null) CodeLookup.Run(_clamp, codes, codes);
        }
    }
}
