using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Pipeline;

/// <summary>
/// A prepared float model in the form that is trained: as it will be quantized, except that batch normalizations right behind a Conv or Gemm
/// stand there still, so that their parameters and statistics can go on moving. Immutable.
/// </summary>
internal sealed class UnfoldedModel
{
    private readonly Dictionary<string, Node> _normalizations = new(StringComparer.Ordinal);

    /// <param name="source">Prepared, but for what <see cref="Fold"/> does.</param>
    /// <param name="keepNormalization">False: everything is folded.</param>
    public UnfoldedModel(ModelGraph source, bool keepNormalization = true)
    {
        Folded = WithPlainFactors(Fold(source));
        Graph = keepNormalization ? Unfold(source) : Folded;
    }

    /// <summary>What is trained.</summary>
    public ModelGraph Graph { get; }

    /// <summary>What will be quantized: the same names of layers and values.</summary>
    public ModelGraph Folded { get; }

    public bool HasNormalization => _normalizations.Count > 0;

    /// <summary>The BatchNormalization right behind a layer of <see cref="Graph"/>, or null.</summary>
    public Node? NormalizationOf(Node layer) => _normalizations.GetValueOrDefault(layer.Outputs[0]);

    /// <summary>Batch normalization goes into layers, or becomes a product and a sum.</summary>
    public static ModelGraph Fold(ModelGraph graph)
    {
        graph = FoldNormalization.Apply(graph);
        return NormalizeInPlace.Apply(graph, GraphInference.Infer(graph));
    }

    /// <summary><see cref="Graph"/> with other numbers.</summary>
    public ModelGraph With(IEnumerable<Parameter> parameters)
    {
        var initializers = Graph.Initializers.ToBuilder();
        foreach (var p in parameters.Where(p => initializers.ContainsKey(p.Name))) initializers[p.Name] = Tensor.Create(p.Value.Data, p.Value.Dims);
        return Graph with { Initializers = initializers.ToImmutable() };
    }

    /// <summary>Factors of a Gemm go into its constants, and a bias of one number becomes one for each output.</summary>
    private static ModelGraph WithPlainFactors(ModelGraph graph)
    {
        var patch = new GraphPatch(graph);
        foreach (var layer in WeightLayer.AllOf(graph).OfType<LinearLayer>())
        {
            bool plainBias = layer.Beta == 1 && (layer.Bias is null || graph.Initializers[layer.Bias].Count == layer.N);
            if (layer.Alpha == 1 && plainBias) continue;
            string weights = patch.NewName($"{layer.WeightsName}_scaled");
            patch.SetInitializer(weights, Tensor.Create(layer.IsTurned ? graph.Initializers[layer.WeightsName].Span<float>().ToArray() : layer.FoldedWeights(graph), graph.Initializers[layer.WeightsName].Dims));
            string[] inputs = [layer.Activation, weights];
            if (layer.Bias is not null)
            {
                inputs = [.. inputs, patch.NewName($"{layer.Bias}_scaled")];
                patch.SetInitializer(inputs[2], Tensor.Create(layer.FoldedBias(graph), layer.N));
            }
            patch.Replace(layer.Node, layer.Node with { Inputs = [.. inputs], Attributes = layer.Node.Attributes.Without("alpha").Without("beta") });
        }
        return patch.Apply();
    }

    private ModelGraph Unfold(ModelGraph source)
    {
        var index = new GraphIndex(source);
        var patch = new GraphPatch(Folded);
        foreach (var folded in Folded.Nodes)
        {
            if (folded is not { Domain: "", OpType: "Conv" or "Gemm" } || index.ProducerOf(folded.Outputs[0], "BatchNormalization") is not { } normalization) continue;
            if (index.ProducerOf(normalization.Inputs[0], folded.OpType) is not { } layer || index.OnlyConsumerOf(layer.Outputs[0]) is null || layer.Inputs[0] != folded.Inputs[0]) continue;
            Tensor?[] constants = [index.Constant(layer.Inputs[1]), .. normalization.Inputs.Skip(1).Select(index.Constant)];
            if (constants.Any(c => c is null) || constants[3]!.Count != BiasOf(index, layer, constants[3]!.Count).Length) continue;

            // A bias moves the mean: with it there, the layer needs none.
            float[] bias = BiasOf(index, layer, constants[3]!.Count), mean = constants[3]!.Span<float>().ToArray();
            for (int c = 0; c < mean.Length; c++) mean[c] -= bias[c];
            string meanName = patch.NewName($"{folded.DisplayName}_mean");
            string[] names = [layer.Inputs[1], normalization.Inputs[1], normalization.Inputs[2], meanName, normalization.Inputs[4]];
            for (int i = 0; i < names.Length; i++) patch.SetInitializer(names[i], i == 3 ? Tensor.Create(mean, mean.Length) : constants[i]!);
            layer = layer with { Name = folded.DisplayName, Inputs = [layer.Inputs[0], names[0]] };
            normalization = normalization with { Inputs = [layer.Outputs[0], .. names[1..]], Outputs = [folded.Outputs[0]] };
            patch.Replace(folded, layer, normalization);
            _normalizations.Add(layer.Outputs[0], normalization);
        }
        return patch.Apply();
    }

    /// <summary>As many as channels; empty where it does not fit.</summary>
    private static float[] BiasOf(GraphIndex index, Node layer, int channels)
    {
        if (layer.Input(2) is not { } name) return new float[channels];
        return index.Constant(name) is { } bias && bias.Count == channels ? bias.Span<float>().ToArray() : [];
    }
}
