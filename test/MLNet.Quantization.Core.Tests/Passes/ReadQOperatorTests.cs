using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>Files with operators on codes, as other tools write them, in QDQ form; what is written here is read back in the tests of writing.</summary>
[TestClass]
public class ReadQOperatorTests
{
    private const string Runtime = WriteQOperator.RuntimeDomain;

    [TestMethod]
    public void APreparedModelHasThemBetweenQuantizers()
    {
        var graph = Build([2, 3, 5], ("QuantizeLinear", "", ["x", "s", "z"]), ("QLinearConv", "", ["QuantizeLinear0", "s", "z", "w", "sw", "zw", "s", "z"]), ("QLinearSigmoid", Runtime, ["QLinearConv1", "s", "z", "s", "z"]),
            ("QLinearConcat", Runtime, ["s", "z", "QLinearConv1", "s", "z", "QLinearSigmoid2", "s", "z"]), ("DequantizeLinear", "", ["QLinearConcat3", "s", "z"]));
        var prepared = PreparedModel.Prepare(OnnxReader.Read(OnnxWriter.Write(graph)), new() { SymbolicBatch = false }).Graph;
        Assert.IsFalse(prepared.Nodes.Any(n => n.Domain.Length > 0 || n.OpType.StartsWith("QLinear", StringComparison.Ordinal)), FloatGraph.Types(prepared));
        var lowered = LowerQuantized.Apply(prepared);
        CollectionAssert.IsSubsetOf(new[] { "QuantizedConv", "CodeTable" }, lowered.Nodes.Select(n => n.OpType).ToArray());
        float[] x = [.. Enumerable.Range(0, 30).Select(i => (i - 15) * 0.1f)], there = OnnxRuntimeOracle.Score(graph, false, ("x", x, [2, 3, 5]))[0], ours = QdqGraph.Score(lowered, x);
        for (int i = 0; i < ours.Length; i++) Assert.AreEqual(there[i], ours[i], 0.0501f, "one step");
    }

    [TestMethod]
    public void AScaleThatIsComputedLeavesTheNodeAsItIs()
    {
        // The standard's operator then runs as it stands.
        var graph = Build([2, 3, 5], ("Abs", "", ["s"]), ("QuantizeLinear", "", ["x", "s", "z"]), ("ReduceMax", "", ["x"]), ("QLinearConv", "", ["QuantizeLinear1", "ReduceMax2", "z", "w", "sw", "zw", "s", "z"]), ("DequantizeLinear", "", ["QLinearConv3", "s", "z"]));
        Assert.AreEqual("Abs QuantizeLinear ReduceMax QLinearConv DequantizeLinear", FloatGraph.Types(ReadQOperator.Apply(graph)));
        // Another tool's is named in the error.
        graph = Build([2, 3], ("QuantizeLinear", "", ["x", "s", "z"]), ("ReduceMax", "", ["x"]), ("QGemm", Runtime, ["QuantizeLinear0", "ReduceMax1", "z", "m", "s", "zm", "", "s", "z"]), ("DequantizeLinear", "", ["QGemm2", "s", "z"]));
        var error = Assert.Throws<UnsupportedOperatorException>(() => PreparedModel.Prepare(graph));
        StringAssert.Contains(error.Message, "'QGemm2'");
        // And so is one that is not known.
        graph = Build([2, 3], ("QuantizeLinear", "", ["x", "s", "z"]), ("QLinearReduceMean", Runtime, ["QuantizeLinear0", "s", "z", "s", "z"]), ("DequantizeLinear", "", ["QLinearReduceMean1", "s", "z"]));
        StringAssert.Contains(Assert.Throws<UnsupportedOperatorException>(() => PreparedModel.Prepare(graph)).Message, "com.microsoft.QLinearReduceMean");
    }

    [TestMethod]
    public void ChannelsLastStayAsTheyAre()
    {
        var graph = Build([2, 3, 5], ("QuantizeLinear", "", ["x", "s", "z"]), ("QLinearGlobalAveragePool", Runtime, ["QuantizeLinear0", "s", "z", "s", "z"]), ("DequantizeLinear", "", ["QLinearGlobalAveragePool1", "s", "z"]));
        Assert.AreEqual("QuantizeLinear DequantizeLinear GlobalAveragePool QuantizeLinear DequantizeLinear", FloatGraph.Types(ReadQOperator.Apply(graph)));
        var last = graph with { Nodes = [.. graph.Nodes.Select(n => n.Domain == Runtime ? n with { Attributes = AttributeMap.Empty.With("channels_last", 1) } : n)] };
        Assert.AreEqual("QuantizeLinear QLinearGlobalAveragePool DequantizeLinear", FloatGraph.Types(ReadQOperator.Apply(last)));
    }

    /// <summary>Nodes named by type and position, as their results are; s, z: parameters of codes, w: weights of a convolution, m: a matrix.</summary>
    private static ModelGraph Build(int[] dims, params (string Type, string Domain, string[] Inputs)[] nodes)
    {
        var random = new Random(4);
        Tensor Weights(params int[] of) => Tensor.Create([.. Enumerable.Range(0, of.Aggregate(1, (a, b) => a * b)).Select(_ => (sbyte)random.Next(-127, 128))], of);
        var constants = new Dictionary<string, Tensor>
        {
            ["s"] = Tensor.Scalar(0.05f),
            ["z"] = Tensor.Scalar((byte)120),
            ["w"] = Weights(4, 3, 2),
            ["m"] = Weights(3, 4),
            ["zm"] = Tensor.Scalar((sbyte)0),
            ["sw"] = Tensor.Create([0.01f, 0.02f, 0.03f, 0.04f], 4),
            ["zw"] = Tensor.Create(new sbyte[4], 4),
        };
        string NameOf(int i) => i == nodes.Length - 1 ? "y" : $"{nodes[i].Type}{i}";
        return new()
        {
            Inputs = [new("x", ElementType.Float, TensorShape.FromDims(dims))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes = [.. nodes.Select((n, i) => new Node(NameOf(i), n.Type, [.. n.Inputs], [NameOf(i)]) { Domain = n.Domain, Attributes = n.Type == "ReduceMax" ? AttributeMap.Empty.With("keepdims", 0) : n.Type == "QLinearConcat" ? AttributeMap.Empty.With("axis", 1) : AttributeMap.Empty })],
            Initializers = constants.Where(c => nodes.Any(n => n.Inputs.Contains(c.Key))).ToImmutableDictionary(StringComparer.Ordinal),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 13).Add(Runtime, 1),
            Metadata = ModelMetadata.Empty with { IrVersion = 7 },
        };
    }
}
