using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>Products of two computed matrices against their definitions, bit for bit, on every kernel and emulated twin, at the edge of memory.</summary>
[TestClass]
public sealed unsafe class PairProductTests
{
    private static readonly (int M, int K, int N)[] s_shapes =
        [(1, 1, 1), (1, 4, 16), (2, 3, 5), (3, 17, 17), (5, 32, 48), (7, 33, 65), (13, 64, 31), (25, 8, 129), (17, 130, 40), (6, 257, 8), (4, 0, 5), (3, 2500, 9)];

    private static IEnumerable<object[]> Names => Int8KernelTests.AllKernels.Select(k => new object[] { k.Name });

    private static Int8Kernel Find(string name) => Int8KernelTests.AllKernels.First(k => k.Name == name);

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void DynamicIsTheDefinition(string kernel)
    {
        var random = new Random(1);
        foreach (var (m, k, n) in s_shapes)
        {
            float[] a = Floats(random, m * k), b = Floats(random, k * n);
            if (k > 2 && n > 4)
            {
                b[(2 * n) + 3] = float.NaN;
                b[n + 4] = float.NegativeInfinity;
                for (int l = 0; l < k; l++) (b[l * n], b[(l * n) + 2]) = (0, 1e-40f * (l % 3));
            }
            if (m > 2 && k > 1) a[(2 * k) + 1] = float.PositiveInfinity;
            float[] expected = new float[m * n];
            for (int i = 0; i < m; i++)
            {
                float[] row = a[(i * k)..((i + 1) * k)];
                float min = Math.Min(0, row.Append(0).Min()), max = Math.Max(0, row.Append(0).Max());
                var (scale, zero) = row.All(float.IsFinite) ? RowQuantizer.ParametersOf(min, max) : (float.NaN, 0);
                for (int j = 0; j < n; j++)
                {
                    float[] column = [.. Enumerable.Range(0, k).Select(l => b[(l * n) + j])];
                    float step = NaiveInt8.SymmetricScale(column.All(float.IsFinite) ? column.Append(0).Max(MathF.Abs) : float.NaN);
                    long sum = 0;
                    if (!float.IsNaN(scale) && !float.IsNaN(step))
                        for (int l = 0; l < k; l++) sum += (long)(Quantizer.Code(row[l], new(scale, zero), CodeGrid.UInt8) - zero) * NaiveInt8.SymmetricCode(column[l], step);
                    expected[(i * n) + j] = NaiveInt8.Scale(sum, scale, step, 0);
                }
            }
            foreach (bool transposed in new[] { false, true })
                Check(new DynamicPair(k, n, Find(kernel)), expected, m, MemoryMarshal.AsBytes(a.AsSpan()), sizeof(float), MemoryMarshal.AsBytes(b.AsSpan()), sizeof(float), transposed);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void StaticIsTheDefinition(string kernel)
    {
        var random = new Random(2);
        foreach (var (m, k, n) in s_shapes)
            foreach (var aType in Enum.GetValues<FactorType>())
                foreach (var bType in Enum.GetValues<FactorType>())
                {
                    AffineParameters a = new(0.031f, random.Next(256)), b = new(0.27f, random.Next(4) == 0 ? 128 : random.Next(256));
                    byte[] aCodes = Codes(random, m * k), bCodes = Codes(random, k * n);
                    float[] expected = new float[m * n];
                    NaiveInt8.Pair(aCodes, a, bCodes, b, m, k, n, expected);
                    var product = new StaticPair(k, n, aType, Given(aType, a), bType, Given(bType, b), Find(kernel));
                    foreach (bool transposed in new[] { false, true }) Check(product, expected, m, Stored(aType, aCodes, a), Size(aType), Stored(bType, bCodes, b), Size(bType), transposed);
                }
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void TheLongestSumsOfExtremesAreExact(string kernel)
    {
        int k = StaticPair.MostK;
        byte[] a = new byte[k], b = new byte[k];
        foreach (var (aCode, aZero, bCode, bZero) in new[] { (255, 0, 255, 0), (0, 255, 0, 255), (255, 0, 0, 255), (0, 255, 255, 0) })
        {
            Array.Fill(a, (byte)aCode);
            Array.Fill(b, (byte)bCode);
            float[] expected = new float[1];
            NaiveInt8.Pair(a, new(1, aZero), b, new(1, bZero), 1, k, 1, expected);
            Check(new StaticPair(k, 1, FactorType.UInt8, new(1, aZero), FactorType.UInt8, new(1, bZero), Find(kernel)), expected, 1, a, 1, b, 1, false);
        }
    }

    [TestMethod]
    public void FloatIsTheSumOfFusedProducts()
    {
        var random = new Random(3);
        foreach (var tier in FloatTier.Supported)
            foreach (var (m, k, n) in s_shapes)
            {
                float[] a = Floats(random, m * k), b = Floats(random, k * n), expected = new float[m * n];
                for (int i = 0; i < m; i++)
                    for (int j = 0; j < n; j++)
                        for (int l = 0; l < k; l++) expected[(i * n) + j] = MathF.FusedMultiplyAdd(a[(i * k) + l], b[(l * n) + j], expected[(i * n) + j]);
                foreach (bool transposed in new[] { false, true })
                    Check(new FloatPair(k, n, tier), expected, m, MemoryMarshal.AsBytes(a.AsSpan()), sizeof(float), MemoryMarshal.AsBytes(b.AsSpan()), sizeof(float), transposed);
            }
    }

    /// <summary>Runs with rows close together and apart, each matrix ending where memory does.</summary>
    private static void Check(PairProduct product, float[] expected, int m, ReadOnlySpan<byte> a, int aSize, ReadOnlySpan<byte> b, int bSize, bool transposed)
    {
        int k = product.K, n = product.N;
        foreach (int gap in new[] { 0, 5 })
        {
            using var left = Matrix(a, m, k, aSize, k + gap, false);
            using var right = Matrix(b, k, n, bSize, (transposed ? k : n) + gap, transposed);
            using var packed = new GuardedMemory<byte>((int)product.PackedBytes);
            using var scratch = new GuardedMemory<byte>((int)product.ScratchBytes(m));
            using var c = new GuardedMemory<float>(m == 0 ? 0 : ((m - 1) * (n + gap)) + n);
            packed.Span.Fill(0xA5);
            c.Span.Fill(-7);
            product.Pack(right.Pointer, (transposed ? k : n) + gap, transposed, packed.Pointer, scratch.Pointer);
            scratch.Span.Fill(0x5A);
            product.Multiply(left.Pointer, k + gap, m, packed.Pointer, c.Pointer, n + gap, scratch.Pointer);
            for (int i = 0; i < m; i++)
            {
                for (int j = 0; j < n; j++)
                    Assert.AreEqual(BitConverter.SingleToInt32Bits(expected[(i * n) + j]), BitConverter.SingleToInt32Bits(Canonical(c.Span[(i * (n + gap)) + j])), $"{m} x {k} x {n}, {(transposed ? "transposed" : "as it is")}, gap {gap}: [{i}, {j}] is {c.Span[(i * (n + gap)) + j]}, expected {expected[(i * n) + j]}");
                if (i + 1 < m) Assert.IsFalse(c.Span.Slice((i * (n + gap)) + n, gap).ContainsAnyExcept(-7), "written between rows");
            }
        }
    }

    /// <summary>Which NaN comes out is not said.</summary>
    private static float Canonical(float value) => float.IsNaN(value) ? float.NaN : value;

    private static GuardedMemory<byte> Matrix(ReadOnlySpan<byte> values, int rows, int columns, int size, int stride, bool transposed)
    {
        int lines = transposed ? columns : rows, length = transposed ? rows : columns;
        var memory = new GuardedMemory<byte>(lines == 0 ? 0 : (((lines - 1) * stride) + length) * size);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                values.Slice(((i * columns) + j) * size, size).CopyTo(memory.Span[((transposed ? (j * stride) + i : (i * stride) + j) * size)..]);
        return memory;
    }

    private static float[] Floats(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];

    private static byte[] Codes(Random random, int count)
    {
        byte[] codes = new byte[count];
        random.NextBytes(codes);
        return codes;
    }

    private static int Size(FactorType type) => type == FactorType.Float ? sizeof(float) : 1;

    /// <summary>u8 codes lie 128 above s8 ones.</summary>
    private static AffineParameters Given(FactorType type, AffineParameters u8) => type == FactorType.Int8 ? u8 with { ZeroPoint = u8.ZeroPoint - 128 } : u8;

    private static byte[] Stored(FactorType type, byte[] codes, AffineParameters u8) => type switch
    {
        FactorType.Float => MemoryMarshal.AsBytes(Array.ConvertAll(codes, c => Quantizer.Value(c, u8)).AsSpan()).ToArray(),
        FactorType.Int8 => Array.ConvertAll(codes, c => (byte)(c ^ 0x80)),
        _ => codes,
    };
}
