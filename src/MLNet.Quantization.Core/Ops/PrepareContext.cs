using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>A node about to become a step.</summary>
internal sealed class PrepareContext(Node node, int opset, ImmutableArray<ValueFact?> inputs, ISubgraphCompiler? subgraphs) : OpContext(node, opset, inputs)
{
    /// <summary>The constant at input <paramref name="index"/>, or null where it is computed or omitted.</summary>
    public Tensor? Constant(int index) => Optional(index)?.Value;

    /// <summary>Compiles the subgraph in attribute <paramref name="attribute"/>.</summary>
    public ISubgraph Subgraph(string attribute)
    {
        if (Node.Attributes.Find(attribute) is not ModelGraph body) throw Malformed($"attribute '{attribute}' must hold a graph");
        return Subgraph(body);
    }

    /// <summary>Compiles a subgraph of the node.</summary>
    public ISubgraph Subgraph(ModelGraph body) => (subgraphs ?? throw Unsupported("subgraphs cannot be evaluated here")).Compile(body, Opset);
}

/// <summary>Makes subgraphs runnable. Implemented by Execution, so that control flow operators need not know it.</summary>
internal interface ISubgraphCompiler
{
    ISubgraph Compile(ModelGraph body, int opset);
}

/// <summary>A compiled subgraph: its inputs are the body's own, then the values it captures that are not constants, in the order of <see cref="Captures"/>.</summary>
internal interface ISubgraph
{
    ImmutableArray<string> Captures { get; }

    /// <summary>Runs the body on <paramref name="inputs"/> and copies its results to <paramref name="outputs"/>, whose shapes must fit.</summary>
    void Run(ReadOnlySpan<TensorView> inputs, ReadOnlySpan<TensorView> outputs, int maxThreads);

    /// <summary>Runs the body and lends its results, whatever their shapes are, until the run is disposed.</summary>
    ISubgraphRun Start(ReadOnlySpan<TensorView> inputs, int maxThreads);
}

/// <summary>The results of one run of a subgraph.</summary>
internal interface ISubgraphRun : IDisposable
{
    TensorView View(int output);
}
