using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Execution;

/// <summary>A program with concrete input shapes: every value's layout and its place in an arena. Immutable; keeps idle runs for reuse.</summary>
/// <remarks>Where shapes depend on data, the plan ends at the nodes that need it, and <see cref="Rest"/> goes on.</remarks>
internal sealed class ProgramPlan
{
    // Not a ConcurrentBag: its runs lead back to it, which thread-local storage then never lets go of.
    private readonly Stack<ProgramRun> _idle = [];
    private readonly int[][] _inputShapes;
    private readonly string[]? _made;

    private ProgramPlan(Program program, int[][] inputShapes, string[]? made, PlannedValue[] values, PlannedStep[] steps, MemoryLayout memory, PlanRest? rest)
    {
        Program = program;
        _inputShapes = inputShapes;
        _made = made;
        Values = values;
        Steps = steps;
        Memory = memory;
        Rest = rest;
    }

    public Program Program { get; }

    public PlannedValue[] Values { get; }

    public PlannedStep[] Steps { get; }

    public MemoryLayout Memory { get; }

    /// <summary>What is planned when the data of this plan's run is there; null where shapes follow from shapes throughout.</summary>
    public PlanRest? Rest { get; }

    /// <summary>Nanoseconds of steps, too short to wake a worker for each of them, that together are worth it.</summary>
    public const double WakingTime = 50_000;

    /// <summary>Workers are woken when a run begins: one before had so many short steps while they slept. Changes how long a run takes, nothing else.</summary>
    public bool WakesWorkers { get; set; }

    /// <summary>False for a value that a plan before this one had already.</summary>
    public bool IsFirstSeen(string supplied) => _made is null || _made.Contains(supplied);

    public static ProgramPlan Make(Program program, ReadOnlySpan<int[]> inputShapes) =>
        Make(program, program.Nodes, [.. program.Inputs.Select(i => i.Name)], InputFacts(program, inputShapes), inputShapes.ToArray(), null);

    /// <param name="program">What is planned.</param>
    /// <param name="nodes">Those of its nodes that are.</param>
    /// <param name="entries">Values that are supplied.</param>
    /// <param name="facts">Of the entries and of what is constant; those of what the nodes make are added.</param>
    /// <param name="inputShapes">Of the program's inputs; not needed for what follows on the data of a run.</param>
    /// <param name="made">There, the entries that no plan before holds; null otherwise.</param>
    public static ProgramPlan Make(Program program, IReadOnlyList<PreparedNode> nodes, string[] entries, Dictionary<string, ValueFact> facts, int[][] inputShapes, string[]? made)
    {
        var split = PlanSplit.Of(program, nodes, facts);
        var values = new ValueTable(facts);
        foreach (string entry in entries) values.Add(entry);
        var steps = new List<PlannedStep>();
        foreach (var prepared in split.Ready)
        {
            bool isOpen = split.Opened.Contains(prepared);
            // A node whose outputs are known before any data is there (shape arithmetic, mostly) is not run.
            if (!isOpen && prepared.Node.Outputs.All(o => o.Length == 0 || facts[o].Value is not null)) continue;
            var node = made is not null ? PlanSplit.WithKnownValues(program, prepared, facts) : prepared;
            var inputs = node.Reads.Select((r, i) => r.Length > 0 && node.Step.ReadsAtRun(i) ? values.Add(r) : -1).ToArray();
            var outputs = isOpen ? [] : node.Node.Outputs.Select(o => o.Length > 0 ? values.Add(o) : -1).ToArray();
            var layouts = isOpen ? new TensorLayout?[node.Node.Outputs.Length] : outputs.Select(values.LayoutAt).ToArray();
            steps.Add(new(node, inputs, outputs, PlanOf(node, node.Reads.Select(r => r.Length > 0 ? values.LayoutOf(r) : null).ToArray(), layouts), isOpen));
        }
        var rest = PlanRest.Of(program, split, facts);
        string[] lasting = [.. program.Outputs.Select(o => o.Name), .. rest?.Read ?? []];
        foreach (string name in lasting.Concat(program.Options.Watched).Where(facts.ContainsKey)) values.Add(name);
        var table = values.ToArray();
        var memory = MemoryPlanner.Plan(new HashSet<string>([.. entries, .. lasting], StringComparer.Ordinal), table, steps);
        return new(program, inputShapes, made, table, [.. steps.Where(s => !IsDone(s)).Select(AsRun)], memory, rest);

        bool Aliases(PlannedStep s) => !s.IsOpen && s.Node.Step.AliasedInput >= 0;
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

    public ProgramRun Rent()
    {
        lock (_idle)
        {
            if (_idle.TryPop(out var run)) return run;
        }
        return new ProgramRun(this);
    }

    public void Return(ProgramRun run)
    {
        lock (_idle) _idle.Push(run);
    }

    private static Dictionary<string, ValueFact> InputFacts(Program program, ReadOnlySpan<int[]> inputShapes)
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
        return inputs;
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

/// <summary>A step of a plan. Inputs and outputs are positions in <see cref="ProgramPlan.Values"/>, -1 where omitted or not read; an open step makes tensors instead.</summary>
internal sealed record PlannedStep(PreparedNode Node, int[] Inputs, int[] Outputs, StepPlan Needs, bool IsOpen);
