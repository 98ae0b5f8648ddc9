using System.Collections.Immutable;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Quantized;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>The engine's operators on codes against plain definitions, at hostile shapes.</summary>
[TestClass]
public sealed class QuantizedOperatorTests
{
    public static IEnumerable<object[]> Broadcasts =>
    [
        [new[] { 2, 3, 5 }, new[] { 2, 3, 5 }], [new[] { 1 }, new[] { 1 }], [new[] { 0, 4 }, new[] { 0, 4 }], [new[] { 3, 7, 9, 8 }, new[] { 3, 1, 1, 8 }], [new[] { 2, 40, 41, 3 }, new[] { 2, 1, 1, 3 }],
        [new[] { 2, 1, 1, 24 }, new[] { 2, 5, 3, 24 }], [new[] { 4, 6, 700 }, new[] { 700 }], [new[] { 4, 6, 1 }, new[] { 4, 6, 33 }], [new[] { 70000 }, new[] { 1 }], [new[] { 1 }, new[] { 70000 }], [new[] { 5, 1, 4 }, new[] { 3, 1 }],
    ];

    [TestMethod]
    [DynamicData(nameof(Broadcasts))]
    public void SumsAndProductsOfCodes(int[] a, int[] b)
    {
        foreach (bool product in new[] { false, true })
            foreach (var (aType, bType, yType) in new[] { (ElementType.UInt8, ElementType.UInt8, ElementType.UInt8), (ElementType.Int8, ElementType.UInt8, ElementType.Int8), (ElementType.UInt8, ElementType.Int8, ElementType.UInt8) })
            {
                var attributes = AttributeMap.Empty.With("product", product ? 1 : 0).With("a_scale", 0.02f).With("a_zero_point", aType == ElementType.Int8 ? -7 : 90).With("b_scale", 0.013f).With("b_zero_point", 12)
                    .With("output_scale", 0.031f).With("output_zero_point", 5).With("output_signed", yType == ElementType.Int8 ? 1 : 0).With("clamp_min", -20).With("clamp_max", 100);
                if (yType == ElementType.UInt8) attributes = attributes.With("clamp_min", 3).With("clamp_max", 240);
                byte[] x = Random(a, 1), w = Random(b, 2);
                byte[] found = Run(new Node("n", nameof(QuantizedArithmetic), ["a", "b"], ["y"]) { Domain = OperatorSet.EngineDomain, Attributes = attributes }, out int[] dims, (aType, a, x), (bType, b, w));
                var plan = new BroadcastPlan(a, b, dims);
                CodeOperand left = new(0.02f, aType == ElementType.Int8 ? -7 : 90, aType == ElementType.Int8), right = new(0.013f, 12, bType == ElementType.Int8);
                for (int run = 0; run < plan.Runs; run++)
                    for (int i = 0; i < plan.RunLength; i++)
                    {
                        var start = plan.StartOf(run);
                        int p = (x[start.A + (plan.AMoves ? i : 0)] ^ left.Flip) - left.UnsignedZero, q = (w[start.B + (plan.BMoves ? i : 0)] ^ right.Flip) - right.UnsignedZero;
                        double real = product ? (double)p * q * 0.02f * 0.013f : (p * (double)0.02f) + (q * (double)0.013f);
                        double code = Math.Clamp(Math.Round(real / 0.031f), attributes.Get("clamp_min", 0L) - 5, attributes.Get("clamp_max", 0L) - 5) + 5;
                        int y = found[(run * plan.RunLength) + i];
                        if (yType == ElementType.Int8) y = (sbyte)y;
                        double fraction = real / 0.031f - Math.Floor(real / 0.031f);
                        Assert.AreEqual(code, y, Math.Abs(fraction - 0.5) < 1e-3 ? 1 : 0, $"{(product ? "product" : "sum")} of [{string.Join(',', a)}] and [{string.Join(',', b)}]");
                    }
            }
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void PoolsOfCodesAreTheFloatPoolsOfWhatTheyStandFor(bool signed)
    {
        var type = signed ? ElementType.Int8 : ElementType.UInt8;
        int zero = type == ElementType.UInt8 ? 100 : -20;
        foreach (int channels in new[] { 1, 3, 8, 16, 24, 70 })
            foreach (var (dims, attributes) in new (int[], AttributeMap)[]
            {
                ([2, 7, 9, channels], Window([3, 3], [2, 2], [1, 0, 1, 0])), ([1, 5, 6, channels], Window([2, 3], [1, 1], [0, 0, 0, 0]).With("count_include_pad", 1)), ([2, 11, channels], Window([4], [3], [2, 1])),
                ([1, 4, 3, 5, channels], Window([2, 2, 2], [1, 1, 2], [1, 0, 0, 0, 1, 0])), ([3, 6, 6, channels], AttributeMap.Empty.With("global", 1)), ([0, 6, 6, channels], AttributeMap.Empty.With("global", 1)),
                // Windows that leave the line at both ends, one wider than the line, one with pixels between.
                ([1, 3, 12, channels], Window([2, 4], [1, 3], [0, 2, 0, 3])), ([2, 2, channels], Window([4], [1], [2, 2])),
                ([1, 4, 13, channels], Window([2, 3], [1, 2], [0, 1, 0, 2]).With("dilations", ImmutableArray.Create(1L, 2L))),
            })
            {
                byte[] x = Random(dims, channels);
                bool global = attributes.Contains("global");
                int[] first = ChannelsLast.ToFirst(dims);
                float[] real = ToFirst(x, dims).Select(c => 0.05f * ((type == ElementType.Int8 ? (sbyte)c : c) - zero)).ToArray();
                foreach (bool maximum in new[] { false, true })
                {
                    string op = (global ? "Global" : "") + (maximum ? "MaxPool" : "AveragePool");
                    var plain = Node.Create("n", op, ["x"], ["y"]) with { Attributes = attributes.Without("global").Without(maximum ? "count_include_pad" : "global") };
                    float[] expected = RunFloat(plain, first, real);
                    var all = attributes.With("maximum", maximum ? 1 : 0).With("input_scale", 0.05f).With("input_zero_point", zero);
                    var node = new Node("n", nameof(QuantizedPool), ["x"], ["y"]) { Domain = OperatorSet.EngineDomain, Attributes = all };
                    byte[] found = Run(node, out int[] result, (type, dims, x));
                    float[] values = maximum
                        ? [.. ToFirst(found, result).Select(c => 0.05f * ((type == ElementType.Int8 ? (sbyte)c : c) - zero))]
                        : [.. ToFirst(MemoryMarshal.Cast<byte, float>(found).ToArray(), result)];
                    Assert.HasCount(expected.Length, values);
                    for (int i = 0; i < values.Length; i++) Assert.AreEqual(expected[i], values[i], 2e-5, $"{op} of {type} [{string.Join(',', dims)}]");
                    if (maximum) continue;
                    var codes = node with { Attributes = all.With("output_scale", 0.04f).With("output_zero_point", 60).With("clamp_min", 50).With("clamp_max", 250) };
                    byte[] means = ToFirst(Run(codes, out result, (type, dims, x)), result);
                    for (int i = 0; i < means.Length; i++) Assert.AreEqual(Math.Clamp(Math.Round(expected[i] / 0.04) + 60, 50, 250), means[i], 1, "codes of means");
                }
            }
    }

    [TestMethod]
    public void TablesAreReadByTheBitsOfTheCode()
    {
        byte[] table = Random([256], 9);
        foreach (int n in new[] { 0, 1, 63, 64, 65, 1000 })
        {
            byte[] x = Random([n], n), y = new byte[n];
            CodeLookup.Run(table, x, y);
            CollectionAssert.AreEqual(x.Select(c => table[c]).ToArray(), y);
        }
        Assert.ThrowsExactly<ArgumentException>(() => CodeLookup.Run(new byte[255], [], []));
        Assert.ThrowsExactly<ArgumentException>(() => CodeLookup.Run(table, new byte[2], new byte[1]));
    }

    private static AttributeMap Window(long[] kernel, long[] strides, long[] pads) =>
        AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create(kernel)).With("strides", ImmutableArray.Create(strides)).With("pads", ImmutableArray.Create(pads));

    private static byte[] Random(int[] dims, int seed)
    {
        var bytes = new byte[dims.Aggregate(1, (p, d) => p * d)];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>[N, ..., C] to [N, C, ...].</summary>
    private static T[] ToFirst<T>(T[] values, int[] dims)
    {
        int channels = dims[^1], pixels = dims[1..^1].Aggregate(1, (p, d) => p * d);
        var moved = new T[values.Length];
        for (int i = 0; i < values.Length; i++) moved[(((i / (pixels * channels)) * channels) + (i % channels)) * pixels + (i / channels % pixels)] = values[i];
        return moved;
    }

    private static byte[] Run(Node node, out int[] result, params (ElementType Type, int[] Dims, byte[] Codes)[] inputs)
    {
        var y = OneNode.Run(node, [.. inputs.Select(x => new Tensor(x.Type, x.Dims, x.Codes))], threads: 2);
        result = y.Dims;
        return y.Bytes.ToArray();
    }

    private static float[] RunFloat(Node node, int[] dims, float[] values) => OneNode.Run(node, [Tensor.Create(values, dims)]).Span<float>().ToArray();
}
