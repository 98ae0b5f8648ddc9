using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>What the standard's cases do not reach of choices, powers and the places of extrema: broadcasts, edges of the types, NaN, shapes of symbols.</summary>
[TestClass]
public sealed class ElementwiseOperatorTests
{
    [TestMethod]
    public void WhereChoosesAsItsDefinitionDoesUnderAnyBroadcast()
    {
        var random = new Random(31);
        for (int i = 0; i < 200; i++)
        {
            int[] dims = [.. Enumerable.Range(0, random.Next(4)).Select(_ => random.Next(8) == 0 ? 0 : random.Next(1, 7))];
            int[] Thin() => [.. dims.Select(d => random.Next(3) == 0 ? 1 : d).Skip(random.Next(dims.Length + 1))];
            int[] c = Thin(), a = Thin(), b = Thin();
            var condition = Tensor.Create([.. Enumerable.Range(0, OneNode.Count(c)).Select(_ => random.Next(2) == 0)], c);
            Tensor x = OneNode.Floats(random, a), y = OneNode.Floats(random, b);
            var node = Node.Create("n", "Where", ["c", "x", "y"], ["z"]);
            var found = OneNode.Run(node, [condition, x, y], overwrites: random.Next(2) == 0);
            for (int e = 0; e < found.Count; e++)
            {
                float expected = condition.Span<bool>()[OneNode.Source(e, found.Dims, c)] ? x.Span<float>()[OneNode.Source(e, found.Dims, a)] : y.Span<float>()[OneNode.Source(e, found.Dims, b)];
                Assert.AreEqual(expected, found.Span<float>()[e]);
            }
            // The same choice of elements of other sizes.
            Tensor Of<T>(Tensor t, Func<float, T> f) where T : unmanaged => Tensor.Create(Array.ConvertAll(t.Span<float>().ToArray(), v => f(v)), t.Dims);
            CollectionAssert.AreEqual(
                Of(found, v => BitConverter.DoubleToInt64Bits(v)).Span<long>().ToArray(),
                OneNode.Run(node, [condition, Of(x, v => BitConverter.DoubleToInt64Bits(v)), Of(y, v => BitConverter.DoubleToInt64Bits(v))]).Span<long>().ToArray());
            CollectionAssert.AreEqual(Of(found, v => v > 0).Span<bool>().ToArray(), OneNode.Run(node, [condition, Of(x, v => v > 0), Of(y, v => v > 0)]).Span<bool>().ToArray());
        }
    }

    [TestMethod]
    public void PowersAreThoseOfTheBaseLibraryToHalfAUnit()
    {
        float[] values = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0f, -0f, 1, -1, 2, -2, 0.5f, -0.5f, 3, -3, float.Epsilon, float.MaxValue, float.MinValue, 1.0000001f, 0.33333334f, 65, -65, 1e9f, 16777217];
        var random = new Random(32);
        float[] bases = [.. values.SelectMany(v => Enumerable.Repeat(v, values.Length)), .. Enumerable.Range(0, 3000).Select(_ => random.NextSingle() * 4)];
        float[] exponents = [.. Enumerable.Repeat(values, values.Length).SelectMany(v => v), .. Enumerable.Range(0, 3000).Select(_ => (random.NextSingle() - 0.5f) * 60)];
        var found = OneNode.Run(Node.Create("n", "Pow", ["x", "e"], ["y"]), [Tensor.Create(bases, bases.Length), Tensor.Create(exponents, exponents.Length)]).Span<float>();
        for (int i = 0; i < bases.Length; i++)
        {
            double expected = Math.Pow(bases[i], exponents[i]);
            string what = $"{bases[i]:R} ^ {exponents[i]:R} = {found[i]:R}, expected {expected:R}";
            if (double.IsNaN(expected) || double.IsInfinity((float)expected) || (float)expected == 0) Assert.AreEqual((float)expected, found[i], what);
            else Assert.IsTrue(Math.Abs(found[i] - expected) <= 0.501 * (MathF.BitIncrement(MathF.Abs((float)expected)) - MathF.Abs((float)expected)), what);
            Assert.AreEqual(double.IsNegative(expected) && !double.IsNaN(expected), float.IsNegative(found[i]) && !float.IsNaN(found[i]), what);
        }
    }

    [TestMethod]
    public void APowerByOneExponentHasTheBitsOfOneByMany()
    {
        var x = OneNode.Floats(new Random(33), 5, 37);
        var node = Node.Create("n", "Pow", ["x", "e"], ["y"]);
        foreach (float e in (float[])[2, 3, 0.5f, -1, 0, 1.7f])
            CollectionAssert.AreEqual(OneNode.Bits(OneNode.Run(node, [x, Tensor.Create(Enumerable.Repeat(e, x.Count).ToArray(), x.Dims)])), OneNode.Bits(OneNode.Run(node, [x, Tensor.Scalar(e)], [1], overwrites: true)), $"{e}");
    }

    [TestMethod]
    public void IntegerPowersWrapAndAreRefusedForZeroToABelowZero()
    {
        var node = Node.Create("n", "Pow", ["x", "e"], ["y"]);
        CollectionAssert.AreEqual(
            (long[])[1, -1, 1, 0, 0, 1, 2, 0],
            OneNode.Run(node, [Tensor.Create((long[])[3, -1, -1, 2, -2, 0, 2, 0], 8), Tensor.Create((int[])[0, -5, -4, -1, -1, 0, 1, 3], 8)]).Span<long>().ToArray());
        Assert.AreEqual(unchecked((int)3486784401), OneNode.Run(node, [Tensor.Scalar(3), Tensor.Scalar(20L)]).Span<int>()[0]);
        Assert.AreEqual(2, OneNode.Run(node, [Tensor.Scalar(8), Tensor.Scalar(1 / 3f)]).Span<int>()[0]);
        Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(node, [Tensor.Scalar(0), Tensor.Scalar(-1)]));
    }

    [TestMethod]
    [DataRow("ArgMax", false, new long[] { 1, 0, 2, 0 })]
    [DataRow("ArgMax", true, new long[] { 1, 2, 2, 3 })]
    [DataRow("ArgMin", false, new long[] { 1, 3, 0, 0 })]
    [DataRow("ArgMin", true, new long[] { 1, 3, 1, 3 })]
    public void TheBestElementIsTheFirstOrTheLastAndNaNIsBest(string op, bool last, long[] expected)
    {
        float n = float.NaN;
        var x = Tensor.Create<float>([1, n, 9, 2, 7, 7, 7, 6.5f, 3, 3, 4, 3.5f, n, 1, 1, n], 4, 4);
        var node = Node.Create("n", op, ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", -1L).With("keepdims", 0L).With("select_last_index", last ? 1L : 0L) };
        CollectionAssert.AreEqual(expected, OneNode.Run(node, [x]).Span<long>().ToArray());
        Assert.AreEqual(0, OneNode.Run(node, [Tensor.Scalar(n)]).Span<long>()[0]);
        Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(node, [Tensor.Create<float>([], 2, 0)]));
    }

    [TestMethod]
    [DataRow("ReduceSum")]
    [DataRow("ReduceMean")]
    [DataRow("ReduceMax")]
    [DataRow("ReduceMin")]
    [DataRow("ReduceProd")]
    [DataRow("ReduceSumSquare")]
    [DataRow("ReduceL1")]
    [DataRow("ReduceL2")]
    public void IntegersAreReducedAsTheirDefinitionSays(string op)
    {
        var random = new Random(34);
        for (int i = 0; i < 100; i++)
        {
            int[] dims = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Next(1, 6))];
            int axis = random.Next(dims.Length), stride = OneNode.Count(dims.AsSpan(axis + 1));
            long[] x = [.. Enumerable.Range(0, OneNode.Count(dims)).Select(_ => random.NextInt64(-9, 10))];
            var node = Node.Create("n", op, ["x", "axes"], ["y"]);
            var axes = Tensor.Create([(long)axis], 1);
            int opset = op == "ReduceSum" ? 13 : 18;
            long[] found = OneNode.Run(node, [Tensor.Create(x, dims), axes], [1], opset).Span<long>().ToArray();
            int[] narrow = OneNode.Run(node, [Tensor.Create(Array.ConvertAll(x, v => (int)v), dims), axes], [1], opset).Span<int>().ToArray();
            for (int e = 0; e < found.Length; e++)
            {
                long[] row = [.. Enumerable.Range(0, dims[axis]).Select(k => x[(e / stride * stride * dims[axis]) + (e % stride) + (k * stride)])];
                long expected = op switch
                {
                    "ReduceSum" => row.Sum(),
                    "ReduceMean" => row.Sum() / row.Length,
                    "ReduceMax" => row.Max(),
                    "ReduceMin" => row.Min(),
                    "ReduceProd" => row.Aggregate(1L, (p, v) => p * v),
                    "ReduceSumSquare" => row.Sum(v => v * v),
                    "ReduceL1" => row.Sum(Math.Abs),
                    _ => (long)Math.Sqrt(row.Sum(v => v * v)),
                };
                Assert.AreEqual(expected, found[e]);
                Assert.AreEqual((int)expected, narrow[e]);
            }
        }
    }

    [TestMethod]
    public void ALogarithmOfSumsDoesNotOverflowAndKnowsInfinity()
    {
        float i = float.PositiveInfinity, n = float.NaN;
        var x = Tensor.Create<float>([1000, 1000, -1000, -1000, i, 1, -i, -i, i, -i, n, i, n, -i, n, 1], 8, 2);
        var node = Node.Create("n", "ReduceLogSumExp", ["x", "axes"], ["y"]) with { Attributes = AttributeMap.Empty.With("keepdims", 0L) };
        float[] y = OneNode.Run(node, [x, Tensor.Create([1L], 1)], [1]).Span<float>().ToArray();
        Assert.AreEqual(1000.6931f, y[0], 1e-3f);
        Assert.AreEqual(-999.3069f, y[1], 1e-3f);
        CollectionAssert.AreEqual((float[])[i, -i, i, n, n, n], y[2..]);
    }

    [TestMethod]
    public void TheRestOfADivisionHasTheSignThatIsAskedFor()
    {
        int[] numbers = [int.MinValue, int.MaxValue, -7, -3, -1, 1, 2, 7];
        int[] a = [.. numbers.SelectMany(v => Enumerable.Repeat(v, numbers.Length))], b = [.. Enumerable.Repeat(numbers, numbers.Length).SelectMany(v => v)];
        foreach (bool keeps in (bool[])[false, true])
        {
            var node = Node.Create("n", "Mod", ["a", "b"], ["y"]) with { Attributes = AttributeMap.Empty.With("fmod", keeps ? 1L : 0L) };
            int[] found = OneNode.Run(node, [Tensor.Create(a, a.Length), Tensor.Create(b, b.Length)]).Span<int>().ToArray();
            for (int i = 0; i < a.Length; i++)
            {
                long rest = (long)a[i] % b[i];
                if (!keeps && rest != 0 && rest < 0 != b[i] < 0) rest += b[i];
                Assert.AreEqual((int)rest, found[i], $"{a[i]} by {b[i]}");
            }
            Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(node, [Tensor.Scalar(1), Tensor.Scalar(0)]));
        }
        Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(Node.Create("n", "Mod", ["a", "b"], ["y"]), [Tensor.Scalar(1f), Tensor.Scalar(2f)]));
    }

    [TestMethod]
    public void SumsAndMeansOfManyTensorsBroadcastAndGoFromTheFirstOn()
    {
        var random = new Random(35);
        Tensor a = OneNode.Floats(random, 3, 1, 5), b = OneNode.Floats(random, 4, 1), c = OneNode.Floats(random, 1);
        foreach (string op in (string[])["Sum", "Mean"])
        {
            var found = OneNode.Run(Node.Create("n", op, ["a", "b", "c"], ["y"]), [a, b, c]);
            CollectionAssert.AreEqual((int[])[3, 4, 5], found.Dims);
            for (int e = 0; e < found.Count; e++)
            {
                float sum = a.Span<float>()[OneNode.Source(e, found.Dims, a.Dims)] + b.Span<float>()[OneNode.Source(e, found.Dims, b.Dims)] + c.Span<float>()[0];
                Assert.AreEqual(op == "Sum" ? sum : sum / 3, found.Span<float>()[e]);
            }
        }
    }

    [TestMethod]
    public void ShiftsBeyondTheTypeLeaveNothing()
    {
        byte[] x = [255, 255, 255, 255, 1], by = [0, 1, 7, 8, 255];
        foreach (bool left in (bool[])[true, false])
        {
            var node = Node.Create("n", "BitShift", ["x", "by"], ["y"]) with { Attributes = AttributeMap.Empty.With("direction", left ? "LEFT" : "RIGHT") };
            byte[] expected = left ? [255, 254, 128, 0, 0] : [255, 127, 1, 0, 0];
            CollectionAssert.AreEqual(expected, OneNode.Run(node, [Tensor.Create(x, 5), Tensor.Create(by, 5)]).Span<byte>().ToArray());
        }
        Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(Node.Create("n", "BitShift", ["x", "by"], ["y"]), [Tensor.Create(x, 5), Tensor.Create(by, 5)]));
    }

    [TestMethod]
    [DataRow("Sin")]
    [DataRow("Cos")]
    [DataRow("Tan")]
    [DataRow("Atanh")]
    [DataRow("Floor")]
    [DataRow("Sign")]
    [DataRow("Shrink")]
    public void AnElementHasTheSameBitsAtAnyPlaceAndOverItsInput(string op)
    {
        float[] some = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0f, -0f, float.Epsilon, float.MaxValue, 1e30f, -70000, 65536, 1, -1, 0.3f, 3.5f, -2.5f];
        var node = Node.Create("n", op, ["x"], ["y"]);
        int[]? first = null;
        for (int length = some.Length; length <= 3 * some.Length; length++)
        {
            var x = Tensor.Create([.. Enumerable.Range(0, length).Select(i => some[i % some.Length])], length);
            int[] bits = OneNode.Bits(OneNode.Run(node, [x]));
            CollectionAssert.AreEqual(bits, OneNode.Bits(OneNode.Run(node, [x], overwrites: true)));
            first ??= bits;
            for (int i = 0; i < length; i++) Assert.AreEqual(first[i % some.Length], bits[i]);
        }
    }
}
