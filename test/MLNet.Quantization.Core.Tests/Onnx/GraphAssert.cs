using System.Collections;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Onnx;

/// <summary>Compares graphs part by part: nodes, attributes, constants, subgraphs, metadata.</summary>
internal static class GraphAssert
{
    public static void AreSame(ModelGraph expected, ModelGraph actual)
    {
        Assert.AreEqual(expected.Name, actual.Name);
        AreSame(expected.Inputs, actual.Inputs);
        AreSame(expected.Outputs, actual.Outputs);
        AreSame(expected.ValueInfos, actual.ValueInfos);
        AreSame(expected.OpsetImports, actual.OpsetImports);
        AreSame(expected.Initializers.Keys.Order(), actual.Initializers.Keys.Order());
        foreach (var (name, tensor) in expected.Initializers) AreSame(tensor, actual.Initializers[name]);
        AreSame(expected.Nodes.Select(n => n.DisplayName), actual.Nodes.Select(n => n.DisplayName));
        foreach (var (e, a) in expected.Nodes.Zip(actual.Nodes)) AreSame(e, a);
        AreSame(expected.Metadata, actual.Metadata);
    }

    private static void AreSame(Node expected, Node actual)
    {
        Assert.AreEqual((expected.Name, expected.OpType, expected.Domain, expected.DocString), (actual.Name, actual.OpType, actual.Domain, actual.DocString));
        AreSame(expected.Inputs, actual.Inputs);
        AreSame(expected.Outputs, actual.Outputs);
        AreSame(expected.OpaqueFields, actual.OpaqueFields);
        AreSame(expected.Attributes.Select(a => a.Key), actual.Attributes.Select(a => a.Key));
        foreach (var (name, value) in expected.Attributes) AreSame(value, actual.Attributes.Find(name)!);
    }

    private static void AreSame(IReadOnlyList<ValueInfo> expected, IReadOnlyList<ValueInfo> actual)
    {
        AreSame(expected.Select(e => e with { OpaqueFields = default }), actual.Select(a => a with { OpaqueFields = default }));
        foreach (var (e, a) in expected.Zip(actual)) AreSame(e.OpaqueFields, a.OpaqueFields);
    }

    private static void AreSame(object expected, object actual)
    {
        Assert.AreEqual(expected.GetType(), actual.GetType());
        if (expected is Tensor tensor) AreSame(tensor, (Tensor)actual);
        else if (expected is ModelGraph graph) AreSame(graph, (ModelGraph)actual);
        else if (expected is IEnumerable list and not string) AreSame(list.Cast<object>(), ((IEnumerable)actual).Cast<object>());
        else Assert.AreEqual(expected, actual);
    }

    private static void AreSame(ModelMetadata expected, ModelMetadata actual)
    {
        Assert.AreEqual(
            (expected.IrVersion, expected.ProducerName, expected.ProducerVersion, expected.Domain, expected.ModelVersion, expected.DocString),
            (actual.IrVersion, actual.ProducerName, actual.ProducerVersion, actual.Domain, actual.ModelVersion, actual.DocString));
        AreSame(expected.Properties, actual.Properties);
        AreSame(expected.OpaqueModelFields, actual.OpaqueModelFields);
        AreSame(expected.OpaqueGraphFields, actual.OpaqueGraphFields);
    }

    public static void AreSame(Tensor expected, Tensor actual)
    {
        Assert.AreEqual(expected.Type, actual.Type);
        AreSame(expected.Dims, actual.Dims);
        AreSame(expected.Bytes, actual.Bytes);
    }

    private static void AreSame(ReadOnlyMemory<byte> expected, ReadOnlyMemory<byte> actual) => Assert.IsTrue(expected.Span.SequenceEqual(actual.Span));

    private static void AreSame<T>(IEnumerable<T> expected, IEnumerable<T> actual) => CollectionAssert.AreEqual(expected.ToArray(), actual.ToArray());
}
