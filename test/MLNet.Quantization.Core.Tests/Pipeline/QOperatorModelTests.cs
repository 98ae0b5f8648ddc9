using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Shared models in QOperator form: ONNX Runtime runs each file, and its scores agree with the engine's.</summary>
[TestClass]
public class QOperatorModelTests
{
    private const int Rows = 2, CalibrationRows = 4;

    /// <summary>Signal to noise in decibels, where codes that round the other way are few.</summary>
    private const double LeastSignal = 100;

    public required TestContext TestContext { get; set; }

    [TestMethod]
    [DataRow("mnist_mlp_256x2")]
    [DataRow("ad_autoencoder_mlp")]
    [DataRow("hand_keypoint_mlp")]
    [DataRow("mnist_cntk_cnn")]
    [DataRow("kws_dscnn")]
    [DataRow("resnet8_cifar10")]
    [DataRow("squeezenet1_1_imagenet")]
    [DataRow("ultraface_rfb320")]
    [DataRow("ppocr_cls_mobilenetv3")]
    [DataRow("magika_v3_3")]
    public void StaticAgrees(string name)
    {
        var model = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model(name)));
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        for (int row = 0; row < CalibrationRows; row++)
        {
            using var calibration = session.Program.Rent([.. ShapesOf(model.Graph, 1)]);
            Fill(model.Graph, calibration, row);
            session.Observe(calibration, row);
        }
        var quantized = QuantizationRecipe.QuantizeStatic(model, session.Finish());
        var written = quantized.As(OnnxQuantizationFormat.QOperator);
        Assert.IsGreaterThan(LeastSignal, Compare(name, quantized.Compile(), model.Graph, written));
        var read = PreparedModel.Prepare(OnnxReader.Read(OnnxWriter.Write(written)));
        AssertSameBits(quantized.Compile(), QuantizedModel.FromGraph(read.Graph).Compile(), model.Graph);
    }

    /// <summary>The file is read back as the layers that it was written from.</summary>
    private static void AssertSameBits(Program first, Program second, ModelGraph model)
    {
        using ProgramRun one = first.Rent([.. ShapesOf(model, Rows)]), other = second.Rent([.. ShapesOf(model, Rows)]);
        Fill(model, one, 98);
        Fill(model, other, 98);
        one.Execute();
        other.Execute();
        for (int o = 0; o < model.Outputs.Length; o++) Assert.IsTrue(one.Output<byte>(o).SequenceEqual(other.Output<byte>(o)), $"output {o}");
    }

    /// <summary>Every row of real data gets the same class; where two are equally sure, a last bit may decide.</summary>
    [TestMethod]
    [DataRow("mnist_cntk_cnn")]
    [DataRow("kws_dscnn")]
    public void ClassesAreTheSame(string name)
    {
        const int calibrated = 300;
        const double tinyShare = 0.001;
        var all = name == "kws_dscnn" ? SharedRows.SpeechCommands(name) : SharedRows.MnistPixels(name);
        var quantized = QuantizationRecipe.QuantizeStatic(all.Model, all.Calibrate(..calibrated));
        var rows = all.Part(calibrated..);
        string input = all.Model.Graph.Inputs[0].Name;
        int[] ours = rows.Classes(rows.Score(quantized.Compile()));
        int[] there = rows.Classes(OnnxRuntimeOracle.Score(quantized.As(OnnxQuantizationFormat.QOperator), true, (input, rows.Values, SharedRows.ShapeOf(all.Model.Graph.Inputs[0], rows.Count)))[0]);
        int other = ours.Zip(there).Count(c => c.First != c.Second);
        TestContext.WriteLine($"{name}: {other} of {rows.Count} rows have another class");
        Assert.IsLessThanOrEqualTo(tinyShare * rows.Count, other);
    }

    /// <summary>Activations have scales of a tensor there, of a row here.</summary>
    [TestMethod]
    [DataRow("mnist_mlp_256x2")]
    [DataRow("mnist_cntk_cnn")]
    [DataRow("kws_dscnn")]
    [DataRow("resnet8_cifar10")]
    public void DynamicRuns(string name)
    {
        var model = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model(name)));
        var quantized = QuantizationRecipe.QuantizeDynamic(model);
        var written = quantized.As(OnnxQuantizationFormat.QOperator);
        Assert.IsGreaterThan(20, Compare(name, quantized.Compile(), model.Graph, written));
        // The engine runs the same file as ONNX Runtime does, where a code may round the other way.
        var read = PreparedModel.Prepare(OnnxReader.Read(OnnxWriter.Write(written)));
        Assert.IsGreaterThan(40, Compare(name, QuantizedModel.FromGraph(read.Graph).Compile(), model.Graph, written));
    }

    /// <returns>The least signal to noise of the outputs, in decibels.</returns>
    private double Compare(string name, Program program, ModelGraph model, ModelGraph written)
    {
        using var run = program.Rent([.. ShapesOf(model, Rows)]);
        Fill(model, run, 99);
        run.Execute();
        (string, float[], int[])[] inputs = [.. model.Inputs.Select((info, i) => (info.Name, Values(run, i, info.Type), run.InputShape(i)))];
        float[][] there = OnnxRuntimeOracle.Score(written, true, inputs);
        double[] ratios = [.. there.Select((y, o) => SharedRows.SignalToNoise(run.Output<float>(o).ToArray(), y))];
        string types = string.Join(", ", written.Nodes.GroupBy(n => n.OpType).Select(g => $"{g.Count()} {g.Key}"));
        TestContext.WriteLine(FormattableString.Invariant($"{name}: {string.Join(", ", ratios.Select(r => r.ToString("F1", System.Globalization.CultureInfo.InvariantCulture)))} dB; {types}"));
        return ratios.Min();
    }

    private static float[] Values(ProgramRun run, int input, ElementType type) =>
        type == ElementType.Int32 ? Array.ConvertAll(run.Input<int>(input).ToArray(), v => (float)v) : run.Input<float>(input).ToArray();

    private static IEnumerable<int[]> ShapesOf(ModelGraph graph, int batch) =>
        graph.Inputs.Select(i => i.Shape!.Select((d, axis) => d.IsKnown ? (int)d.Value : axis switch { 2 => 48, 3 => 192, _ => batch }).ToArray());

    private static void Fill(ModelGraph graph, ProgramRun run, int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < graph.Inputs.Length; i++)
        {
            if (graph.Inputs[i].Type == ElementType.Float)
                foreach (ref float v in run.Input<float>(i)) v = (random.NextSingle() * 4) - 2;
            else
                foreach (ref int v in run.Input<int>(i)) v = random.Next(257);
        }
    }
}
