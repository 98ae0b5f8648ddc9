using Google.Protobuf;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Tests.Onnx;

[TestClass]
public class OnnxReaderTests
{
    [TestMethod]
    public void An_empty_file_is_refused() => Refused([], "empty");

    [TestMethod]
    public void Text_is_refused() => Refused("Not an ONNX file, but a sentence."u8.ToArray(), "not an ONNX model");

    [TestMethod]
    public void A_model_without_a_graph_is_refused() => Refused(new ModelProto { IrVersion = 8 }.ToByteArray(), "no graph");

    [TestMethod]
    public void A_file_that_is_not_there_is_named()
    {
        var e = Assert.ThrowsExactly<FileNotFoundException>(() => OnnxReader.ReadFile("no/such.onnx"));
        StringAssert.Contains(e.Message, "no/such.onnx");
    }

    [TestMethod]
    public void An_error_in_a_file_names_the_file()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("bad.onnx", [1, 2, 3]);
        StringAssert.StartsWith(Assert.ThrowsExactly<ModelFormatException>(() => OnnxReader.ReadFile(path)).Message, path);
    }

    [TestMethod]
    [DataRow(6L)]
    [DataRow(23L)]
    [DataRow(0L)]
    [DataRow(long.MaxValue)]
    public void An_opset_outside_the_supported_ones_is_refused(long opset)
    {
        var model = SmallModels.Model(SmallModels.Node("Relu", ["x"], ["y"]));
        model.OpsetImport[0].Version = opset;
        Refused(model.ToByteArray(), opset.ToString(System.Globalization.CultureInfo.InvariantCulture));
    }

    [TestMethod]
    public void A_model_without_opset_is_refused()
    {
        var model = SmallModels.Model(SmallModels.Node("Relu", ["x"], ["y"]));
        model.OpsetImport.Clear();
        Refused(model.ToByteArray(), "7 to 22");
    }

    [TestMethod]
    public void Two_versions_of_one_domain_are_refused()
    {
        var model = SmallModels.Model(SmallModels.Node("Relu", ["x"], ["y"]));
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "ai.onnx", Version = 13 });
        Refused(model.ToByteArray(), "two versions");
    }

    [TestMethod]
    public void The_long_name_of_the_standard_domain_is_the_empty_one()
    {
        var model = SmallModels.Model(SmallModels.Node("Relu", ["x"], ["y"]));
        model.OpsetImport[0].Domain = model.Graph.Node[0].Domain = "ai.onnx";
        var graph = OnnxReader.Read(model.ToByteArray());
        Assert.AreEqual(17, graph.Opset);
        Assert.AreEqual("", graph.Nodes[0].Domain);
    }

    [TestMethod]
    public void Nodes_out_of_order_are_sorted()
    {
        var graph = OnnxReader.Read(SmallModels.Model(SmallModels.Node("Relu", ["a"], ["y"]), SmallModels.Node("Tanh", ["x"], ["a"])).ToByteArray());
        CollectionAssert.AreEqual(new[] { "Tanh", "Relu" }, graph.Nodes.Select(n => n.OpType).ToArray());
    }

    [TestMethod]
    public void A_cycle_is_refused() =>
        Refused(SmallModels.Model(SmallModels.Node("Add", ["x", "b"], ["a"]), SmallModels.Node("Relu", ["a"], ["b"]), SmallModels.Node("Relu", ["b"], ["y"])).ToByteArray(), "cycle", "Add_a");

    [TestMethod]
    public void A_value_that_nothing_defines_is_named() => Refused(SmallModels.Model(SmallModels.Node("Add", ["x", "missing"], ["y"])).ToByteArray(), "missing", "Add_y");

    [TestMethod]
    public void A_subgraph_that_reads_what_nothing_defines_is_refused()
    {
        var body = new GraphProto { Name = "body", Output = { SmallModels.Value("b") }, Node = { SmallModels.Node("Relu", ["missing"], ["b"]) } };
        var branch = new AttributeProto { Name = "then_branch", Type = AttributeProto.Types.AttributeType.Graph, G = body };
        Refused(SmallModels.Model(SmallModels.Node("If", ["x"], ["y"], branch)).ToByteArray(), "missing");
    }

    [TestMethod]
    public void A_constant_that_is_also_an_input_is_no_input()
    {
        var model = SmallModels.Model(SmallModels.Node("Add", ["x", "c"], ["y"]));
        model.IrVersion = 3;
        model.Graph.Input.Add(SmallModels.Value("c", 3));
        model.Graph.Initializer.Add(new TensorProto { Name = "c", DataType = 1, Dims = { 3 }, FloatData = { 1, 2, 3 } });
        var graph = OnnxReader.Read(model.ToByteArray());
        CollectionAssert.AreEqual(new[] { "x" }, graph.Inputs.Select(i => i.Name).ToArray());
        Assert.IsTrue(OnnxReader.Read(OnnxWriter.Write(graph)).Metadata.IrVersion >= 4);
    }

    [TestMethod]
    public void A_constant_that_is_stored_twice_is_refused()
    {
        var model = SmallModels.Model(SmallModels.Node("Add", ["x", "c"], ["y"]));
        for (int i = 0; i < 2; i++) model.Graph.Initializer.Add(new TensorProto { Name = "c", DataType = 1, FloatData = { 1 } });
        Refused(model.ToByteArray(), "'c'", "twice");
    }

    [TestMethod]
    public void An_input_that_is_a_sequence_is_refused()
    {
        var model = SmallModels.Model(SmallModels.Node("Relu", ["x"], ["y"]));
        model.Graph.Input[0].Type = new() { SequenceType = new() { ElemType = new() } };
        Refused(model.ToByteArray(), "'x'", "sequence");
    }

    [TestMethod]
    public void An_input_without_a_type_is_refused()
    {
        var model = SmallModels.Model(SmallModels.Node("Relu", ["x"], ["y"]));
        model.Graph.Input[0].Type = null;
        Refused(model.ToByteArray(), "'x'", "no element type");
    }

    [TestMethod]
    public void Extents_may_be_numbers_symbols_or_unknown()
    {
        var model = SmallModels.Model(SmallModels.Node("Relu", ["x"], ["y"]));
        var dims = model.Graph.Input[0].Type.TensorType.Shape.Dim;
        dims.Clear();
        dims.Add(new TensorShapeProto.Types.Dimension { DimParam = "N" });
        dims.Add(new TensorShapeProto.Types.Dimension { DimValue = -1 });
        dims.Add(new TensorShapeProto.Types.Dimension());
        dims.Add(new TensorShapeProto.Types.Dimension { DimValue = 0 });
        Assert.AreEqual(new TensorShape(new Dimension("N"), Dimension.Unknown, Dimension.Unknown, 0), OnnxReader.Read(model.ToByteArray()).Inputs[0].Shape);
    }

    [TestMethod]
    public void What_the_graph_cannot_hold_is_kept_for_the_writer()
    {
        var node = SmallModels.Node("Relu", ["x"], ["y"],
            new AttributeProto { Name = "bytes", Type = AttributeProto.Types.AttributeType.String, S = ByteString.CopyFrom(0xff, 0xfe) },
            new AttributeProto { Name = "sparse", Type = AttributeProto.Types.AttributeType.SparseTensor, SparseTensor = new() { Dims = { 2 } } });
        node.MetadataProps.Add(new StringStringEntryProto { Key = "k", Value = "v" });
        var model = SmallModels.Model(node);
        model.Graph.DocString = "about the graph";
        model.Graph.QuantizationAnnotation.Add(new TensorAnnotation { TensorName = "x" });
        model.Functions.Add(new FunctionProto { Name = "f", Domain = "own" });
        model.TrainingInfo.Add(new TrainingInfoProto());
        model.Graph.Input[0].MetadataProps.Add(new StringStringEntryProto { Key = "k", Value = "v" });
        // Field 999 of the model, of the graph and of the node: newer than any standard.
        ByteString[] unknown = [.. new byte[] { 1, 2, 3 }.Select(v => ByteString.CopyFrom(0xb8, 0x3e, v))];
        model.MergeFrom(unknown[0]);
        model.Graph.MergeFrom(unknown[1]);
        model.Graph.Node[0].MergeFrom(unknown[2]);
        var written = ModelProto.Parser.ParseFrom(OnnxWriter.Write(OnnxReader.Read(model.ToByteArray())));
        Assert.AreEqual(model, written);
    }

    [TestMethod]
    public void A_deeply_nested_model_is_refused()
    {
        var graph = new GraphProto { Name = "g" };
        for (int i = 0; i < 500; i++)
            graph = new() { Name = "g", Node = { SmallModels.Node("If", [], [], new AttributeProto { Name = "b", G = graph, Type = AttributeProto.Types.AttributeType.Graph }) } };
        var model = SmallModels.Model();
        model.Graph = graph;
        Refused(model.ToByteArray(), "damaged");
    }

    /// <summary>A model cut at every length, and with every byte changed in several ways, gives a graph or a typed error.</summary>
    [TestMethod]
    public void Damaged_models_give_typed_errors_only()
    {
        byte[] whole = OnnxWriter.Write(SmallModels.Everything());
        for (int length = 0; length < whole.Length; length++) ReadsOrIsRefused(whole.AsMemory(0, length));
        var random = new Random(1);
        for (int i = 0; i < whole.Length; i++)
        {
            foreach (byte change in (ReadOnlySpan<byte>)[1, 2, 4, 8, 16, 32, 64, 128, 255, (byte)random.Next(1, 256)])
            {
                byte[] damaged = [.. whole];
                damaged[i] ^= change;
                ReadsOrIsRefused(damaged);
            }
        }
        for (int trial = 0; trial < 20_000; trial++)
        {
            byte[] damaged = [.. whole];
            for (int changes = random.Next(1, 5); changes > 0; changes--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            ReadsOrIsRefused(damaged);
        }
    }

    private static void ReadsOrIsRefused(ReadOnlyMemory<byte> model)
    {
        try
        {
            OnnxWriter.Write(OnnxReader.Read(model));
        }
        catch (QuantizationException)
        {
        }
    }

    internal static void Refused(byte[] model, params ReadOnlySpan<string> names)
    {
        var e = Assert.ThrowsExactly<ModelFormatException>(() => OnnxReader.Read(model));
        foreach (string name in names) StringAssert.Contains(e.Message, name);
    }
}
