using System.Collections.Immutable;
using System.IO.Compression;
using Google.Protobuf;
using Microsoft.ML;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Onnx.Proto;
using static MLNet.Quantization.Tests.Plugin.TestModels;

namespace MLNet.Quantization.Tests.Plugin;

/// <summary>What is wrong is named, by the right type of error, before long work.</summary>
[TestClass]
public sealed class BadInputTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private QuantizationCatalog Catalog => _mlContext.Quantization();

    private static readonly QuantizeWeightsEstimator.Options Static = new() { Activations = ActivationQuantization.Static };

    [TestMethod]
    public void AMissingFile() => StringAssert.Contains(Assert.ThrowsExactly<FileNotFoundException>(() => OnnxModel.Load("nowhere/model.onnx")).Message, "nowhere/model.onnx");

    [TestMethod]
    public void NotOnnx() => Assert.ThrowsExactly<ModelFormatException>(() => OnnxModel.Load("this is not a model at all"u8.ToArray()));

    [TestMethod]
    public void AnEmptyStream() => Assert.ThrowsExactly<ModelFormatException>(() => OnnxModel.Load(new MemoryStream()));

    [TestMethod]
    public void TruncatedAnywhere()
    {
        byte[] bytes = MlpBytes();
        for (int length = 0; length < bytes.Length; length += 7)
        {
            byte[] cut = bytes[..length];
            Assert.Throws<QuantizationException>(() => Catalog.QuantizeWeights(OnnxModel.Load(cut).Bind(inputs: null)).Fit(_mlContext.View(Rows(1))), $"{length} bytes");
        }
    }

    [TestMethod]
    public void AnUnknownOperator()
    {
        var graph = MlpGraph();
        var model = new OnnxModel(graph with { Nodes = graph.Nodes.SetItem(1, Node.Create("odd", "Unheard", ["h"], ["r"])) }).Bind(inputs: [("data", "Features")]);
        var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => Catalog.QuantizeWeights(model).Fit(_mlContext.View(Rows(1))));
        Assert.AreEqual("odd", e.NodeName);
        Assert.AreEqual("Unheard", e.OperatorType);
        StringAssert.Contains(e.Message, "Gemm");
    }

    [TestMethod]
    public void ACyclicGraph()
    {
        var graph = MlpGraph();
        byte[] bytes = OnnxWriter.Write(graph with { Nodes = graph.Nodes.SetItem(0, Node.Create("dense1", "Gemm", ["r", "w1", "b1"], ["h"])) });
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => OnnxModel.Load(bytes)).Message, "cycle");
    }

    [TestMethod]
    [DataRow("w1", "dense1")]
    [DataRow("b2", "dense2")]
    public void AConstantThatIsNotFinite(string tensor, string node)
    {
        var graph = MlpGraph();
        float[] values = graph.Initializers[tensor].Span<float>().ToArray();
        values[3] = float.NaN;
        var model = new OnnxModel(graph with { Initializers = graph.Initializers.SetItem(tensor, Tensor.Create(values, graph.Initializers[tensor].Dims)) }).Bind(inputs: [("data", "Features")]);
        var e = Assert.ThrowsExactly<ModelFormatException>(() => Catalog.QuantizeWeights(model).Fit(_mlContext.View(Rows(1))));
        Assert.AreEqual(tensor, e.TensorName);
        Assert.AreEqual(node, e.NodeName);
    }

    [TestMethod]
    public void AMissingColumn()
    {
        var data = _mlContext.Data.LoadFromEnumerable([new { Other = 1f }]);
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => Catalog.QuantizeWeights(Mlp()).Fit(data)).Message, "'Features'");
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => Catalog.CalibrateActivations(Mlp()).Fit(data)).Message, "'Features'");
        var fitted = Catalog.QuantizeWeights(Mlp()).Fit(_mlContext.View(Rows(1)));
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => fitted.Transform(data)).Message, "Other");
        // In a chain it is found before the first stage is fitted.
        var chain = _mlContext.Transforms.CopyColumns("A", "Other").Append(Catalog.QuantizeWeights(Mlp()));
        StringAssert.Contains(Assert.Throws<Exception>(() => chain.Fit(data)).Message, "'Features'");
    }

    [TestMethod]
    public void AColumnOfTheWrongLength()
    {
        var data = _mlContext.Transforms.Concatenate("Features", "Features", "Label").Fit(_mlContext.View(Rows(2))).Transform(_mlContext.View(Rows(2)));
        var e = Assert.Throws<ArgumentException>(() => Catalog.QuantizeWeights(Mlp()).Fit(data));
        StringAssert.Contains(e.Message, "13");
        StringAssert.Contains(e.Message, "12");
    }

    /// <summary>Pictures of another size, or with another number of channels, than the network has.</summary>
    [TestMethod]
    [DataRow(3, 2, true)]
    [DataRow(3, 4, false)]
    [DataRow(1, 2, false)]
    public void APictureOfTheWrongSize(int channels, int side, bool fits)
    {
        var data = _mlContext.View(Rows(2));
        var model = new OnnxModel(Convolution(channels, channels, side)).Bind(inputs: [("x", "Features")]);
        if (fits)
        {
            Catalog.QuantizeWeights(model).Fit(data).Transform(data).Preview();
            return;
        }
        foreach (var fit in new Action[] { () => Catalog.QuantizeWeights(model).Fit(data), () => Catalog.CalibrateActivations(model).Fit(data) })
        {
            string message = Assert.Throws<ArgumentException>(fit).Message;
            StringAssert.Contains(message, "'Features'");
            StringAssert.Contains(message, "12");
            StringAssert.Contains(message, $"{channels},{side},{side}");
        }
    }

    [TestMethod]
    public void AConvolutionOfOtherChannels()
    {
        var data = _mlContext.View(Rows(2));
        var e = Assert.ThrowsExactly<ModelFormatException>(() => Catalog.QuantizeWeights(new OnnxModel(Convolution(3, 4, 2)).Bind(inputs: [("x", "Features")])).Fit(data));
        Assert.AreEqual("features", e.NodeName);
        StringAssert.Contains(e.Message, "3 channels, expected 4");
    }

    /// <summary>x [N, channels, side, side], convolved by windows of 2 by 2.</summary>
    private static ModelGraph Convolution(int channels, int weightChannels, int side) => new()
    {
        Inputs = [new("x", ElementType.Float, new(new Dimension("N"), channels, side, side))],
        Outputs = [new("y", ElementType.Float, null)],
        Nodes = [Node.Create("features", "Conv", ["x", "w"], ["c"]), Node.Create("mean", "GlobalAveragePool", ["c"], ["m"]), Node.Create("flat", "Flatten", ["m"], ["y"])],
        Initializers = ImmutableDictionary.CreateRange(StringComparer.Ordinal, [Weights("w", 3, 4, weightChannels, 2, 2)]),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    };

    [TestMethod]
    public void AnEmptyCalibrationSet() =>
        StringAssert.Contains(Assert.ThrowsExactly<CalibrationException>(() => Catalog.CalibrateActivations(Mlp()).Fit(_mlContext.View([]))).Message, "empty");

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.NegativeInfinity)]
    public void CalibrationDataThatIsNotFinite(float value)
    {
        var rows = Rows(300);
        rows[270].Features[4] = value;
        var e = Assert.ThrowsExactly<CalibrationException>(() => Catalog.CalibrateActivations(Mlp()).Fit(_mlContext.View(rows)));
        Assert.AreEqual(270, e.Row);
        Assert.AreEqual("data", e.TensorName);
        StringAssert.Contains(e.Message, "column 'Features'");
    }

    [TestMethod]
    public void ATensorShorterThanItsShape()
    {
        var file = ModelProto.Parser.ParseFrom(MlpBytes());
        file.Graph.Initializer.Single(t => t.Name == "w1").Dims[1]++;
        byte[] bytes = file.ToByteArray();
        var e = Assert.ThrowsExactly<ModelFormatException>(() => OnnxModel.Load(bytes));
        Assert.AreEqual("w1", e.TensorName);
    }

    [TestMethod]
    public void AZipOfANewerVersion()
    {
        var data = _mlContext.View(Rows(5));
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        _mlContext.Model.Save(Catalog.QuantizeWeights(Mlp()).Fit(data), data.Schema, zip);
        using (var archive = ZipFile.Open(zip, ZipArchiveMode.Update))
        {
            var entry = archive.Entries.Single(e => e.FullName is "TransformerChain/Model.key" or "Model.key");
            using var stream = entry.Open();
            byte[] header = new byte[stream.Length];
            stream.ReadExactly(header);
            // The header: model signature, then the version written and the oldest that can read it.
            int at = header.AsSpan().IndexOf("QNTMODEL"u8);
            for (int field = 0; field < 2; field++) header[at + 8 + (field * 4) + 2]++;
            stream.Position = 0;
            stream.Write(header);
        }
        var e = Innermost(Assert.Throws<Exception>(() => _mlContext.Model.Load(zip, out _)));
        Assert.IsInstanceOfType<ModelFormatException>(e, e.ToString());
        StringAssert.Contains(e.Message, "newer");
    }

    [TestMethod]
    public void StaticWithoutCalibration()
    {
        var data = _mlContext.View(Rows(20));
        StringAssert.Contains(Assert.ThrowsExactly<CalibrationException>(() => Catalog.QuantizeWeights(Mlp(), Static).Fit(data)).Message, "CalibrateActivations");
        // In the wrong order: before any row is read.
        bool isRead = false;
        IEnumerable<Row> Watched()
        {
            isRead = true;
            yield return Rows(1)[0];
        }
        var chain = Catalog.QuantizeWeights(Mlp(), Static).Append(Catalog.CalibrateActivations(Mlp()));
        Assert.ThrowsExactly<CalibrationException>(() => _mlContext.Transforms.CopyColumns("A", "Label").Append(chain).Fit(_mlContext.View(Watched())));
        Assert.IsFalse(isRead);
    }

    [TestMethod]
    public void TheCalibrationOfAnotherModel()
    {
        var data = _mlContext.View(Rows(20));
        var chain = Catalog.CalibrateActivations(Mlp(seed: 1)).Append(Catalog.QuantizeWeights(Mlp(seed: 50), Static));
        StringAssert.Contains(Assert.ThrowsExactly<CalibrationException>(() => chain.Fit(data)).Message, "another model");
    }

    [TestMethod]
    public void ExcludedNodesThatAreNotThere() => StringAssert.Contains(
        Assert.Throws<ArgumentException>(() => Catalog.QuantizeWeights(Mlp(), new() { ExcludedNodes = ["dense9"] }).Fit(_mlContext.View(Rows(1)))).Message, "dense9");

    [TestMethod]
    public void OptionsOutsideTheirRange()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Catalog.CalibrateActivations(Mlp(), new() { Percentile = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => Catalog.CalibrateActivations(Mlp(), new() { AveragingConstant = double.NaN }));
        Assert.Throws<ArgumentOutOfRangeException>(() => Catalog.CalibrateActivations(Mlp(), new() { NumberOfThreads = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => Catalog.QuantizeWeights(Mlp(), new() { Granularity = (WeightGranularity)9 }));
        Assert.Throws<ArgumentNullException>(() => Catalog.QuantizeWeights(null!));
    }

    [TestMethod]
    public void ACalibrationThatIsCancelled()
    {
        using var source = new CancellationTokenSource();
        IEnumerable<Row> Endless()
        {
            for (int i = 0; ; i++)
            {
                if (i == 1000) source.Cancel();
                yield return Rows(1)[0];
            }
        }
        Assert.Throws<OperationCanceledException>(() => Catalog.CalibrateActivations(Mlp(), new() { CancellationToken = source.Token }).Fit(_mlContext.View(Endless())));
    }

    [TestMethod]
    [DataRow("Model.onnx")]
    [DataRow("Columns")]
    public void ADamagedZip(string entryName)
    {
        var data = _mlContext.View(Rows(5));
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        _mlContext.Model.Save(Catalog.QuantizeWeights(Mlp()).Fit(data), data.Schema, zip);
        byte[] whole = File.ReadAllBytes(zip);

        using (var archive = ZipFile.Open(zip, ZipArchiveMode.Update))
        {
            var entry = archive.Entries.Single(e => e.Name == entryName);
            using var stream = entry.Open();
            stream.Position = stream.Length / 2;
            stream.WriteByte(0x5A);
        }
        var e = Assert.Throws<Exception>(() => _mlContext.Model.Load(zip, out _));
        Assert.IsInstanceOfType<ModelFormatException>(Innermost(e), e.ToString());
        StringAssert.Contains(Innermost(e).Message, entryName);

        File.WriteAllBytes(zip, whole[..(whole.Length / 2)]);
        Assert.Throws<Exception>(() => _mlContext.Model.Load(zip, out _));
    }

    private static Exception Innermost(Exception e)
    {
        for (var at = e; at is not null; at = at.InnerException)
            if (at is QuantizationException) return at;
        return e;
    }

    [TestMethod]
    public void AnExportThatCannotBeWrittenLeavesNothing()
    {
        using var folder = new TemporaryFolder();
        var model = Catalog.QuantizeWeights(Mlp()).Fit(_mlContext.View(Rows(5)));
        Assert.Throws<IOException>(() => model.SaveAsOnnx(Path.Combine(folder.Path, "missing", "model.onnx")));
        Assert.IsEmpty(Directory.EnumerateFileSystemEntries(folder.Path));
    }
}
