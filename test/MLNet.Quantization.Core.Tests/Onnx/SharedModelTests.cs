using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;

namespace MLNet.Quantization.Tests.Onnx;

/// <summary>Real models: every one is read, written and read again; ONNX Runtime scores the written file like the original one.</summary>
[TestClass]
public class SharedModelTests
{
    public static IEnumerable<string> Names =>
    [
        "ad_autoencoder_mlp", "g2p_en_lstm", "hand_keypoint_mlp", "kws_dscnn", "magika_v3_3", "mnist_cntk_cnn", "mnist_mlp_256x2", "ppocr_cls_mobilenetv3",
        "resnet8_cifar10", "silero_vad_16k", "squeezenet1_1_imagenet", "structure_only_cct_opset20", "ultraface_rfb320", "vit_ibp_3_3_8_cifar10",
    ];

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void A_model_is_the_same_after_it_was_written(string name)
    {
        var graph = OnnxReader.ReadFile(SharedData.Model(name));
        byte[] written = OnnxWriter.Write(graph);
        var again = OnnxReader.Read(written);
        GraphAssert.AreSame(graph with { Metadata = graph.Metadata with { IrVersion = again.Metadata.IrVersion } }, again);
        CollectionAssert.AreEqual(written, OnnxWriter.Write(again));
    }

    [TestMethod]
    [DataRow("mnist_mlp_256x2")]
    [DataRow("mnist_cntk_cnn")]
    [DataRow("resnet8_cifar10")]
    [DataRow("ppocr_cls_mobilenetv3")]
    [DataRow("vit_ibp_3_3_8_cifar10")]
    public void Onnx_runtime_scores_the_written_model_like_the_original(string name)
    {
        string path = SharedData.Model(name);
        var graph = OnnxReader.ReadFile(path);
        using var original = new InferenceSession(path);
        using var written = new InferenceSession(OnnxWriter.Write(graph));
        CollectionAssert.AreEqual(original.InputNames.ToArray(), graph.Inputs.Select(i => i.Name).ToArray());
        CollectionAssert.AreEqual(original.OutputNames.ToArray(), written.OutputNames.ToArray());
        var inputs = graph.Inputs.Select(Random).ToList();
        using var expected = original.Run(inputs);
        using var actual = written.Run(inputs);
        foreach (var (e, a) in expected.Zip(actual)) CollectionAssert.AreEqual(e.AsEnumerable<float>().ToArray(), a.AsEnumerable<float>().ToArray());
    }

    private static NamedOnnxValue Random(ValueInfo input)
    {
        int[] dims = [.. input.Shape!.Select(d => d.IsKnown ? (int)d.Value : 2)];
        var random = new Random(1);
        float[] values = [.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => random.NextSingle())];
        return NamedOnnxValue.CreateFromTensor(input.Name, new DenseTensor<float>(values, dims));
    }
}
