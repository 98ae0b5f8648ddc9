using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

[TestClass]
public sealed class FloatFunctionTests
{
    /// <summary>Every 997th pattern of bits: all exponents, both signs, NaN and infinity.</summary>
    private static float[] Everything() =>
        [.. Enumerable.Range(0, 4_300_000).Select(i => BitConverter.UInt32BitsToSingle((uint)i * 997)), float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0, -0f, 1, -1];

    [TestMethod]
    public void Exp() => Check(new ExpFunction(), Math.Exp, 1.1);

    [TestMethod]
    public void Log() => Check(new LogFunction(), Math.Log, 1.0);

    [TestMethod]
    public void Tanh() => Check(new TanhFunction(), Math.Tanh, 2.0);

    [TestMethod]
    public void Sigmoid() => Check(new SigmoidFunction(), x => 1 / (1 + Math.Exp(-x)), 2.5);

    [TestMethod]
    public void Erf() => Check(new ErfFunction(), NaiveErf, 1.2);

    /// <summary>2/√π · e^(-x²) · Σ 2^n · x^(2n+1) / (1 · 3 · ... · (2n+1)), all of whose terms have one sign; from 6 on it is ±1 in double.</summary>
    private static double NaiveErf(double x)
    {
        if (double.IsNaN(x) || Math.Abs(x) > 6) return double.IsNaN(x) ? x : Math.Sign(x);
        double term = x, sum = x;
        for (int n = 1; Math.Abs(term) > Math.Abs(sum) * 1e-17; n++) sum += term *= 2 * x * x / (2 * n + 1);
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    [TestMethod]
    public void Relu() => Check(new ReluFunction(), x => x < 0 ? 0 : x, 0);

    [TestMethod]
    public void LeakyRelu() => Check(new LeakyReluFunction(0.25f), x => x < 0 ? 0.25 * x : x, 0.5);

    [TestMethod]
    public void Clip() => Check(new ClipFunction(-2, 3.5f), x => double.IsNaN(x) ? x : Math.Min(Math.Max(x, -2), 3.5), 0);

    [TestMethod]
    public void Round() => Check(new RoundFunction(), Math.Round, 0);

    [TestMethod]
    public void Floor() => Check(new FloorFunction(), Math.Floor, 0);

    [TestMethod]
    public void Ceiling() => Check(new CeilingFunction(), Math.Ceiling, 0);

    [TestMethod]
    public void Sign() => Check(new SignFunction(), x => double.IsNaN(x) ? x : Math.Sign(x), 0);

    [TestMethod]
    public void SinesOfAnyAngle()
    {
        float[] x = Everything();
        foreach (int quarters in (int[])[0, 1])
        {
            var y = new float[x.Length];
            new SineFunction(quarters).Map(x, y);
            foreach (var tier in FloatTier.Supported)
            {
                var other = x.AsSpan().ToArray();
                new SineFunction(quarters).Map(other, other, tier);
                for (int i = 0; i < x.Length; i++)
                    if (Bits(y[i]) != Bits(other[i])) Assert.Fail($"{tier}: f({x[i]:R})");
            }
            Near(x, y, quarters == 0 ? Math.Sin : Math.Cos, 2);
        }
    }

    [TestMethod]
    public void FunctionsInDoubleAreRoundedOnce()
    {
        Rounded(DoubleFunctions.Tan, Math.Tan);
        Rounded(DoubleFunctions.Asin, Math.Asin);
        Rounded(DoubleFunctions.Acos, Math.Acos);
        Rounded(DoubleFunctions.Atan, Math.Atan);
        Rounded(DoubleFunctions.Sinh, Math.Sinh);
        Rounded(DoubleFunctions.Cosh, Math.Cosh);
        Rounded(DoubleFunctions.Asinh, Math.Asinh);
        Rounded(DoubleFunctions.Acosh, Math.Acosh);
        Rounded(DoubleFunctions.Atanh, Math.Atanh);

        static void Rounded(Func<float, double> function, Func<double, double> truth)
        {
            float[] x = [.. Everything().Where((_, i) => i % 3 == 0), float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0, -0f, 1, -1];
            Near(x, Array.ConvertAll(x, v => (float)function(v)), truth, 0.51);
        }
    }

    /// <summary>All tiers agree bit for bit, and lie within <paramref name="ulps"/> units in the last place of the truth.</summary>
    private static void Check<TFunction>(TFunction function, Func<double, double> truth, double ulps) where TFunction : struct, IUnaryFunction
    {
        float[] x = Everything();
        var y = new float[x.Length];
        Elementwise.Map(function, x, y);
        foreach (var tier in FloatTier.Supported)
        {
            var other = new float[x.Length];
            Elementwise.Map(function, x, other, tier);
            int differs = Enumerable.Range(0, x.Length).FirstOrDefault(i => Bits(y[i]) != Bits(other[i]), -1);
            Assert.AreEqual(-1, differs, $"{tier}: f({(differs < 0 ? 0 : x[differs]):R})");
        }
        Near(x, y, truth, ulps);
    }

    private static void Near(float[] x, float[] y, Func<double, double> truth, double ulps)
    {
        double worst = 0, at = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double expected = truth(x[i]);
            if (double.IsNaN(expected) || float.IsInfinity((float)expected) || float.IsInfinity(y[i]))
            {
                Assert.AreEqual((float)expected, y[i], $"f({x[i]:R})");
                continue;
            }
            double ulp = Math.Max(MathF.BitIncrement(Math.Abs((float)expected)) - (double)Math.Abs((float)expected), float.Epsilon);
            double error = Math.Abs(y[i] - expected) / ulp;
            if (error > worst) (worst, at) = (error, x[i]);
        }
        Assert.IsTrue(worst <= ulps, FormattableString.Invariant($"{worst:0.000} units in the last place at {at:R}"));
    }

    private static int Bits(float x) => float.IsNaN(x) ? -1 : BitConverter.SingleToInt32Bits(x);

    [TestMethod]
    public void LengthsThatAreNoMultipleOfAVectorGetTheSameBits()
    {
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, 70).Select(_ => (float)(random.NextDouble() * 8 - 4))];
        var whole = new float[70];
        Elementwise.Map(new TanhFunction(), x, whole);
        foreach (var tier in FloatTier.Supported)
            for (int n = 0; n <= 70; n++)
            {
                var y = new float[n];
                Elementwise.Map(new TanhFunction(), x.AsSpan(0, n), y, tier);
                Assert.IsTrue(y.AsSpan().SequenceEqual(whole.AsSpan(0, n)), $"{tier} {n}");
            }
    }

    [TestMethod]
    public void TwoOperandsOneOfThemRepeated()
    {
        var random = new Random(4);
        foreach (var tier in FloatTier.Supported)
            for (int n = 1; n <= 40; n++)
            {
                float[] x = [.. Enumerable.Range(0, n).Select(_ => (float)random.NextDouble())], y = [.. x.Select(_ => (float)random.NextDouble())];
                var z = new float[n];
                Elementwise.Combine<SubtractFunction>(x, y, z, tier);
                CollectionAssert.AreEqual(x.Zip(y, (a, b) => a - b).ToArray(), z);
                Elementwise.Combine<DivideFunction>(x, y.AsSpan(0, 1), z, tier);
                CollectionAssert.AreEqual(x.Select(a => a / y[0]).ToArray(), z);
                var first = y[0];
                Elementwise.Combine<MultiplyFunction>(y.AsSpan(0, 1), x, x, tier); // in place
                CollectionAssert.AreEqual(z.Select((_, i) => x[i]).ToArray(), x);
                Elementwise.Combine<AddFunction>(y.AsSpan(0, 1), y, y, tier); // in place, and over the repeated one
                Assert.AreEqual(first + first, y[0]);
            }
        Assert.ThrowsExactly<ArgumentException>(() => Elementwise.Combine<AddFunction>(new float[2], new float[3], new float[3]));
        Elementwise.Combine<AddFunction>([], [1], []);
    }

    [TestMethod]
    public void RowsAreCombinedAsEachAlone()
    {
        var random = new Random(4);
        foreach (int n in new[] { 1, 3, 16, 33, 48 })
            foreach (int rows in new[] { 1, 2, 17 })
            {
                float[] x = [.. Enumerable.Range(0, rows * n).Select(_ => random.NextSingle())], y = [.. Enumerable.Range(0, n).Select(_ => random.NextSingle() + 0.5f)], expected = new float[rows * n];
                for (int i = 0; i < expected.Length; i++) expected[i] = x[i] / y[i % n];
                foreach (var tier in FloatTier.Supported)
                {
                    var z = new float[rows * n];
                    Elementwise.CombineRows<DivideFunction>(x, y, z, tier);
                    CollectionAssert.AreEqual(expected, z, $"{rows} rows of {n}, {tier}");
                    x.CopyTo(z, 0);
                    Elementwise.CombineRows<DivideFunction>(z, y, z, tier);
                    CollectionAssert.AreEqual(expected, z, $"{rows} rows of {n} in place, {tier}");
                }
            }
        Assert.ThrowsExactly<ArgumentException>(() => Elementwise.CombineRows<AddFunction>(new float[4], new float[3], new float[4]));
        Elementwise.CombineRows<AddFunction>([], [1], []);
    }

    [TestMethod]
    public unsafe void TheGreatestPixelOfAWindow()
    {
        var random = new Random(6);
        foreach (int channels in new[] { 1, 5, 16, 21, 40 })
            foreach (var (depth, height, width) in new[] { (1, 3, 3), (2, 1, 2), (1, 1, 1), (1, 0, 3) })
            {
                const int Height = 5, Width = 7, Dilation = 2;
                var x = new float[2 * Height * Width * channels];
                for (int i = 0; i < x.Length; i++) x[i] = i % 11 == 0 ? float.NaN : (random.NextSingle() * 2) - 1;
                var expected = new float[channels];
                for (int c = 0; c < channels; c++)
                {
                    expected[c] = float.NegativeInfinity;
                    for (int d = 0; d < depth; d++)
                        for (int h = 0; h < height; h++)
                            for (int w = 0; w < width; w++)
                                if (x[((((d * Height) + (h * Dilation)) * Width) + w) * channels + c] is var at && at > expected[c]) expected[c] = at;
                }
                foreach (var tier in FloatTier.Supported)
                {
                    using var y = new GuardedMemory<float>(channels);
                    fixed (float* px = x, py = y.Span)
                        PixelMaximum.Run(px, new(depth, height, width, (long)Height * Width * channels, (long)Dilation * Width * channels, channels), channels, py, tier);
                    CollectionAssert.AreEqual(expected, y.Span.ToArray(), $"{channels} channels, {tier}");
                }
            }
    }

    [TestMethod]
    public unsafe void ElementsAreTransposed()
    {
        foreach (var (rows, columns) in new[] { (1, 1), (3, 5), (4, 4), (8, 12), (17, 16), (16, 17), (33, 35), (64, 128) })
        {
            int stride = columns + 3;
            using var from = new GuardedMemory<int>(((rows - 1) * stride) + columns);
            using var to = new GuardedMemory<int>(rows * columns);
            for (int i = 0; i < from.Span.Length; i++) from.Span[i] = i;
            fixed (int* f = from.Span, t = to.Span) ElementTranspose.Run(f, rows, columns, stride, t);
            for (int i = 0; i < rows * columns; i++) Assert.AreEqual((i % rows * stride) + (i / rows), to.Span[i], $"{rows} x {columns}, element {i}");
        }
    }

    [TestMethod]
    public void SumsHaveOneOrder()
    {
        var random = new Random(5);
        for (int n = 0; n < 200; n++)
        {
            float[] x = [.. Enumerable.Range(0, n).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(6))))];
            float expected = NaiveSum(x);
            foreach (var tier in FloatTier.Supported)
            {
                Assert.AreEqual(BitConverter.SingleToInt32Bits(expected), BitConverter.SingleToInt32Bits(FloatReductions.Sum(x, tier)), $"{tier} {n}");
                Assert.AreEqual(x.Length == 0 ? float.NegativeInfinity : x.Max(), FloatReductions.Max(x, tier));
            }
        }
    }

    private static float NaiveSum(float[] x)
    {
        if (x.Length == 0) return 0;
        var lanes = Enumerable.Repeat(-0f, 16).ToArray();
        for (int i = 0; i < x.Length; i++) lanes[i % 16] += x[i];
        for (int half = 8; half > 0; half /= 2)
            for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
        return lanes[0];
    }

    /// <summary>Every width gives the bits of plain arithmetic, and those lie near the formula in double.</summary>
    [TestMethod]
    public void ActivationFunctions()
    {
        float[] x = [0, -0f, 1, -1, 0.5f, 3, -3, 5.9f, -2.99f, 20, -20, 88, -88, 200, -200, 1e-8f, -1e-8f, float.PositiveInfinity, float.NegativeInfinity, float.NaN, .. Enumerable.Range(0, 100).Select(i => (i - 50) * 0.17f)];
        Check(new ExponentialLinearFunction(1.5f, 1, 1), v => v > 0 ? v : 1.5 * (Math.Exp(v) - 1));
        Check(new ExponentialLinearFunction(1.67326319f, 1.05070102f, 1), v => 1.05070102f * (v > 0 ? v : 1.67326319f * (Math.Exp(v) - 1)));
        Check(new ExponentialLinearFunction(2, 1, 2), v => v > 0 ? v : 2 * (Math.Exp(v / 2) - 1));
        Check(new SoftplusFunction(), v => Math.Max(v, 0) + Math.Log(1 + Math.Exp(-Math.Abs(v))));
        Check(new MishFunction(), v => double.IsNegativeInfinity(v) ? double.NaN : v * Math.Tanh(Math.Max(v, 0) + Math.Log(1 + Math.Exp(-Math.Abs(v)))));
        Check(new SoftsignFunction(), v => v / (1 + Math.Abs(v)));
        Check(new ThresholdFunction(0.7f), v => v > 0.7f ? v : 0);
        Check(new AbsoluteFunction(), Math.Abs);
        Check(new NegateFunction(), v => -v);
        Check(new HardSigmoidFunction(0.3f, 0.4f), v => Math.Clamp((0.3f * v) + 0.4f, 0, 1));
        Check(new HardSwishFunction(), v => v * Math.Clamp((v / 6) + 0.5, 0, 1));
        Check(new SquareRootFunction(), Math.Sqrt);
        Check(new ReciprocalFunction(), v => 1 / v);

        void Check<TFunction>(TFunction function, Func<double, double> formula) where TFunction : struct, IUnaryFunction
        {
            float[] scalar = new float[x.Length], y = new float[x.Length];
            Elementwise.Map(function, x, scalar, FloatTier.Supported.Last());
            foreach (var tier in FloatTier.Supported)
            {
                Elementwise.Map(function, x, y, tier);
                CollectionAssert.AreEqual(scalar.Select(BitConverter.SingleToInt32Bits).ToArray(), y.Select(BitConverter.SingleToInt32Bits).ToArray(), $"{typeof(TFunction).Name}, {tier}");
            }
            for (int i = 0; i < x.Length; i++)
            {
                double expected = formula(x[i]);
                if (double.IsNaN(expected) || double.IsInfinity(expected)) Assert.AreEqual((float)expected, y[i], $"{typeof(TFunction).Name} of {x[i]}");
                else Assert.AreEqual(expected, y[i], 4e-7 * Math.Max(1, Math.Abs(expected)), $"{typeof(TFunction).Name} of {x[i]}");
            }
        }
    }

    [TestMethod]
    public void SumsOfColumnsAreThoseOfRows()
    {
        var random = new Random(8);
        foreach (var (rows, n) in new[] { (0, 3), (1, 1), (5, 7), (16, 33), (17, 4), (100, 20) })
        {
            float[] x = [.. Enumerable.Range(0, rows * n).Select(_ => random.NextSingle() - 0.4f)], y = new float[n], scratch = new float[16 * n];
            FloatReductions.SumColumns(x, n, y, scratch);
            for (int j = 0; j < n; j++) Assert.AreEqual(FloatReductions.Sum([.. Enumerable.Range(0, rows).Select(i => x[(i * n) + j])]), y[j]);
        }
    }

    [TestMethod]
    public void SoftmaxOfManyRowsIsThatOfEach()
    {
        var random = new Random(4);
        for (int n = 1; n <= 20; n++)
        {
            const int rows = 37;
            float[] x = [.. Enumerable.Range(0, rows * n).Select(i => i % 41 == 0 ? float.NaN : i % 43 == 0 ? float.NegativeInfinity : (random.NextSingle() - 0.5f) * 40)], y = new float[x.Length], each = new float[x.Length];
            FloatReductions.SoftmaxRows(x, n, y);
            for (int r = 0; r < rows; r++) FloatReductions.Softmax(x.AsSpan(r * n, n), each.AsSpan(r * n, n));
            CollectionAssert.AreEqual(each.Select(BitConverter.SingleToInt32Bits).ToArray(), y.Select(BitConverter.SingleToInt32Bits).ToArray(), $"{n}");
            FloatReductions.SoftmaxRows(x, n, x);
            CollectionAssert.AreEqual(each.Select(BitConverter.SingleToInt32Bits).ToArray(), x.Select(BitConverter.SingleToInt32Bits).ToArray(), $"{n}, in place");
        }
    }

    [TestMethod]
    public void SoftmaxOfRows()
    {
        var random = new Random(6);
        foreach (int n in (int[])[1, 2, 10, 17, 1000])
        {
            float[] x = [.. Enumerable.Range(0, n).Select(_ => (float)(random.NextDouble() * 200 - 100))];
            double max = x.Max(), sum = x.Sum(v => Math.Exp(v - max));
            float[] y = new float[n], log = new float[n], scratch = new float[n];
            FloatReductions.Softmax(x, y);
            FloatReductions.LogSoftmax(x, log, scratch);
            for (int i = 0; i < n; i++)
            {
                Assert.AreEqual(Math.Exp(x[i] - max) / sum, y[i], 1e-6);
                Assert.AreEqual(x[i] - max - Math.Log(sum), log[i], 3e-5);
            }
            foreach (var tier in FloatTier.Supported)
            {
                var other = new float[n];
                FloatReductions.Softmax(x, other, tier);
                Assert.IsTrue(other.AsSpan().SequenceEqual(y));
                FloatReductions.LogSoftmax(x, other, scratch, tier);
                Assert.IsTrue(other.AsSpan().SequenceEqual(log));
            }
        }
        var nothing = new float[2];
        FloatReductions.Softmax([float.NaN, 1], nothing);
        Assert.IsTrue(nothing.All(float.IsNaN));
    }

    [TestMethod]
    public void ATierThatIsNotThereIsNamedWithThoseThatAre()
    {
        var e = Assert.ThrowsExactly<PlatformNotSupportedException>(() => FloatTier.Find("mmx"));
        StringAssert.Contains(e.Message, "mmx");
        StringAssert.Contains(e.Message, "scalar");
        StringAssert.Contains(e.Message, FloatTier.Variable);
        foreach (var tier in FloatTier.All)
        {
            if (tier.IsSupported) Assert.AreSame(tier, FloatTier.Find(tier.Name.ToUpperInvariant()));
            else StringAssert.Contains(Assert.ThrowsExactly<PlatformNotSupportedException>(() => FloatTier.Find(tier.Name)).Message, "cannot run here");
        }
    }

    [TestMethod]
    public void NothingPastTheEndIsTouched()
    {
        foreach (var tier in FloatTier.Supported)
            foreach (int n in (int[])[0, 1, 3, 15, 16, 17, 33, 255, 257])
            {
                using var x = new GuardedMemory<float>(n);
                using var y = new GuardedMemory<float>(n);
                using var z = new GuardedMemory<float>(n);
                x.Span.Fill(0.5f);
                Elementwise.Map(new ErfFunction(), x.Span, y.Span, tier);
                Elementwise.Combine<AddFunction>(x.Span, y.Span, z.Span, tier);
                FloatReductions.LogSoftmax(x.Span, y.Span, z.Span, tier);
                FloatReductions.Softmax(x.Span, z.Span, tier);
                if (n > 0) Assert.AreEqual(1f / n, z.Span[n - 1]);
            }
    }
}
