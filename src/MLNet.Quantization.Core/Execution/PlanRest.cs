using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Execution;

/// <summary>
/// What of a program is planned only when a run has come so far that its shapes are known: because a step told the extents of what it made
/// (Loop, NonZero), or because integers were computed that a shape follows from. Plans are kept by these extents and integers.
/// </summary>
internal sealed class PlanRest
{
    /// <summary>Plans kept; the oldest is dropped beyond that.</summary>
    private const int MaxPlans = 64;

    private readonly Program _program;
    private readonly PreparedNode[] _nodes;
    private readonly string[] _wanted;
    private readonly string[] _made;
    private readonly Dictionary<string, ValueFact> _facts;
    private ImmutableArray<(Tensor[] Wanted, int[][] Made, ProgramPlan Plan)> _plans = [];

    private PlanRest(Program program, PlanSplit split, Dictionary<string, ValueFact> facts)
    {
        _program = program;
        _nodes = [.. split.Waiting];
        _wanted = [.. split.Wanted];
        var read = _nodes.SelectMany(n => n.Reads).Where(r => r.Length > 0).ToHashSet(StringComparer.Ordinal);
        var given = program.Outputs.Select(o => o.Name).Concat(program.Options.Watched).ToHashSet(StringComparer.Ordinal);
        _made = [.. split.Opened.SelectMany(n => n.Node.Outputs).Where(o => read.Contains(o) || given.Contains(o))];
        string[] computed = [.. read.Where(r => facts.TryGetValue(r, out var fact) && fact.Value is null && !program.Constants.ContainsKey(r) && !split.Wanted.Contains(r))];
        Entries = [.. computed, .. _made];
        _facts = facts.Where(f => program.Constants.ContainsKey(f.Key) || computed.Contains(f.Key) || read.Contains(f.Key) && f.Value.Value is not null)
            .ToDictionary(StringComparer.Ordinal);
        Read = [.. computed, .. _wanted];
    }

    /// <summary>Values that are handed over, by name.</summary>
    public string[] Entries { get; }

    /// <summary>Values of the plan before that are read here.</summary>
    public string[] Read { get; }

    /// <summary>The rest behind a split; null where nothing waits and nothing was opened.</summary>
    public static PlanRest? Of(Program program, PlanSplit split, Dictionary<string, ValueFact> facts) =>
        split.Waiting.Count == 0 && split.Opened.Count == 0 ? null : new(program, split, facts);

    /// <summary>The plan for what the run before has computed.</summary>
    public ProgramPlan PlanFor(ProgramRun before)
    {
        foreach (var (wanted, made, plan) in _plans)
            if (Fits(before, wanted, made)) return plan;
        var facts = new Dictionary<string, ValueFact>(_facts, StringComparer.Ordinal);
        Tensor[] values = Array.ConvertAll(_wanted, w => before.ViewOf(w).ToTensor());
        for (int i = 0; i < values.Length; i++) facts[_wanted[i]] = ValueFact.Of(values[i]);
        Tensor[] tensors = Array.ConvertAll(_made, m => before.MadeBy(m)!);
        for (int i = 0; i < tensors.Length; i++) facts[_made[i]] = new(tensors[i].Type, tensors[i].Shape);
        (Tensor[], int[][], ProgramPlan Plan) added = (values, Array.ConvertAll(tensors, t => t.Dims), ProgramPlan.Make(_program, _nodes, Entries, facts, [], _made));
        ImmutableInterlocked.Update(ref _plans, static (plans, plan) => plans.Length < MaxPlans ? plans.Add(plan) : plans.RemoveAt(0).Add(plan), added);
        return added.Plan;
    }

    public UnsupportedOperatorException Unknown(int output)
    {
        var node = _nodes.FirstOrDefault()?.Node;
        return new($"The shape of output '{_program.Outputs[output].Name}' depends on the data: it is known after a run only.", node?.DisplayName ?? "", node?.OpType ?? "", node?.Domain ?? "");
    }

    private bool Fits(ProgramRun before, Tensor[] wanted, int[][] made)
    {
        for (int i = 0; i < wanted.Length; i++)
            if (!before.ViewOf(_wanted[i]).Read<byte>().SequenceEqual(wanted[i].Bytes.Span)) return false;
        for (int i = 0; i < made.Length; i++)
            if (!before.MadeBy(_made[i])!.Dims.AsSpan().SequenceEqual(made[i])) return false;
        return true;
    }
}
