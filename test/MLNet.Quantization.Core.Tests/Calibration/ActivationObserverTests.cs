using MLNet.Quantization.Calibration;

namespace MLNet.Quantization.Tests.Calibration;

[TestClass]
public class ActivationObserverTests
{
    [TestMethod]
    [DataRow(CalibrationMethod.MinMax)]
    [DataRow(CalibrationMethod.MovingAverage)]
    [DataRow(CalibrationMethod.Percentile)]
    public void PartsMergeIntoTheWholeAndSurviveTheirBytes(CalibrationMethod method)
    {
        var random = new Random(5);
        var batches = Enumerable.Range(1, 12).Select(n => Enumerable.Range(0, n * 7).Select(_ => (float)(random.NextDouble() * 6 - 2)).ToArray()).ToList();
        ActivationObserver Over(IEnumerable<float[]> part)
        {
            var observer = ActivationObserver.Create(method, 99, 0.1);
            foreach (float[] batch in part) Assert.AreEqual(-1, observer.Observe(batch));
            return Copy(observer);
        }
        var whole = Over(batches);
        var merged = Over(batches.Take(5));
        merged.Merge(Over(batches.Skip(5)));
        Assert.AreEqual(whole.Count, merged.Count);
        Assert.AreEqual(whole.Range().Min, merged.Range().Min, 1e-6f);
        Assert.AreEqual(whole.Range().Max, merged.Range().Max, 1e-6f);
    }

    [TestMethod]
    public void PercentileCutsBothTailsWithinABin()
    {
        var observer = ActivationObserver.Create(CalibrationMethod.Percentile, 98, 0.1);
        observer.Observe(Enumerable.Range(-500, 1001).Select(i => i / 100f).ToArray());
        var (min, max) = observer.Range();
        Assert.AreEqual(-4.9f, min, 4.9f / 128);
        Assert.AreEqual(4.9f, max, 4.9f / 128);
        Assert.AreEqual(0.02, observer.ClippedShare()!.Value, 0.01);
    }

    [TestMethod]
    public void NonFiniteValuesAreFoundAndNotTakenIn()
    {
        var observer = ActivationObserver.Create(CalibrationMethod.MinMax, 100, 1);
        Assert.AreEqual(2, observer.Observe([1, 2, float.NaN]));
        Assert.AreEqual(0, observer.Observe([float.NegativeInfinity]));
        Assert.AreEqual(-1, observer.Observe([]));
        Assert.AreEqual(0, observer.Count);
        Assert.AreEqual((0f, 0f), observer.Range());
    }

    private static ActivationObserver Copy(ActivationObserver observer)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        observer.Write(writer);
        writer.Flush();
        stream.Position = 0;
        return ActivationObserver.Read(new BinaryReader(stream));
    }
}
