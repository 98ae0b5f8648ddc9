using System.Collections.Immutable;
using Google.Protobuf;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Tests.Onnx;

/// <summary>Models made by hand, as the file's messages or as graphs.</summary>
internal static class SmallModels
{
    public static ModelProto Model(params ReadOnlySpan<NodeProto> nodes)
    {
        var model = new ModelProto { IrVersion = 8, ProducerName = "tests", Graph = new() { Name = "g", Input = { Value("x", 2, 3) }, Output = { Value("y", 2, 3) } } };
        model.OpsetImport.Add(new OperatorSetIdProto { Version = 17 });
        foreach (var node in nodes) model.Graph.Node.Add(node);
        return model;
    }

    public static NodeProto Node(string op, string[] inputs, string[] outputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        var node = new NodeProto { Name = $"{op}_{string.Join('_', outputs)}", OpType = op, Input = { inputs }, Output = { outputs } };
        foreach (var attribute in attributes) node.Attribute.Add(attribute);
        return node;
    }

    public static ValueInfoProto Value(string name, params ReadOnlySpan<long> dims)
    {
        var type = new TypeProto.Types.Tensor { ElemType = 1, Shape = new() };
        foreach (long d in dims) type.Shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = d });
        return new() { Name = name, Type = new() { TensorType = type } };
    }

    /// <summary>y = x + c, with a tensor that a test makes.</summary>
    public static byte[] WithConstant(TensorProto constant)
    {
        constant.Name = "c";
        var model = Model(Node("Add", ["x", "c"], ["y"]));
        model.Graph.Initializer.Add(constant);
        return model.ToByteArray();
    }

    /// <summary>A graph that uses every form of attribute, a subgraph with a capture, omitted names and all kinds of metadata.</summary>
    public static ModelGraph Everything()
    {
        var body = new ModelGraph
        {
            Name = "body",
            Inputs = [],
            Outputs = [new("b", ElementType.Float, null)],
            Nodes = [global::MLNet.Quantization.Graph.Node.Create("inner", "Add", ["x", "k"], ["b"])],
            Initializers = Constants(("k", Tensor.Create<float>([1, 2, 3], 3))),
        };
        var attributes = AttributeMap.Empty
            .With("then_branch", body).With("else_branch", body)
            .With("i", 0L).With("f", 0f).With("s", "größe").With("t", Tensor.Create<sbyte>([1, -1], 2, 1))
            .With("ints", ImmutableArray.Create(1L, -1L, long.MaxValue)).With("floats", ImmutableArray.Create(1f, float.NaN)).With("strings", ImmutableArray.Create("", "b"));
        return new()
        {
            Name = "everything",
            Inputs = [new("x", ElementType.Float, new(new Dimension("N"), 3, Dimension.Unknown, 0)) { DocString = "rows" }, new("p", ElementType.Bool, TensorShape.Scalar)],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes =
            [
                new("", "If", ["p"], ["z"]) { Attributes = attributes, DocString = "both ways" },
                new("last", "Custom", ["z", "", "w"], ["y", ""]) { Domain = "some.vendor" },
            ],
            Initializers = Constants(("w", Tensor.Create<int>([], 0, 4))),
            ValueInfos = [new("z", ElementType.Float, new(new Dimension("N"), 3))],
            OpsetImports = ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, [KeyValuePair.Create("", 17), KeyValuePair.Create("some.vendor", 1)]),
            Metadata = new()
            {
                ProducerName = "p",
                ProducerVersion = "1",
                Domain = "d",
                ModelVersion = 3,
                DocString = "doc",
                Properties = ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, [KeyValuePair.Create("b", "2"), KeyValuePair.Create("a", "1")]),
            },
        };
    }

    public static ImmutableDictionary<string, Tensor> Constants(params ReadOnlySpan<(string Name, Tensor Value)> constants)
    {
        var result = ImmutableDictionary.CreateBuilder<string, Tensor>(StringComparer.Ordinal);
        foreach (var (name, value) in constants) result.Add(name, value);
        return result.ToImmutable();
    }
}
