using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Training;

/// <summary>A float network, trained as it is.</summary>
/// <param name="graph">Prepared.</param>
/// <param name="output">The value that the loss is of.</param>
/// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
internal sealed class FloatNetwork(ModelGraph graph, string output, int maxThreads) : Network(maxThreads)
{
    public override TrainingGraph Graph { get; } = new(graph, output: output);

    public override IReadOnlyList<Parameter> Parameters => Graph.Parameters;

    public override Program Deployed() => Program.Compile(WithScores(Graph.Trained()), new() { MaxThreads = Memory.MaxThreads });
}
