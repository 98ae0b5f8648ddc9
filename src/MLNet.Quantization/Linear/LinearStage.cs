using System.Collections.Immutable;
using Microsoft.ML.Data;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Scoring;

namespace MLNet.Quantization.Linear;

/// <summary>A linear model of ML.NET as a graph, with the columns that its scorer adds.</summary>
/// <param name="Graph">Input <see cref="Features"/> [N, width]; outputs <see cref="Score"/> and, where the model is calibrated, <see cref="Probability"/>.</param>
/// <param name="Columns">In the order of the scorer's own.</param>
internal sealed record LinearStage(ModelGraph Graph, IReadOnlyList<OutputColumn> Columns)
{
    public const string Features = "features", Score = "score", Probability = "probability";

    private const int Opset = 17;

    /// <summary>Scores of several classes.</summary>
    /// <param name="weights">One vector a class.</param>
    /// <param name="biases">One a class.</param>
    /// <param name="isSoftmax">True where scores are probabilities.</param>
    public static LinearStage Multiclass(VBuffer<float>[] weights, IEnumerable<float> biases, bool isSoftmax)
    {
        var nodes = new List<Node> { Dense(isSoftmax ? "logits" : Score) };
        if (isSoftmax) nodes.Add(Node.Create("softmax", "Softmax", ["logits"], [Score]));
        return new(
            Make(weights, [.. biases], nodes, [new(Score, ElementType.Float, new(new Dimension("N"), weights.Length))]),
            [new("PredictedLabel", Score, OutputKind.ArgMaxKey), new("Score", Score)]);
    }

    /// <summary>A score and a label; with a calibrator a probability 1 / (1 + e^(slope · score + offset)) too (Platt, 1999).</summary>
    public static LinearStage Binary(VBuffer<float> weights, float bias, (float Slope, float Offset)? calibrator, string thresholdColumn, float threshold)
    {
        var constants = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        var nodes = Scalar(constants);
        var outputs = new List<ValueInfo> { Column(Score) };
        var columns = new List<OutputColumn> { new("PredictedLabel", thresholdColumn == "Probability" ? Probability : Score, OutputKind.Threshold, threshold), new("Score", Score) };
        if (calibrator is { } c)
        {
            constants["slope"] = Tensor.Scalar(-c.Slope);
            constants["offset"] = Tensor.Scalar(-c.Offset);
            nodes.Add(Node.Create("scale", "Mul", [Score, "slope"], ["scaled"]));
            nodes.Add(Node.Create("shift", "Add", ["scaled", "offset"], ["shifted"]));
            nodes.Add(Node.Create("sigmoid", "Sigmoid", ["shifted"], [Probability]));
            outputs.Add(Column(Probability));
            columns.Add(new("Probability", Probability));
        }
        return new(Make([weights], [bias], nodes, [.. outputs], constants), columns);
    }

    /// <summary>A score; e to the power of it for Poisson regression.</summary>
    public static LinearStage Regression(VBuffer<float> weights, float bias, bool isExponential)
    {
        var constants = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        var nodes = Scalar(constants);
        if (isExponential)
        {
            nodes[^1] = nodes[^1] with { Outputs = ["logarithm"] };
            nodes.Add(Node.Create("exp", "Exp", ["logarithm"], [Score]));
        }
        return new(Make([weights], [bias], nodes, [Column(Score)], constants), [new("Score", Score)]);
    }

    private static Node Dense(string output) =>
        Node.Create("linear", "Gemm", [Features, "weights", "bias"], [output]) with { Attributes = AttributeMap.Empty.With("transB", 1L) };

    /// <summary>One output a row, as a value instead of a vector of one.</summary>
    private static List<Node> Scalar(Dictionary<string, Tensor> constants)
    {
        constants["axis"] = Tensor.Create<long>([1], 1);
        return [Dense("column"), Node.Create("squeeze", "Squeeze", ["column", "axis"], [Score])];
    }

    private static ValueInfo Column(string name) => new(name, ElementType.Float, new(new Dimension("N")));

    private static ModelGraph Make(VBuffer<float>[] weights, float[] biases, List<Node> nodes, ImmutableArray<ValueInfo> outputs, Dictionary<string, Tensor>? constants = null)
    {
        int width = weights[0].Length;
        var all = new float[checked(width * weights.Length)];
        for (int i = 0; i < weights.Length; i++) weights[i].CopyTo(all.AsSpan(i * width, width));
        return new()
        {
            Name = "linear",
            Inputs = [new(Features, ElementType.Float, new(new Dimension("N"), width))],
            Outputs = outputs,
            Nodes = [.. nodes],
            Initializers = (constants ?? []).ToImmutableDictionary(StringComparer.Ordinal)
                .Add("weights", Tensor.Create(all, weights.Length, width)).Add("bias", Tensor.Create(biases, biases.Length)),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", Opset),
        };
    }
}
