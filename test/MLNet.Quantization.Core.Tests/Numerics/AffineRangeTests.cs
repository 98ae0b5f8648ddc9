using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Tests.Numerics;

[TestClass]
public sealed class AffineRangeTests
{
    [TestMethod]
    [DataRow(-1f, 3f, QuantizationScheme.Asymmetric, 4f / 255, 64)]
    [DataRow(0f, 255f, QuantizationScheme.Asymmetric, 1f, 0)]
    [DataRow(1f, 255f, QuantizationScheme.Asymmetric, 1f, 0)] // widened to hold 0
    [DataRow(-255f, -1f, QuantizationScheme.Asymmetric, 1f, 255)]
    [DataRow(-1f, 127f, QuantizationScheme.Symmetric, 1f, 128)]
    [DataRow(0f, 0f, QuantizationScheme.Asymmetric, 1f, 0)]
    [DataRow(0f, 0f, QuantizationScheme.Symmetric, 1f, 128)]
    public void ParametersOfU8(float min, float max, QuantizationScheme scheme, float scale, int zeroPoint) =>
        Assert.AreEqual(new AffineParameters(scale, zeroPoint), AffineRange.FromRange(min, max, CodeGrid.UInt8, scheme, out _));

    [TestMethod]
    public void ParametersOfS8()
    {
        Assert.AreEqual(new AffineParameters(1, 0), AffineRange.FromRange(-127, 3, CodeGrid.Int8, QuantizationScheme.Symmetric, out _));
        Assert.AreEqual(new AffineParameters(1, -128), AffineRange.FromRange(0, 255, CodeGrid.Int8, QuantizationScheme.Asymmetric, out _));
        Assert.AreEqual(new AffineParameters(1, 0), AffineRange.FromRange(-7, 7, CodeGrid.ForBits(4, narrow: true), QuantizationScheme.Symmetric, out _));
    }

    [TestMethod]
    public void ZeroIsAlwaysExact()
    {
        var random = new Random(1);
        for (int i = 0; i < 10000; i++)
        {
            float a = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-30, 30))), b = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-30, 30)));
            foreach (var scheme in Enum.GetValues<QuantizationScheme>())
                foreach (var grid in new[] { CodeGrid.Int8, CodeGrid.UInt8, CodeGrid.Int8Narrow, CodeGrid.ForBits(4, false) })
                {
                    var p = AffineRange.FromRange(Math.Min(a, b), Math.Max(a, b), grid, scheme, out _);
                    Assert.AreEqual(0f, Quantizer.Value(Quantizer.Code(0, p, grid), p));
                    Assert.IsTrue(p.ZeroPoint >= grid.Min && p.ZeroPoint <= grid.Max && p.Scale > 0 && float.IsFinite(p.Scale), $"{a} {b} {scheme} {grid}: {p}");
                }
        }
    }

    [TestMethod]
    public void EveryValueOfTheRangeComesBackWithinHalfAStep()
    {
        var p = AffineRange.FromRange(-0.3f, 1.7f, CodeGrid.UInt8, QuantizationScheme.Asymmetric, out var adjustment);
        Assert.AreEqual(RangeAdjustment.None, adjustment);
        for (float x = -0.3f; x <= 1.7f; x += 0.001f)
            Assert.IsTrue(Math.Abs(Quantizer.Value(Quantizer.Code(x, p, CodeGrid.UInt8), p) - x) <= p.Scale * 0.501f, $"{x}");
    }

    [TestMethod]
    public void TinyRangesAreFlooredAndSaySo()
    {
        var p = AffineRange.FromRange(-1e-30f, 1e-30f, CodeGrid.Int8, QuantizationScheme.Symmetric, out var adjustment);
        Assert.AreEqual(RangeAdjustment.Floored, adjustment);
        Assert.AreEqual((float)AffineRange.LeastScale, p.Scale);
        AffineRange.FromRange(0, 0, CodeGrid.Int8, QuantizationScheme.Symmetric, out adjustment);
        Assert.AreEqual(RangeAdjustment.AllZero, adjustment);
    }

    [TestMethod]
    public void TheWidestRangeHasAFiniteScale() =>
        Assert.IsTrue(float.IsFinite(AffineRange.FromRange(-float.MaxValue, float.MaxValue, CodeGrid.UInt8, QuantizationScheme.Asymmetric, out _).Scale));

    [TestMethod]
    [DataRow(float.NaN, 1f)]
    [DataRow(0f, float.PositiveInfinity)]
    [DataRow(2f, 1f)]
    public void WhatIsNoRangeIsRefused(float min, float max) =>
        Assert.ThrowsExactly<ArgumentException>(() => AffineRange.FromRange(min, max, CodeGrid.UInt8, QuantizationScheme.Asymmetric, out _));
}
