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
}
