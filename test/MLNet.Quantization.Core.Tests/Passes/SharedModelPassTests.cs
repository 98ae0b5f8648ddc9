using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Passes;

/// <summary>What real models become before they are calibrated.</summary>
[TestClass]
public class SharedModelPassTests
{
    [TestMethod]
    public void MagikaIsALookUpANormalizationAConvolutionAndAGelu()
    {
        var prepared = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model("magika_v3_3"))).Graph;
        Assert.AreEqual(
            "Gather Reshape Transpose LayerNormalization Unsqueeze Conv Squeeze Gelu GlobalMaxPool Squeeze LayerNormalization Gemm",
            string.Join(' ', prepared.Nodes.Select(n => n.OpType).SkipWhile(t => t != "Gather").TakeWhile(t => t != "ReduceMax")));
    }

    [TestMethod]
    [DataRow("kws_dscnn", "BatchNormalization")]
    [DataRow("ppocr_cls_mobilenetv3", "BatchNormalization,Shape,Cast,Concat")]
    [DataRow("ultraface_rfb320", "BatchNormalization,Shape,Gather")]
    [DataRow("mnist_cntk_cnn", "Add")]
    public void Goes(string model, string types)
    {
        var prepared = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model(model))).Graph;
        foreach (string type in types.Split(',')) Assert.IsFalse(prepared.Nodes.Any(n => n.OpType == type), type);
    }
}
