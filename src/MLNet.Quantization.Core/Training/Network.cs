using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>What a trainer trains. For one thread.</summary>
internal abstract class Network
{
    /// <summary>Passes kept, those used last: each holds all its values, and sequences have many lengths.</summary>
    private const int MaxTapes = 16;

    private readonly List<(int[][] Dims, Tape<float> Tape)> _tapes = [];

    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    protected Network(int maxThreads) => Memory = new(maxThreads);

    /// <summary>What is trained now. May be another one after <see cref="BeginEpoch"/>.</summary>
    public abstract TrainingGraph Graph { get; }

    /// <summary>The value that a loss is of: what goes into a Softmax or Sigmoid at the end, where the loss computes those itself.</summary>
    public static string OutputFor(ModelGraph graph, TrainingLoss loss)
    {
        string output = graph.Outputs[0].Name;
        string last = loss switch { TrainingLoss.CrossEntropy or TrainingLoss.Distillation => "Softmax", TrainingLoss.BinaryCrossEntropy => "Sigmoid", _ => "" };
        return graph.Nodes.FirstOrDefault(n => n.Domain.Length == 0 && n.OpType == last && n.Outputs[0] == output)?.Inputs[0] ?? output;
    }

    /// <summary>Learned ones and statistics, in a fixed order: a checkpoint holds them all.</summary>
    public abstract IReadOnlyList<Parameter> Parameters { get; }

    protected TapeMemory Memory { get; }

    /// <summary>A pass over inputs of given shapes, kept for the next time. Parameters and their gradients are shared by all.</summary>
    public Tape<float> TapeOf(params int[][] inputDims)
    {
        int at = _tapes.FindIndex(t => t.Dims.Zip(inputDims).All(p => p.First.AsSpan().SequenceEqual(p.Second)));
        if (at >= 0)
        {
            var kept = _tapes[at];
            if (at > 0)
            {
                _tapes.RemoveAt(at);
                _tapes.Insert(0, kept);
            }
            return kept.Tape;
        }
        if (_tapes.Count == MaxTapes) _tapes.RemoveAt(MaxTapes - 1);
        var parameters = Graph.Parameters.ToDictionary(p => p.Name, StringComparer.Ordinal);
        var tape = TapeBuilder<float>.Build(Graph, name => (parameters[name].Value, parameters[name].Kind == ParameterKind.Statistic ? null : parameters[name].Gradient), inputDims, Memory);
        _tapes.Insert(0, (inputDims, tape));
        return tape;
    }

    /// <summary>Called before each epoch, 0-based: phases of quantization change here.</summary>
    /// <returns>True where <see cref="Graph"/> and <see cref="Parameters"/> are others than before.</returns>
    public virtual bool BeginEpoch(int epoch, int epochs) => false;

    /// <summary>What would score if training ended here, for quantization-aware training the INT8 program itself. The value that the loss is of is one of its outputs.</summary>
    public abstract Program Deployed();

    /// <summary>A graph that gives the value that the loss is of, too.</summary>
    protected ModelGraph WithScores(ModelGraph graph) =>
        graph.Outputs.Any(o => o.Name == Graph.Output) ? graph : graph with { Outputs = graph.Outputs.Add(new(Graph.Output, ElementType.Float, null)) };

    /// <summary>Forgets all passes: the graph is another one.</summary>
    protected void Renew() => _tapes.Clear();
}
