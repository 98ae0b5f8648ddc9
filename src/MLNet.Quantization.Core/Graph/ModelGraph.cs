using System.Collections.Immutable;

namespace MLNet.Quantization.Graph;

/// <summary>
/// A model as data: nodes in topological order, constants, inputs and outputs. Immutable; edits go through <see cref="GraphPatch"/>,
/// which checks the result. Also used for the body of a subgraph attribute, whose nodes may read values of the graph around it.
/// </summary>
internal sealed record ModelGraph
{
    public string Name { get; init; } = "";

    /// <summary>Inputs that a caller must supply; never an initializer's name.</summary>
    public required ImmutableArray<ValueInfo> Inputs { get; init; }

    public required ImmutableArray<ValueInfo> Outputs { get; init; }

    public required ImmutableArray<Node> Nodes { get; init; }

    public ImmutableDictionary<string, Tensor> Initializers { get; init; } = ImmutableDictionary.Create<string, Tensor>(StringComparer.Ordinal);

    /// <summary>Types and shapes that the file declares for values inside the graph. Hints, complete or not; an edit drops them.</summary>
    public ImmutableArray<ValueInfo> ValueInfos { get; init; } = [];

    /// <summary>Operator set versions by domain ("" is the ONNX standard's own). Empty in a subgraph, which has its model's.</summary>
    public ImmutableSortedDictionary<string, int> OpsetImports { get; init; } = ImmutableSortedDictionary.Create<string, int>(StringComparer.Ordinal);

    public ModelMetadata Metadata { get; init; } = ModelMetadata.Empty;

    /// <summary>The version of the ONNX standard's own operator set.</summary>
    public int Opset => OpsetImports.GetValueOrDefault("", 1);
}
