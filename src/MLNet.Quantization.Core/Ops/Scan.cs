using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Runs its body once for each index of an axis of its scanned inputs, forward or backward; states go from one iteration to the next, other
/// results are stacked. Before operator set 9 every sequence of a batch is scanned by itself, along the axis behind the batch.
/// </summary>
internal sealed class Scan : Operator
{
    private const int FirstWithoutBatch = 9;

    public override string OpType => "Scan";

    public override ValueFact[] Infer(OpContext context)
    {
        var form = new Form(context);
        var (carried, results) = form.Body.Infer(form.States, form.Slices);
        var facts = carried.Select(c => new ValueFact(c.Type, form.WithBatch(c.Shape))).ToList();
        for (int s = 0; s < form.Body.Stacked; s++)
        {
            var result = results[carried.Length + s];
            if (result.Shape is not { } shape)
            {
                facts.Add(new(result.Type, null));
                continue;
            }
            int axis = form.OutputAxis(s, shape.Rank);
            facts.Add(new(result.Type, form.WithBatch(new([.. shape.Dims[..axis], form.Length, .. shape.Dims[axis..]]))));
        }
        return [.. facts];
    }

    public override Step Prepare(PrepareContext context)
    {
        var form = new Form(context);
        var (carried, results) = form.Body.Infer(form.States, form.Slices);
        var step = new ScanStep(form, context.Subgraph(form.Body.Closed(carried, form.Slices)), results);
        return form.HasBatch ? new BatchStep(step) : step;
    }

    /// <summary>The node's attributes, and what is known of its inputs, without their batch.</summary>
    private sealed class Form
    {
        private readonly OpContext _context;
        private readonly ImmutableArray<long> _inputAxes;
        private readonly ImmutableArray<long> _outputAxes;
        private readonly ImmutableArray<long> _inputDirections;
        private readonly ImmutableArray<long> _outputDirections;

        public Form(OpContext context)
        {
            _context = context;
            HasBatch = context.Opset < FirstWithoutBatch;
            FirstState = HasBatch ? 1 : 0;
            if (HasBatch && context.Optional(0) is not null) throw context.Unsupported("sequences of lengths of their own (sequence_lens) are not run, supported is their omission");
            Scanned = (int)Math.Clamp(context.Attribute("num_scan_inputs", 0L), int.MinValue, int.MaxValue);
            int states = context.Node.Inputs.Length - FirstState - Scanned;
            if (Scanned < 1 || states < 0) throw context.Malformed($"num_scan_inputs is {Scanned}, it has {context.Node.Inputs.Length - FirstState} inputs");
            _inputAxes = List("scan_input_axes");
            _outputAxes = List("scan_output_axes");
            _inputDirections = List(HasBatch ? "directions" : "scan_input_directions");
            _outputDirections = List("scan_output_directions");
            Body = IteratedBody.Of(context, 0, 0, states, Scanned);
            States = [.. Enumerable.Range(FirstState, states).Select(i => Row(context.Input(i)))];
            var sequences = Enumerable.Range(FirstState + states, Scanned).Select(i => Row(context.Input(i))).ToArray();
            Slices = new ValueFact[Scanned];
            for (int i = 0; i < Scanned; i++) Slices[i] = new(sequences[i].Type, sequences[i].Shape is { } shape ? Without(shape, InputAxis(i, shape.Rank)) : null);
            Dimension[] lengths = [.. sequences.Select((s, i) => s.Shape is { } shape ? shape[InputAxis(i, shape.Rank)] : Dimension.Unknown)];
            long[] known = [.. lengths.Where(l => l.IsKnown).Select(l => l.Value).Distinct()];
            if (known.Length > 1) throw context.Malformed($"its inputs are scanned over {string.Join(" and ", known)} entries");
            Length = lengths.FirstOrDefault(l => l.IsKnown, lengths[0]);
        }

        public bool HasBatch { get; }

        /// <summary>The node's first input that is a state.</summary>
        public int FirstState { get; }

        public int Scanned { get; }

        public IteratedBody Body { get; }

        public ValueFact[] States { get; }

        public ValueFact[] Slices { get; }

        /// <summary>Iterations.</summary>
        public Dimension Length { get; }

        public int InputAxis(int scanned, int rank)
        {
            if (rank == 0) throw _context.Malformed($"scanned input {scanned} is a scalar");
            return _context.Axis(_inputAxes.IsDefault ? 0 : _inputAxes[scanned], rank);
        }

        /// <param name="stacked">Which.</param>
        /// <param name="rank">Of one element.</param>
        public int OutputAxis(int stacked, int rank) => _context.Axis(_outputAxes.IsDefault ? 0 : _outputAxes[stacked], rank + 1);

        public bool ReadsBackwards(int scanned) => !_inputDirections.IsDefault && _inputDirections[scanned] != 0;

        public bool StacksBackwards(int stacked) => !_outputDirections.IsDefault && _outputDirections[stacked] != 0;

        public TensorShape? WithBatch(TensorShape? row) =>
            !HasBatch || row is null ? row : new([_context.Input(FirstState + Body.Carried).Shape is { Rank: > 0 } shape ? shape[0] : Dimension.Unknown, .. row]);

        private ImmutableArray<long> List(string name)
        {
            var list = _context.Attribute(name, default(ImmutableArray<long>));
            int expected = name.StartsWith("scan_output", StringComparison.Ordinal) ? _context.OutputCount - (_context.Node.Inputs.Length - FirstState - Scanned) : Scanned;
            if (!list.IsDefault && list.Length < expected) throw _context.Malformed($"'{name}' has {list.Length} entries, expected {expected}");
            return list;
        }

        private ValueFact Row(ValueFact fact)
        {
            if (!HasBatch || fact.Shape is not { } shape) return new(fact.Type, fact.Shape);
            return shape.Rank > 0 ? new(fact.Type, Without(shape, 0)) : throw _context.Malformed("an input has no axis for the batch");
        }

        private static TensorShape Without(TensorShape shape, int axis) => new([.. shape.Dims[..axis], .. shape.Dims[(axis + 1)..]]);
    }

    /// <summary>One index of each scanned input lies in the workspace.</summary>
    private sealed class ScanStep(Form form, ISubgraph graph, ValueFact[] results) : IteratedStep(form.Body, graph, results, form.FirstState)
    {
        private sealed record Slices(TensorLayout[] Layouts, int[] Offsets);

        public Form Form => form;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var slices = new Slices(new TensorLayout[form.Scanned], new int[form.Scanned]);
            int bytes = 0;
            for (int i = 0; i < form.Scanned; i++)
            {
                var x = inputs[FirstScanned + i]!;
                int axis = form.InputAxis(i, x.Rank);
                slices.Layouts[i] = new(x.Type, [.. x.Dims[..axis], .. x.Dims[(axis + 1)..]]);
                slices.Offsets[i] = bytes;
                bytes = checked(bytes + (int)AlignedBuffer.Align(slices.Layouts[i].ByteCount));
            }
            return new(Math.Max(bytes, 1), slices);
        }

        private int FirstScanned => form.FirstState + form.Body.Carried;

        protected override bool Continues(in StepContext context, int done, ISubgraphRun? last)
        {
            var x = context.Inputs[FirstScanned];
            return done < x.Dims[form.InputAxis(0, x.Dims.Length)];
        }

        protected override unsafe void Bind(in StepContext context, int iteration, Span<TensorView> inputs)
        {
            var slices = (Slices)context.State!;
            byte* memory = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(context.Workspace));
            for (int i = 0; i < form.Scanned; i++)
            {
                var x = context.Inputs[FirstScanned + i];
                int axis = form.InputAxis(i, x.Dims.Length), extent = x.Dims[axis];
                var slice = new TensorView(memory + slices.Offsets[i], slices.Layouts[i]);
                AxisSlice.Take(x.Read<byte>(), x.Layout!.CountOf(0, axis), extent, form.ReadsBackwards(i) ? extent - 1 - iteration : iteration, slice.Write<byte>());
                inputs[form.Body.Carried + i] = slice;
            }
        }

        protected override int StackAxis(int stacked, int rank) => form.OutputAxis(stacked, rank);

        protected override bool StacksBackwards(int stacked) => form.StacksBackwards(stacked);
    }

    /// <summary>Scans the sequences of a batch one after the other.</summary>
    private sealed class BatchStep(ScanStep step) : Step
    {
        private sealed record Rows(TensorLayout?[] Inputs, TensorLayout?[] Outputs, object? State);

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            int own = step.Form.FirstState + step.Form.Body.Carried + step.Form.Scanned;
            var given = inputs.ToArray().Select((layout, i) => i < own ? Row(layout) : layout).ToArray();
            TensorLayout?[] made = Array.ConvertAll(outputs.ToArray(), Row);
            var plan = step.Plan(given, made);
            return new(plan.WorkspaceBytes, new Rows(given, made, plan.State));
        }

        public override void Run(in StepContext context)
        {
            var rows = (Rows)context.State!;
            int own = step.Form.FirstState + step.Form.Body.Carried + step.Form.Scanned, batch = context.Inputs[step.Form.FirstState + step.Form.Body.Carried].Dims[0];
            var inputs = context.Inputs.ToArray();
            var outputs = context.Outputs.ToArray();
            for (int b = 0; b < batch; b++)
            {
                for (int i = 0; i < own; i++)
                    if (rows.Inputs[i] is { } layout) inputs[i] = context.Inputs[i].At(b * layout.ByteCount, layout);
                for (int i = 0; i < outputs.Length; i++)
                    if (rows.Outputs[i] is { } layout) outputs[i] = context.Outputs[i].At(b * layout.ByteCount, layout);
                step.Run(new StepContext(inputs, outputs, context.Workspace, rows.State, context.MaxThreads));
            }
        }

        private static TensorLayout? Row(TensorLayout? layout) => layout is null ? null : new(layout.Type, layout.Dims.AsSpan(1));
    }
}
