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

    [TestMethod]
    [DataRow(CalibrationMethod.MinMax)]
    [DataRow(CalibrationMethod.Percentile)]
    public void AnyGroupingGivesTheBytesOfOnePass(CalibrationMethod method)
    {
        float[] values = Hostile(4000);
        var whole = ActivationObserver.Create(method, 99.9, 0.1);
        whole.Observe(values);
        var random = new Random(8);
        for (int trial = 0; trial < 5; trial++)
        {
            var parts = Enumerable.Range(0, 4).Select(_ => ActivationObserver.Create(method, 99.9, 0.1)).ToList();
            for (int at = 0; at < values.Length;)
            {
                int n = Math.Min(random.Next(0, 97), values.Length - at);
                parts[random.Next(4)].Observe(values.AsSpan(at, n));
                at += n;
            }
            foreach (var part in parts.Skip(1).OrderBy(_ => random.Next())) parts[0].Merge(part);
            CollectionAssert.AreEqual(BytesOf(whole), BytesOf(parts[0]));
        }
    }

    [TestMethod]
    public void AMergedMovingAverageGoesOnWhereTheFirstEnded()
    {
        var whole = ActivationObserver.Create(CalibrationMethod.MovingAverage, 99, 0.2);
        var parts = Enumerable.Range(0, 3).Select(_ => ActivationObserver.Create(CalibrationMethod.MovingAverage, 99, 0.2)).ToList();
        for (int batch = 0; batch < 30; batch++)
        {
            float[] values = [-batch, batch * batch, 1];
            whole.Observe(values);
            parts[batch / 20].Observe(values); // the third sees nothing
        }
        parts[0].Merge(parts[1]);
        parts[0].Merge(parts[2]);
        Assert.AreEqual(whole.Range().Min, parts[0].Range().Min, 1e-4f);
        Assert.AreEqual(whole.Range().Max, parts[0].Range().Max, 1e-3f);
    }

    [TestMethod]
    [DataRow(0f)]
    [DataRow(-0f)]
    [DataRow(3.5f)]
    [DataRow(-1e-44f)]
    [DataRow(float.MaxValue)]
    [DataRow(float.MinValue)]
    public void AConstantIsItsOwnRange(float value)
    {
        foreach (var method in Enum.GetValues<CalibrationMethod>())
        {
            var observer = ActivationObserver.Create(method, 99.999, 0.01);
            for (int i = 1; i < 50; i++) observer.Observe(Enumerable.Repeat(value, i).ToArray());
            Assert.AreEqual((value, value), observer.Range());
            Assert.AreEqual(0, observer.ClippedShare() ?? 0);
        }
    }

    [TestMethod]
    public void APercentileIsRightToABinAndKeepsToTheDataAndToBoundedMemory()
    {
        float[] values = Hostile(300_000), sorted = [.. values.Order()];
        foreach (double percentile in new[] { 50, 99, 99.9, 99.999, 100 })
        {
            var observer = ActivationObserver.Create(CalibrationMethod.Percentile, percentile, 0.1);
            foreach (float[] batch in values.Chunk(1009)) observer.Observe(batch);
            var (min, max) = observer.Range();
            int cut = (int)Math.Floor(values.Length * ((100 - percentile) / 200));
            AssertWithinABin(sorted[cut], min);
            AssertWithinABin(sorted[^(cut + 1)], max);
            Assert.IsTrue(min >= sorted[0] && max <= sorted[^1]);
            // What is clipped lies outside; a bin that the range cuts through counts as inside.
            Assert.IsLessThanOrEqualTo(sorted.Count(v => v < min || v > max) / (double)values.Length, observer.ClippedShare()!.Value);
            Assert.IsLessThan(65536 * 10 + 64, BytesOf(observer).Length);
        }

        static void AssertWithinABin(float expected, float found) => Assert.IsTrue(MathF.Abs(expected - found) <= MathF.Abs(expected) / 64 + 1e-38f, $"{expected} and {found}");
    }

    /// <summary>All magnitudes, both signs, zeros and denormals among them.</summary>
    private static float[] Hostile(int count)
    {
        var random = new Random(6);
        return [.. Enumerable.Range(0, count).Select(i => i % 50 == 0 ? 0 : (random.NextSingle() - 0.5f) * MathF.Pow(2, random.Next(-140, 120)))];
    }

    private static byte[] BytesOf(ActivationObserver observer)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        observer.Write(writer);
        writer.Flush();
        return stream.ToArray();
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
