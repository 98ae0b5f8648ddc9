using Microsoft.ML;
using Microsoft.ML.Data;

namespace MLNet.Quantization.Tests.Plugin;

[TestClass]
public sealed class MemoryTests
{
    private const int Width = 1024, Layers = 12;

    private sealed class Row
    {
        [VectorType(Width)]
        public float[] Features { get; set; } = new float[Width];
    }

    /// <summary>Of a long chain only two neighbours live at a time, whose memory is all that counts.</summary>
    [TestMethod]
    public void PeakMemoryIsThatOfNeighboursNotOfAllLayers()
    {
        var ml = new MLContext(1);
        var network = new NetworkBuilder(Width, "Features");
        for (int i = 0; i < Layers; i++) network = network.Dense(Width).Tanh();
        var view = ml.Data.LoadFromEnumerable([new Row()]);
        var transformer = ml.Quantization().QuantizeWeights(network.Build("Score"), new() { NumberOfThreads = 1 }).Fit(view);
        long one = transformer.PeakActivationBytes(view.Schema), many = transformer.PeakActivationBytes(view.Schema, 64);
        Assert.IsGreaterThanOrEqualTo(2L * Width * sizeof(float), one, "the model's input and output");
        Assert.IsGreaterThan(60 * (one / 2), many);
        Assert.IsLessThan(64L * Layers * Width * sizeof(float) / 2, many, "half of what all layers make");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => transformer.PeakActivationBytes(view.Schema, 0));
        Assert.ThrowsExactly<ArgumentNullException>(() => transformer.PeakActivationBytes(null!));
    }
}
