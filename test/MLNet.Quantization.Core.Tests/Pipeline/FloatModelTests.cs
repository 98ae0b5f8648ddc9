using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Shared models in float32, all their outputs, against ONNX Runtime; what the engine lacks is named.</summary>
[TestClass]
public sealed class FloatModelTests
{
    /// <summary>Sums of a few hundred products in another order, relative to the largest score.</summary>
    private const double FloatTolerance = 1e-5;

    public required TestContext TestContext { get; set; }

    [TestMethod]
    [DataRow("mnist_mlp_256x2")]
    [DataRow("ad_autoencoder_mlp")]
    [DataRow("hand_keypoint_mlp")]
    [DataRow("mnist_cntk_cnn")]
    [DataRow("resnet8_cifar10")]
    [DataRow("kws_dscnn")]
    [DataRow("squeezenet1_1_imagenet")]
    [DataRow("ultraface_rfb320")]
    [DataRow("ppocr_cls_mobilenetv3")]
    [DataRow("vit_ibp_3_3_8_cifar10")]
    [DataRow("magika_v3_3")]
    [DataRow("structure_only_cct_opset20")]
    public void AgreesWithOnnxRuntimeOrNamesWhatItLacks(string name)
    {
        var source = OnnxReader.ReadFile(SharedData.Model(name));
        string[] lacking = [.. source.Nodes.Where(n => !OperatorSet.Supports(n)).Select(n => n.OpType).Distinct()];
        if (lacking.Length > 0)
        {
            var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => Program.Compile(PreparedModel.Prepare(source).Graph));
            CollectionAssert.Contains(lacking, e.OperatorType);
            TestContext.WriteLine($"lacks {string.Join(", ", lacking)}");
            return;
        }
        var program = Program.Compile(PreparedModel.Prepare(source).Graph);
        var input = source.Inputs[0];
        var random = new Random(5);
        int[] dims = name == "ppocr_cls_mobilenetv3" ? [1, 3, 48, 192] : SharedRows.ShapeOf(input, 1);
        using var oracle = new OnnxRuntimeOracle(source, true);
        double most = 0;
        for (int i = 0; i < 64; i++)
        {
            float[] x = input.Type == ElementType.Int32 ? [.. Enumerable.Range(0, OneCount(dims)).Select(_ => (float)random.Next(257))] : OneRow(random, OneCount(dims));
            float[][] expected = oracle.Score((input.Name, x, dims));
            using var run = program.Rent(dims);
            if (input.Type == ElementType.Int32) Array.ConvertAll(x, v => (int)v).CopyTo(run.Input<int>(0));
            else x.CopyTo(run.Input<float>(0));
            run.Execute();
            for (int o = 0; o < expected.Length; o++)
            {
                float[] found = run.Output<float>(o).ToArray();
                Assert.HasCount(expected[o].Length, found, source.Outputs[o].Name);
                float scale = expected[o].Max(MathF.Abs);
                most = Math.Max(most, expected[o].Zip(found, (a, b) => MathF.Abs(a - b)).Max() / scale);
            }
        }
        TestContext.WriteLine($"largest difference {most:G3} of the largest score");
        Assert.IsLessThanOrEqualTo(FloatTolerance, most);

        static int OneCount(int[] d) => d.Aggregate(1, (p, v) => p * v);
        static float[] OneRow(Random r, int n) => [.. Enumerable.Range(0, n).Select(_ => r.NextSingle())];
    }
}
