using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Pipeline;

/// <summary>A float model checked and brought into the form that is calibrated and quantized. Immutable.</summary>
internal sealed class PreparedModel
{
    private PreparedModel(ModelGraph graph)
    {
        Graph = graph;
        Hash = GraphHash.Of(graph);
        WeightLayer[] layers = [.. WeightLayer.AllOf(graph)];
        var values = new CodeRegions(graph, layers).Values;
        // Whether products of activations are quantized is decided when weights are.
        values.UnionWith(new CodeRegions(graph, layers, [.. ActivationProduct.AllOf(graph)]).Values);
        ActivationsToCalibrate = [.. graph.AllValueNames().Where(values.Contains)];
    }

    public ModelGraph Graph { get; }

    /// <summary>What ties a calibration to this model.</summary>
    public string Hash { get; }

    /// <summary>Inputs of the layers that can be quantized, of products of two activations, and of what lies between them, each once, in graph order.</summary>
    public IReadOnlyList<string> ActivationsToCalibrate { get; }

    /// <exception cref="QuantizationException">The model is malformed or holds an operator that the engine does not run.</exception>
    public static PreparedModel Prepare(ModelGraph source, PrepareOptions? options = null)
    {
        options ??= PrepareOptions.Default;
        foreach (var node in source.Nodes.Where(n => !ReadQOperator.Knows(n) && !ReadFusedOperators.Knows(n))) OperatorSet.For(node);
        var graph = GraphOrder.Verify(source with { Nodes = GraphOrder.Sort(source) });
        graph = InlineIf.Apply(ReadQOperator.Apply(RemoveIdentity.Apply(FoldConstants.Apply(ReadFusedOperators.Apply(graph)))));
        graph = RaiseOpset.Apply(graph, GraphInference.Infer(graph));
        // Extents of 1 must not be taken for equal to a batch that is only baked in.
        if (options.SymbolicBatch) graph = BatchCheck.SymbolicWhereSound(graph);
        graph = LowerEinsum.Apply(graph, GraphInference.Infer(graph));
        graph = SimplifyMovement.Apply(graph, GraphInference.Infer(graph));
        graph = FuseActivation.Apply(graph, GraphInference.Infer(graph));
        graph = FuseLayerNormalization.Apply(graph, GraphInference.Infer(graph));
        graph = SimplifyMovement.Apply(graph, GraphInference.Infer(graph));
        graph = LookUpOneHot.Apply(graph, GraphInference.Infer(graph));
        graph = FuseMatMulAdd.Apply(graph, GraphInference.Infer(graph));
        graph = SwapSqueeze.Apply(FoldPad.Apply(graph));
        if (options.FoldNormalization) graph = UnfoldedModel.Fold(graph);
        GraphInference.Infer(graph);
        return new(graph);
    }
}
