using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Operators on codes, against the plain definitions: every type, every granularity of scales and zero points.</summary>
[TestClass]
public sealed class CodeOperatorTests
{
    [TestMethod]
    public void QuantizeAndDequantizeInEveryForm()
    {
        var random = new Random(31);
        for (int i = 0; i < 400; i++)
        {
            int most = random.Next(2) == 0 ? 5 : 40, rank = most == 5 ? random.Next(1, 5) : random.Next(1, 3);
            int[] dims = [.. Enumerable.Range(0, rank).Select(_ => random.Next(12) == 0 ? 0 : random.Next(1, most))];
            switch (i % 5)
            {
                case 0: Check<byte>(random, dims); break;
                case 1: Check<sbyte>(random, dims); break;
                case 2: Check<ushort>(random, dims); break;
                case 3: Check<short>(random, dims); break;
                default: CheckWide(random, dims); break;
            }
        }
    }

    private static void Check<T>(Random random, int[] dims) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        var (nodeOf, scaleDims, scaleOf) = Form(random, dims);
        int scaleCount = OneNode.Count(scaleDims);
        var scale = Tensor.Create([.. Enumerable.Range(0, scaleCount).Select(_ => 0.001f + random.NextSingle())], scaleDims);
        bool hasZero = typeof(T) != typeof(byte) || random.Next(2) == 0;
        Tensor[] zero = hasZero ? [Tensor.Create([.. Enumerable.Range(0, scaleCount).Select(_ => T.CreateTruncating(random.Next()))], scaleDims)] : [];
        int ZeroOf(int e) => hasZero ? int.CreateChecked(zero[0].Span<T>()[scaleOf(e)]) : 0;
        float[] hostile = [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 3e9f, -3e9f, -0f];
        var x = Tensor.Create([.. Enumerable.Range(0, OneNode.Count(dims)).Select(_ => random.Next(8) == 0 ? hostile[random.Next(hostile.Length)] : (random.NextSingle() - 0.5f) * 400)], dims);
        var grid = new CodeGrid(int.CreateChecked(T.MinValue), int.CreateChecked(T.MaxValue));
        string what = $"{typeof(T).Name} [{string.Join(',', dims)}] scale [{string.Join(',', scaleDims)}]";

        var q = OneNode.Run(nodeOf("QuantizeLinear", hasZero), [x, scale, .. zero]);
        T[] codes = [.. Enumerable.Range(0, x.Count).Select(e => T.CreateChecked(Quantizer.Code(x.Span<float>()[e], new(scale.Span<float>()[scaleOf(e)], ZeroOf(e)), grid)))];
        CollectionAssert.AreEqual(dims, q.Dims, what);
        CollectionAssert.AreEqual(codes, q.Span<T>().ToArray(), what);

        float[] values = [.. codes.Select((c, e) => scale.Span<float>()[scaleOf(e)] * (int.CreateChecked(c) - ZeroOf(e)))];
        CollectionAssert.AreEqual(values, OneNode.Run(nodeOf("DequantizeLinear", hasZero), [q, scale, .. zero]).Span<float>().ToArray(), what);
    }

    /// <summary>int32, which is dequantized only: a bias.</summary>
    private static void CheckWide(Random random, int[] dims)
    {
        var (nodeOf, scaleDims, scaleOf) = Form(random, dims);
        var scale = Tensor.Create([.. Enumerable.Range(0, OneNode.Count(scaleDims)).Select(_ => random.NextSingle())], scaleDims);
        var q = Tensor.Create([.. Enumerable.Range(0, OneNode.Count(dims)).Select(_ => random.Next(int.MinValue, int.MaxValue))], dims);
        float[] values = [.. q.Span<int>().ToArray().Select((c, e) => scale.Span<float>()[scaleOf(e)] * c)];
        CollectionAssert.AreEqual(values, OneNode.Run(nodeOf("DequantizeLinear", false), [q, scale]).Span<float>().ToArray());
    }

    /// <summary>One scale, one in a vector, one an index along an axis, or blocks: the node, the extents of scale and zero point, and which of them an element has.</summary>
    private static (Func<string, bool, Node> Node, int[] ScaleDims, Func<int, int> ScaleOf) Form(Random random, int[] dims)
    {
        int form = random.Next(4), axis = random.Next(dims.Length), block = form == 3 ? random.Next(1, 5) : 0;
        int inner = OneNode.Count(dims.AsSpan(axis + 1)), extent = dims[axis], steps = block == 0 ? 0 : (extent + block - 1) / block;
        int[] scaleDims = form switch { 0 => [], 1 => [1], 2 => [extent], _ => [.. dims[..axis], steps, .. dims[(axis + 1)..]] };
        var attributes = AttributeMap.Empty.With("axis", (long)(random.Next(2) == 0 ? axis : axis - dims.Length));
        if (block > 0) attributes = attributes.With("block_size", (long)block);
        return ((op, hasZero) => Node.Create("n", op, hasZero ? ["x", "s", "z"] : ["x", "s"], ["y"]) with { Attributes = attributes }, scaleDims, form switch
        {
            2 => e => e / inner % extent,
            3 => e => (((e / (inner * extent) * steps) + (e / inner % extent / block)) * inner) + (e % inner),
            _ => _ => 0,
        });
    }

    [TestMethod]
    [DataRow("per axis, too many", new[] { 2, 3 }, new[] { 4 }, 0L)]
    [DataRow("per axis, a matrix", new[] { 2, 3 }, new[] { 2, 3 }, 0L)]
    [DataRow("blocks, of another rank", new[] { 2, 3 }, new[] { 3 }, 2L)]
    [DataRow("blocks, as many but turned", new[] { 1, 8 }, new[] { 2, 2 }, 2L)]
    [DataRow("blocks of less than nothing", new[] { 2, 3 }, new[] { 3 }, -1L)]
    [DataRow("blocks beyond int", new[] { 2, 3 }, new[] { 2, 3 }, (1L << 40) | 1)]
    public void ScalesThatDoNotFitAreNamed(string what, int[] dims, int[] scaleDims, long block)
    {
        var node = Node.Create("here", "QuantizeLinear", ["x", "s"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", 1L).With("block_size", block) };
        Tensor[] inputs = [Tensor.Create(new float[OneNode.Count(dims)], dims), Tensor.Create(new float[OneNode.Count(scaleDims)], scaleDims)];
        Assert.AreEqual("here", Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(node, inputs), what).NodeName, what);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void IntegerProductsInEveryForm(bool quantized)
    {
        var random = new Random(32);
        for (int i = 0; i < 300; i++)
        {
            bool aSigned = random.Next(2) == 0, bSigned = random.Next(2) == 0, ySigned = random.Next(2) == 0, shared = random.Next(2) == 0;
            int[] outer = random.Next(2) == 0 ? [] : [random.Next(1, 4)];
            int m = random.Next(1, 6), k = random.Next(12) == 0 ? 0 : random.Next(1, 40), n = random.Next(1, 36);
            bool perRow = random.Next(3) == 0, perColumn = random.Next(3) == 0;
            Tensor a = Codes(random, aSigned, [.. outer, m, k]), b = Codes(random, bSigned, shared ? [k, n] : [.. outer, k, n]);
            Tensor za = Codes(random, aSigned, perRow ? [m] : []), zb = Codes(random, bSigned, perColumn ? [n] : []);
            // The kernels need a symmetric B: half of the cases.
            if (random.Next(2) == 0) zb = new(zb.Type, zb.Dims, new byte[zb.Count]);
            Tensor sa = Scales(random, perRow ? [m] : []), sb = Scales(random, perColumn ? [n] : []), sy = Scales(random, []), zy = Codes(random, ySigned, []);
            var node = quantized ? Node.Create("n", "QLinearMatMul", ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"]) : Node.Create("n", "MatMulInteger", ["a", "b", "za", "zb"], ["y"]);
            Tensor[] inputs = quantized ? [a, sa, za, b, sb, zb, sy, zy] : [a, b, za, zb];
            foreach (int[] constant in (int[][])[[], [.. Enumerable.Range(1, inputs.Length - 1)]])
            {
                var y = OneNode.Run(node, inputs, constant, threads: random.Next(1, 3));
                CollectionAssert.AreEqual((int[])[.. outer, m, n], y.Dims);
                string what = $"[{string.Join(',', a.Dims)}] x [{string.Join(',', b.Dims)}], signed {aSigned} {bSigned} {ySigned}, zero points {za.Count} {zb.Count}, {constant.Length} constants";
                for (int e = 0; e < y.Count; e++)
                {
                    int at = e / (m * n), r = e / n % m, c = e % n;
                    long sum = 0;
                    for (int l = 0; l < k; l++)
                        sum += (long)(Code(a, (((at * m) + r) * k) + l) - Code(za, perRow ? r : 0)) * (Code(b, ((((shared ? 0 : at) * k) + l) * n) + c) - Code(zb, perColumn ? c : 0));
                    if (!quantized)
                    {
                        Assert.AreEqual(sum, y.Span<int>()[e], what);
                        continue;
                    }
                    float multiplier = sa.Span<float>()[perRow ? r : 0] * sb.Span<float>()[perColumn ? c : 0] / sy.Span<float>()[0];
                    int zero = Code(zy, 0);
                    var grid = ySigned ? CodeGrid.Int8 : CodeGrid.UInt8;
                    Assert.AreEqual(NaiveInt8.Requantize(sum, multiplier, zero, grid.Min - zero, grid.Max - zero), y.Bytes.Span[e], what);
                }
            }
        }
    }

    [TestMethod]
    public void ClipOfIntegersHoldsItsBounds()
    {
        Check<sbyte>();
        Check<byte>();
        Check<short>();
        Check<ushort>();
        Check<int>();
        Check<uint>();
        Check<long>();
        Check<ulong>();

        static void Check<T>() where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
        {
            T low = T.CreateChecked(3), middle = T.CreateChecked(50), high = T.CreateChecked(100);
            var x = Tensor.Create<T>([T.MinValue, T.Zero, low, middle, high, T.MaxValue], 6);
            var node = Node.Create("n", "Clip", ["x", "low", "high"], ["y"]);
            CollectionAssert.AreEqual((T[])[low, low, low, middle, high, high], OneNode.Run(node, [x, Tensor.Scalar(low), Tensor.Scalar(high)]).Span<T>().ToArray());
            // Bounds that cross: the upper one is applied last.
            CollectionAssert.AreEqual((T[])[low, low, low, low, low, low], OneNode.Run(node, [x, Tensor.Scalar(high), Tensor.Scalar(low)]).Span<T>().ToArray());
        }
    }

    private static Tensor Codes(Random random, bool signed, int[] dims)
    {
        var bytes = new byte[OneNode.Count(dims)];
        random.NextBytes(bytes);
        return new(signed ? ElementType.Int8 : ElementType.UInt8, dims, bytes);
    }

    private static Tensor Scales(Random random, int[] dims) => Tensor.Create([.. Enumerable.Range(0, OneNode.Count(dims)).Select(_ => 0.01f + random.NextSingle())], dims);

    private static int Code(Tensor codes, int index) => codes.Type == ElementType.Int8 ? codes.Span<sbyte>()[index] : codes.Bytes.Span[index];
}
