using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace MLNet.Quantization.Tests.Plugin;

/// <summary>A real network on real data, through the public face alone.</summary>
[TestClass]
public sealed class MnistTests
{
    private const int Pixels = 784;

    private sealed class Digit
    {
        [VectorType(Pixels)]
        public float[] Image { get; set; } = [];

        public int Label { get; set; }
    }

    private readonly MLContext _mlContext = new(seed: 1);

    [TestMethod]
    public void StaticAndDynamicKeepTheAccuracy()
    {
        var model = OnnxModel.Load(SharedData.Model("mnist_mlp_256x2"));
        model = model.Bind(inputs: [(model.Inputs[0].Name, "Image")], outputs: [(model.Outputs[0].Name, "Score")]);
        var digits = Read();
        var catalog = _mlContext.Quantization();
        var dynamic8 = catalog.QuantizeWeights(model).Fit(View(digits));
        double accuracy = Accuracy(dynamic8, digits);
        Assert.AreEqual(97.36, accuracy, 0.2);

        // Calibrated on one half, tried on the other, then the other way round.
        int right = 0;
        Digit[][] halves = [.. digits.Chunk(digits.Length / 2)];
        foreach (var (calibration, trial) in ((Digit[], Digit[])[])[(halves[0], halves[1]), (halves[1], halves[0])])
        {
            var chain = catalog.CalibrateActivations(model).Append(catalog.QuantizeWeights(model, new() { Activations = ActivationQuantization.Static }));
            right += (int)Math.Round(Accuracy(chain.Fit(View(calibration)), trial) * trial.Length / 100);
        }
        Assert.AreEqual(97.36, 100.0 * right / digits.Length, 0.2);
    }

    private IDataView View(IEnumerable<Digit> digits) => _mlContext.Data.LoadFromEnumerable(digits);

    private double Accuracy(ITransformer model, Digit[] digits) =>
        100.0 * model.Transform(View(digits)).GetColumn<float[]>("Score").Where((s, i) => Array.IndexOf(s, s.Max()) == digits[i].Label).Count() / digits.Length;

    private static Digit[] Read()
    {
        byte[] images = Unpack("images-idx3-ubyte.gz"), labels = Unpack("labels-idx1-ubyte.gz");
        return [.. Enumerable.Range(0, labels.Length - 8).Select(i => new Digit { Image = [.. images.Skip(16 + i * Pixels).Take(Pixels).Select(p => p / 255f)], Label = labels[8 + i] })];
    }

    private static byte[] Unpack(string name)
    {
        using var gzip = new GZipStream(File.OpenRead(SharedData.Path("datasets", "mnist_test_0_4999", name)), CompressionMode.Decompress);
        using var unpacked = new MemoryStream();
        gzip.CopyTo(unpacked);
        return unpacked.ToArray();
    }
}
