using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;

namespace MLNet.Quantization.Tests.Onnx;

[TestClass]
public class OnnxWriterTests
{
    [TestMethod]
    public void A_graph_is_the_same_after_it_was_written_and_read()
    {
        var graph = SmallModels.Everything();
        GraphAssert.AreSame(graph, OnnxReader.Read(OnnxWriter.Write(graph)));
    }

    [TestMethod]
    public void The_bytes_do_not_depend_on_the_order_in_which_a_graph_was_made()
    {
        var graph = SmallModels.Everything();
        var names = Enumerable.Range(0, 100).Select(i => KeyValuePair.Create($"c{i}", Tensor.Scalar(i))).ToList();
        var forwards = graph with { Initializers = graph.Initializers.AddRange(names) };
        names.Reverse();
        var backwards = graph with { Initializers = ImmutableDictionary.CreateRange(StringComparer.Ordinal, names).AddRange(graph.Initializers) };
        CollectionAssert.AreEqual(OnnxWriter.Write(forwards), OnnxWriter.Write(backwards));
    }

    [TestMethod]
    public void A_model_that_does_not_fit_into_one_file_is_refused()
    {
        var graph = SmallModels.Everything() with { Initializers = SmallModels.Constants(("w", Tensor.Create(new float[100], 100))) };
        int size = OnnxWriter.Write(graph).Length;
        Assert.AreEqual(size, OnnxWriter.Write(graph, size).Length);
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => OnnxWriter.Write(graph, size - 1)).Message, $"at most {size - 1}");
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => OnnxWriter.Write(graph, 399)).Message, "at most 399");
    }

    [TestMethod]
    public void A_file_is_replaced_whole_or_not_at_all()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("model.onnx", [1, 2, 3]);
        Assert.ThrowsExactly<InvalidOperationException>(() => AtomicFile.Write(path, stream =>
        {
            stream.WriteByte(9);
            throw new InvalidOperationException();
        }));
        CollectionAssert.AreEqual(new byte[] { 1, 2, 3 }, File.ReadAllBytes(path));
        CollectionAssert.AreEqual(new[] { path }, Directory.GetFiles(folder.Path));

        OnnxWriter.WriteFile(SmallModels.Everything(), path);
        GraphAssert.AreSame(SmallModels.Everything(), OnnxReader.ReadFile(path));
        CollectionAssert.AreEqual(new[] { path }, Directory.GetFiles(folder.Path));
    }

    [TestMethod]
    public void A_folder_that_is_not_there_is_an_error() =>
        Assert.ThrowsExactly<DirectoryNotFoundException>(() => OnnxWriter.WriteFile(SmallModels.Everything(), Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N"), "model.onnx")));
}
