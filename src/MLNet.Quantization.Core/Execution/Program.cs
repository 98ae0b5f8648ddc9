using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Execution;

/// <summary>
/// A graph made runnable: one prepared step a node. Immutable; any number of threads may rent runs from it. Memory is planned once for
/// each combination of input shapes; plans and arenas are kept, so that a run allocates nothing once its shapes have been seen.
/// </summary>
internal sealed class Program
{
    /// <summary>Plans kept; the oldest is dropped beyond that (its arenas go with the runs that hold them).</summary>
    private const int MaxPlans = 64;

    /// <summary>Constants of at most this many elements stay known to shape inference (targets of Reshape, axes, ...).</summary>
    private const int SmallConstant = 1024;

    private readonly ElementType[] _outputTypes;
    private ImmutableArray<ProgramPlan> _plans = [];

    private Program(ModelGraph graph, ProgramOptions options, int opset, PreparedNode[] nodes, Dictionary<string, ValueFact> constants, ElementType[] outputTypes)
    {
        _outputTypes = outputTypes;
        Graph = graph;
        Options = options;
        Opset = opset;
        Nodes = nodes;
        Constants = constants;
    }

    public ImmutableArray<ValueInfo> Inputs => Graph.Inputs;

    public ImmutableArray<ValueInfo> Outputs => Graph.Outputs;

    /// <summary>The element type of an output as the operators give it, whatever the file declares.</summary>
    public ElementType OutputType(int index) => _outputTypes[index];

    internal ModelGraph Graph { get; }

    internal ProgramOptions Options { get; }

    /// <summary>Threads that one run may keep busy; 0 for the process-wide maximum.</summary>
    public int MaxThreads => Options.MaxThreads;

    internal int Opset { get; }

    internal PreparedNode[] Nodes { get; }

    /// <summary>Facts of all constants; only those that a step reads at run, or inference needs, still have their data.</summary>
    internal Dictionary<string, ValueFact> Constants { get; }

    /// <summary>Infers, checks and prepares every node.</summary>
    /// <exception cref="QuantizationException">The graph is malformed or holds what the engine does not run.</exception>
    public static Program Compile(ModelGraph graph, ProgramOptions? options = null) => Compile(graph, options ?? ProgramOptions.Default, graph.Opset, null);

    internal static Program Compile(ModelGraph graph, ProgramOptions options, int opset, IReadOnlyDictionary<string, ValueFact>? inputFacts)
    {
        GraphOrder.Verify(graph);
        foreach (var node in graph.Nodes) OperatorSet.For(node);
        var facts = GraphInference.Infer(graph, inputFacts, opset: opset);
        var nodes = Array.ConvertAll([.. graph.Nodes], node => PreparedNode.Make(node, opset, facts, new SubgraphCompiler(facts, options)));
        var constants = graph.Initializers.ToDictionary(i => i.Key, i => ValueFact.Of(i.Value), StringComparer.Ordinal);
        foreach (string name in NotReadAtRun(graph, nodes)) constants[name] = constants[name] with { Value = null };
        return new(graph with { Initializers = graph.Initializers.Clear() }, options, opset, nodes, constants, [.. graph.Outputs.Select(o => facts[o.Name].Type)]);
    }

    /// <summary>True where the rows of input <paramref name="input"/> may be handed in sparse form (<see cref="ProgramRun.UseSparse"/>).</summary>
    public bool AcceptsSparse(int input)
    {
        string name = Inputs[input].Name;
        if (Graph.IsOutput(name) || Options.Watched.Contains(name)) return false;
        return Nodes.All(n => !n.Reads.Where((read, i) => read == name && !n.Step.AcceptsSparse(i)).Any());
    }

    /// <summary>Leases memory for runs with these input shapes. Dispose gives it back.</summary>
    /// <param name="inputShapes">Extents of every input, in the order of <see cref="Inputs"/>.</param>
    /// <exception cref="ModelFormatException">The shapes do not fit the model.</exception>
    public ProgramRun Rent(params ReadOnlySpan<int[]> inputShapes)
    {
        if (inputShapes.Length != Inputs.Length)
            throw new ArgumentException($"The model has {Inputs.Length} inputs, {inputShapes.Length} shapes were given.", nameof(inputShapes));
        foreach (var plan in _plans)
            if (plan.Fits(inputShapes)) return plan.Rent();
        var made = ProgramPlan.Make(this, inputShapes);
        ImmutableInterlocked.Update(ref _plans, static (plans, plan) => (plans.Length < MaxPlans ? plans : plans.RemoveAt(plans.Length - 1)).Insert(0, plan), made);
        return made.Rent();
    }

    private static IEnumerable<string> NotReadAtRun(ModelGraph graph, PreparedNode[] nodes)
    {
        var read = new HashSet<string>(graph.Outputs.Select(o => o.Name).Concat(nodes.SelectMany(n => n.ReadsAtRun())), StringComparer.Ordinal);
        return graph.Initializers.Where(i => !read.Contains(i.Key) && i.Value.Count > SmallConstant).Select(i => i.Key);
    }
}

/// <summary>A node with its step. <paramref name="Reads"/> are its inputs (empty where omitted), then the captures of its subgraphs.</summary>
internal sealed record PreparedNode(Node Node, ImmutableArray<string> Reads, Step Step)
{
    public static PreparedNode Make(Node node, int opset, IReadOnlyDictionary<string, ValueFact> facts, ISubgraphCompiler subgraphs)
    {
        var context = new PrepareContext(node, opset, GraphInference.InputFacts(node, facts), subgraphs);
        return new(node, [.. node.Inputs, .. node.Captures()], OperatorSet.For(node).Prepare(context));
    }

    public IEnumerable<string> ReadsAtRun() => Reads.Where((read, i) => read.Length > 0 && Step.ReadsAtRun(i));
}
