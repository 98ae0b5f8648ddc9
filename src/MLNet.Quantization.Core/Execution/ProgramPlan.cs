using System.Collections.Concurrent;
using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Execution;

/// <summary>A program with concrete input shapes: every value's layout and its place in an arena. Immutable; keeps idle runs for reuse.</summary>
internal sealed class ProgramPlan
{
    private readonly ConcurrentBag<ProgramRun> _idle = [];
    private readonly int[][] _inputShapes;

    private ProgramPlan(Program program, int[][] inputShapes, PlannedValue[] values, PlannedStep[] steps, MemoryLayout memory)
    {
        Program = program;
        _inputShapes = inputShapes;
        Values = values;
        Steps = steps;
        Memory = memory;
    }

    public Program Program { get; }

    public PlannedValue[] Values { get; }

    public PlannedStep[] Steps { get; }

    public MemoryLayout Memory { get; }

    public static ProgramPlan Make(Program program, ReadOnlySpan<int[]> inputShapes)
    {
        var facts = InferConcrete(program, inputShapes);
        var values = new ValueTable(facts);
        foreach (var input in program.Inputs) values.Add(input.Name);
        var steps = new List<PlannedStep>();
        foreach (var node in program.Nodes)
        {
            // A node whose outputs are known before any data is there (shape arithmetic, mostly) is not run.
            if (node.Node.Outputs.All(o => o.Length == 0 || facts[o].Value is not null)) continue;
            var inputs = node.Reads.Select((r, i) => r.Length > 0 && node.Step.ReadsAtRun(i) ? values.Add(r) : -1).ToArray();
            var outputs = node.Node.Outputs.Select(o => o.Length > 0 ? values.Add(o) : -1).ToArray();
            var needs = PlanOf(node, node.Reads.Select(r => r.Length > 0 ? values.LayoutOf(r) : null).ToArray(), outputs.Select(values.LayoutAt).ToArray());
            steps.Add(new(node, inputs, outputs, needs));
        }
        foreach (var output in program.Outputs) values.Add(output.Name);
        foreach (string watched in program.Options.Watched) values.Add(watched);
        var table = values.ToArray();
        var memory = MemoryPlanner.Plan(program, table, steps);
        return new(program, inputShapes.ToArray(), table, [.. steps.Where(s => !IsDone(s)).Select(AsRun)], memory);

        bool Aliases(PlannedStep s) => s.Node.Step.AliasedInput >= 0;
        bool IsDone(PlannedStep s) =>
            Aliases(s) && memory.Roots[s.Outputs[0]] == memory.Roots[s.Inputs[s.Node.Step.AliasedInput]] && !program.Options.Watched.Contains(table[s.Outputs[0]].Name);
        PlannedStep AsRun(PlannedStep s) =>
            Aliases(s) ? s with { Node = s.Node with { Step = CopyStep.Instance }, Inputs = [s.Inputs[s.Node.Step.AliasedInput]] } : s;
    }

    /// <summary>Few files are so large; those that contradict themselves may be.</summary>
    private static StepPlan PlanOf(PreparedNode node, TensorLayout?[] inputs, TensorLayout?[] outputs)
    {
        try
        {
            var needs = node.Step.Plan(inputs, outputs);
            return needs.WorkspaceBytes <= int.MaxValue - MemoryPlanner.Alignment ? needs : throw TooLarge($"{needs.WorkspaceBytes} bytes");
        }
        catch (OverflowException)
        {
            throw TooLarge("too many elements");
        }

        UnsupportedOperatorException TooLarge(string what) =>
            new($"Node '{node.Node.DisplayName}' ({node.Node.OpType}): at these extents it works on {what}, supported are up to 2^31 - 1.", node.Node.DisplayName, node.Node.OpType, node.Node.Domain);
    }

    public bool Fits(ReadOnlySpan<int[]> inputShapes)
    {
        for (int i = 0; i < inputShapes.Length; i++)
            if (!inputShapes[i].AsSpan().SequenceEqual(_inputShapes[i])) return false;
        return true;
    }

    public ProgramRun Rent() => _idle.TryTake(out var run) ? run : new ProgramRun(this);

    public void Return(ProgramRun run) => _idle.Add(run);

    private static Dictionary<string, ValueFact> InferConcrete(Program program, ReadOnlySpan<int[]> inputShapes)
    {
        var inputs = new Dictionary<string, ValueFact>(program.Constants, StringComparer.Ordinal);
        var symbols = new Dictionary<string, (Dimension Extent, string Input)>(StringComparer.Ordinal);
        for (int i = 0; i < inputShapes.Length; i++)
        {
            var declared = program.Inputs[i];
            var shape = TensorShape.FromDims(inputShapes[i]);
            if (declared.Shape is { } expected && !Accepts(expected, shape))
                throw new ModelFormatException($"Input '{declared.Name}' was given shape {shape}, the model expects {expected}.", null, declared.Name);
            CheckSymbols(declared, shape, symbols);
            inputs[declared.Name] = new(declared.Type, shape);
        }
        // Constants enter as outer values: they are facts without being inputs.
        var facts = GraphInference.Infer(program.Graph, inputs, inputs, program.Opset);
        foreach (var node in program.Nodes)
            foreach (string output in node.Node.Outputs)
                if (output.Length > 0 && facts[output].Shape is not { IsKnown: true })
                    throw new UnsupportedOperatorException(
                        $"The shape of '{output}', computed by node '{node.Node.DisplayName}' ({node.Node.OpType}), depends on the data: {facts[output]}. " +
                        "Shapes must follow from the shapes of the inputs.", node.Node.DisplayName, node.Node.OpType, node.Node.Domain);
        return facts;
    }

    private static void CheckSymbols(ValueInfo declared, TensorShape given, Dictionary<string, (Dimension Extent, string Input)> symbols)
    {
        for (int i = 0; i < (declared.Shape?.Rank ?? 0); i++)
        {
            if (declared.Shape![i].Symbol is not { } symbol) continue;
            if (symbols.TryGetValue(symbol, out var known) && known.Extent != given[i])
                throw new ModelFormatException(
                    $"Input '{declared.Name}' was given shape {given}, where axis '{symbol}' is {given[i]}; input '{known.Input}' has {known.Extent} there.", null, declared.Name);
            symbols[symbol] = (given[i], declared.Name);
        }
    }

    private static bool Accepts(TensorShape declared, TensorShape given)
    {
        if (declared.Rank != given.Rank) return false;
        for (int i = 0; i < declared.Rank; i++)
            if (declared[i].IsKnown && declared[i] != given[i]) return false;
        return true;
    }

    /// <summary>Numbers the values of a plan in the order in which they are met.</summary>
    private sealed class ValueTable(Dictionary<string, ValueFact> facts)
    {
        private readonly Dictionary<string, int> _index = new(StringComparer.Ordinal);
        private readonly List<PlannedValue> _values = [];

        public int Add(string name)
        {
            if (_index.TryGetValue(name, out int index)) return index;
            var fact = facts[name];
            _values.Add(new(name, LayoutOf(name), fact.Value));
            _index[name] = _values.Count - 1;
            return _values.Count - 1;
        }

        public TensorLayout LayoutOf(string name)
        {
            if (_index.TryGetValue(name, out int index)) return _values[index].Layout;
            try
            {
                return new(facts[name].Type, facts[name].Shape!.ToInts());
            }
            catch (OverflowException)
            {
                throw new ModelFormatException($"Tensor '{name}' of shape {facts[name].Shape} takes more bytes than can be addressed (2^31 - 1).", null, name);
            }
        }

        public TensorLayout? LayoutAt(int index) => index < 0 ? null : _values[index].Layout;

        public PlannedValue[] ToArray() => [.. _values];
    }
}

/// <summary>Stands in for a step whose output could not simply be its input's memory, or is watched.</summary>
internal sealed class CopyStep : Step
{
    public static CopyStep Instance { get; } = new();

    public override void Run(in StepContext context) => context.Input<byte>(0).CopyTo(context.Output<byte>(0));
}

/// <summary>A value of a plan.</summary>
/// <param name="Name">Its name in the graph.</param>
/// <param name="Layout">Its type and extents.</param>
/// <param name="Constant">Its data where it is a constant.</param>
internal sealed record PlannedValue(string Name, TensorLayout Layout, Tensor? Constant);

/// <summary>A step of a plan. Inputs and outputs are positions in <see cref="ProgramPlan.Values"/>, -1 where omitted or not read.</summary>
internal sealed record PlannedStep(PreparedNode Node, int[] Inputs, int[] Outputs, StepPlan Needs);
