using System.Collections.Immutable;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Tests.Plugin;

namespace MLNet.Quantization.Tests;

/// <summary>Models that leave height and width open: fixed by <see cref="OnnxModel.WithInputShape"/> or told by the axes of a column.</summary>
[TestClass]
public sealed class OpenShapeTests
{
    private const int Height = 48, Width = 192;

    private static readonly MLContext MlContext = new(1);

    private sealed class Picture
    {
        [ImageType(Height, Width)]
        public MLImage Image { get; set; } = null!;
    }

    private sealed class Flat
    {
        public float[] Pixels { get; set; } = [];
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }

    [TestMethod]
    public void TextLinesGoThroughImageTransforms()
    {
        var source = OnnxModel.Load(SharedData.Model("ppocr_cls_mobilenetv3"));
        var open = source.Bind(inputs: [(source.Inputs[0].Name, "Pixels")], outputs: [(source.Outputs[0].Name, "Score")]);
        var pictures = MlContext.Data.LoadFromEnumerable(Stripes(12));
        var extract = MlContext.Transforms.ExtractPixels(
            "Pixels", "Image", orderOfExtraction: ImagePixelExtractingEstimator.ColorsOrder.ABGR, offsetImage: 127.5f, scaleImage: 1 / 127.5f);
        var q = MlContext.Quantization();
        var axes = extract.Append(q.CalibrateActivations(open)).Append(q.QuantizeWeights(open, Static())).Fit(pictures);
        float[][] expected = [.. axes.Transform(pictures).GetColumn<float[]>("Score")];
        Assert.HasCount(12, expected);
        Assert.IsTrue(expected.All(s => s.Length == 2 && MathF.Abs(s.Sum() - 1) < 1e-3f));

        // The same pixels in a column without axes: only the fixed model can read it, and it remembers its shape in the zip.
        var flat = Vectors([.. extract.Fit(pictures).Transform(pictures).GetColumn<float[]>("Pixels")], 3 * Height * Width);
        var refused = Assert.ThrowsExactly<ArgumentException>(() => q.CalibrateActivations(open).Fit(flat));
        StringAssert.Contains(refused.Message, nameof(OnnxModel.WithInputShape));
        StringAssert.Contains(refused.Message, "vectors of length 27648");
        var @fixed = open.WithInputShape(source.Inputs[0].Name, -1, 3, Height, Width);
        var model = q.CalibrateActivations(@fixed).Append(q.QuantizeWeights(@fixed, Static())).Fit(flat);
        TestModels.AssertSame(expected, TestModels.Scores(model, flat));
        using var folder = new TemporaryFolder();
        string zip = Path.Combine(folder.Path, "model.zip");
        MlContext.Model.Save(model, flat.Schema, zip);
        var loaded = MlContext.Model.Load(zip, out _);
        TestModels.AssertSame(expected, TestModels.Scores(loaded, flat));
        using var engine = MlContext.Model.CreatePredictionEngine<Flat, Scored>(loaded, inputSchemaDefinition: Definition(3 * Height * Width));
        CollectionAssert.AreEqual(expected[0], engine.Predict(new() { Pixels = flat.GetColumn<float[]>("Pixels").First() }).Score);
    }

    [TestMethod]
    public void AxesOfAColumnTellWhatIsOpenAndOthersAreRefused()
    {
        var model = Mean(new("N"), new("H"), new("W"));
        var q = MlContext.Quantization();
        float[][] rows = [[.. Enumerable.Range(0, 24).Select(i => (float)i)], [.. Enumerable.Range(0, 24).Select(i => -2f * i)]];
        var planes = q.QuantizeWeights(model).Fit(Vectors(rows, 2, 3, 4)).Transform(Vectors(rows, 2, 3, 4));
        Assert.AreEqual(new VectorDataViewType(NumberDataViewType.Single, 1, 3, 4), planes.Schema["Score"].Type);
        Assert.AreEqual(2, planes.GetColumn<float[]>("Score").Count());
        // Colours last, as ExtractPixels does when it interleaves: as many values, other axes.
        var e = Assert.ThrowsExactly<ArgumentException>(() => q.QuantizeWeights(model).Fit(Vectors(rows, 3, 4, 2)));
        StringAssert.Contains(e.Message, "[3,4,2]");
        StringAssert.Contains(e.Message, "'Pixels'");
        // Without axes there is no telling; one open axis follows from the length.
        Assert.ThrowsExactly<ArgumentException>(() => q.QuantizeWeights(model).Fit(Vectors(rows, 24)));
        var length = q.QuantizeWeights(model.WithInputShape("x", -1, -1, 3, -1)).Fit(Vectors(rows, 24)).Transform(Vectors(rows, 24));
        TestModels.AssertSame([.. planes.GetColumn<float[]>("Score")], [.. length.GetColumn<float[]>("Score")]);
        // A first axis of 1 that cannot count rows: the column's axes are those behind it.
        var single = q.QuantizeWeights(Mean(1, new("H"), new("W"), reshape: true)).Fit(Vectors(rows, 2, 3, 4)).Transform(Vectors(rows, 2, 3, 4));
        Assert.AreEqual(2, single.GetColumn<float[]>("Score").Count());
    }

    [TestMethod]
    public void ShapesThatContradictTheModelAreRefusedByName()
    {
        var model = Mean(new("N"), new("S"), new("S"));
        Assert.AreEqual("[N,2,5,5]", model.WithInputShape("x", -1, 2, 5, -1).Inputs[0].Shape, "one symbol, one extent");
        Assert.AreEqual("[N,1,5,5]", model.WithInputShape("x", -1, 2, 5, 5).Outputs[0].Shape);
        Refused(() => model.WithInputShape("y", 1), "'x'");
        Refused(() => model.WithInputShape("x", -1, 2, 5), "4 axes", "[-1,2,5]");
        Refused(() => model.WithInputShape("x", -1, 3, 5, 5), "Axis 1", "'x'", "[-1,3,5,5]");
        Refused(() => model.WithInputShape("x", -1, 2, 5, 6), "Axis 3", "'S'");
        Refused(() => model.WithInputShape("x", -1, 2, 0, 6), "Axis 2", "extent 0");
        Refused(() => model.WithInputShape("x", -1, 2, long.MaxValue, 6), "Axis 2");
        Assert.ThrowsExactly<ArgumentNullException>(() => model.WithInputShape(null!, 1));
    }

    private static void Refused(Action act, params string[] parts)
    {
        string message = Assert.ThrowsExactly<ArgumentException>(act).Message;
        foreach (string part in parts) StringAssert.Contains(message, part);
    }

    private static QuantizeWeightsEstimator.Options Static() => new() { Activations = ActivationQuantization.Static };

    /// <summary>"x" [batch, 2, height, width] -> Conv 1x1 -> "y" [batch, 1, height, width], read from Pixels, written to Score.</summary>
    private static OnnxModel Mean(Dimension batch, Dimension height, Dimension width, bool reshape = false) => new OnnxModel(new ModelGraph
    {
        Inputs = [new("x", ElementType.Float, new(batch, 2, height, width))],
        Outputs = [new("y", ElementType.Float, reshape ? null : new TensorShape(batch, 1, height, width))],
        Nodes = reshape
            ? [Node.Create("conv", "Conv", ["x", "w"], ["c"]), Node.Create("all", "Reshape", ["c", "target"], ["y"])]
            : [Node.Create("conv", "Conv", ["x", "w"], ["y"])],
        Initializers = ImmutableDictionary.CreateRange(
            StringComparer.Ordinal, [KeyValuePair.Create("w", Tensor.Create<float>([0.5f, 0.25f], 1, 2, 1, 1)), KeyValuePair.Create("target", Tensor.Create<long>([-1], 1))]),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    }.WithoutUnusedInitializers()).Bind(inputs: [("x", "Pixels")], outputs: [("y", "Score")]);

    private static IDataView Vectors(float[][] rows, params int[] dims) =>
        MlContext.Data.LoadFromEnumerable(rows.Select(r => new Flat { Pixels = r }), Definition(dims));

    private static SchemaDefinition Definition(params int[] dims)
    {
        var schema = SchemaDefinition.Create(typeof(Flat));
        schema[nameof(Flat.Pixels)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, dims);
        return schema;
    }

    /// <summary>Grey pictures with dark bars of random heights, like letters; made anew each time, since ExtractPixels disposes of what it reads.</summary>
    private static IEnumerable<Picture> Stripes(int count)
    {
        var random = new Random(3);
        for (int i = 0; i < count; i++)
        {
            var bytes = new byte[4 * Height * Width];
            Array.Fill(bytes, (byte)240);
            for (int x = 4; x < Width - 8; x += 7)
            {
                int top = random.Next(4, 24), bottom = random.Next(26, 46);
                for (int y = top; y < bottom; y++) bytes.AsSpan(4 * ((y * Width) + x), 12).Fill(20);
            }
            yield return new() { Image = MLImage.CreateFromPixels(Width, Height, MLPixelFormat.Bgra32, bytes) };
        }
    }
}
