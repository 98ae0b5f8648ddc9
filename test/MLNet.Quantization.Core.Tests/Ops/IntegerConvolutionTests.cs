using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>ConvInteger and QLinearConv as operators of their own: the float convolution of the same small integers is exact.</summary>
[TestClass]
public class IntegerConvolutionTests
{
    private static IEnumerable<(int[] X, int[] W, AttributeMap Attributes)> Cases =>
    [
        ([2, 3, 9], [5, 3, 4], Window([2], [1, 2], [3])),
        ([2, 6, 7, 5], [4, 3, 3, 2], Window([2, 1], [1, 0, 2, 1], [1, 2]).With("group", 2)),
        ([1, 4, 6, 6], [4, 1, 3, 3], AttributeMap.Empty.With("auto_pad", "SAME_UPPER").With("group", 4)),
        ([1, 2, 3, 4, 5], [3, 2, 2, 1, 3], Window([1, 2, 1], [1, 0, 1, 0, 0, 1], [1, 1, 1])),
        ([0, 2, 5], [3, 2, 2], AttributeMap.Empty),
        ([1, 1, 1], [1, 1, 1], AttributeMap.Empty),
        ([1, 67, 4, 3], [13, 67, 1, 1], AttributeMap.Empty),
    ];

    [TestMethod]
    [DataRow(false, false)]
    [DataRow(false, true)]
    [DataRow(true, true)]
    [DataRow(true, false)]
    public void SumsAreThoseOfTheFloatConvolution(bool xSigned, bool wSigned)
    {
        foreach (var (dims, kernel, attributes) in Cases)
            foreach (bool perChannel in new[] { false, true })
            {
                Tensor x = Codes(1, xSigned, dims), w = Codes(2, wSigned, kernel), zx = Zero(xSigned, 77), zw = perChannel ? Codes(3, wSigned, kernel[0]) : Zero(wSigned, 5);
                var expected = Float(attributes, Reals(x, zx), Reals(w, zw));
                var found = OneNode.Run(new("n", "ConvInteger", ["x", "w", "zx", "zw"], ["y"]) { Attributes = attributes }, [x, w, zx, zw]);
                Assert.AreEqual(ElementType.Int32, found.Type);
                CollectionAssert.AreEqual(expected.Dims, found.Dims);
                CollectionAssert.AreEqual(Array.ConvertAll(expected.Span<float>().ToArray(), v => (int)v), found.Span<int>().ToArray());
            }
    }

    [TestMethod]
    public void OmittedZeroPointsAreZero()
    {
        Tensor x = Codes(1, false, 1, 2, 5), w = Codes(2, true, 3, 2, 2);
        var expected = Float(AttributeMap.Empty, Reals(x, Zero(false, 0)), Reals(w, Zero(true, 128)));
        var found = OneNode.Run(new("n", "ConvInteger", ["x", "w"], ["y"]), [x, w]);
        CollectionAssert.AreEqual(Array.ConvertAll(expected.Span<float>().ToArray(), v => (int)v), found.Span<int>().ToArray());
    }

    [TestMethod]
    [DataRow(false, false)]
    [DataRow(false, true)]
    [DataRow(true, true)]
    public void CodesAreRoundedThenMovedThenSaturated(bool xSigned, bool wSigned)
    {
        const float sx = 0.013f, sy = 0.9f;
        foreach (var (dims, kernel, attributes) in Cases)
            foreach (bool biased in new[] { false, true })
            {
                int outputs = kernel[0];
                Tensor x = Codes(1, xSigned, dims), w = Codes(2, wSigned, kernel), zx = Zero(xSigned, 77), zw = Codes(3, wSigned, outputs), zy = Zero(xSigned, 31);
                float[] scales = [.. Enumerable.Range(0, outputs).Select(i => 0.004f + (0.001f * i))];
                int[] bias = [.. Enumerable.Range(0, outputs).Select(i => biased ? (i * 1000) - 2500 : 0)];
                Tensor[] inputs = [x, Tensor.Scalar(sx), zx, w, Tensor.Create(scales, outputs), zw, Tensor.Scalar(sy), zy, Tensor.Create(bias, outputs)];
                string[] names = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"];
                int given = biased ? 9 : 8;
                var found = OneNode.Run(new("n", "QLinearConv", [.. names.Take(given)], ["y"]) { Attributes = attributes }, inputs[..given]);
                var sums = Float(attributes, Reals(x, zx), Reals(w, zw));
                CollectionAssert.AreEqual(sums.Dims, found.Dims);
                int plane = sums.Dims.Skip(2).Aggregate(1, (a, b) => a * b), zero = xSigned ? 31 - 128 : 31;
                for (int i = 0; i < sums.Count; i++)
                {
                    int channel = i / plane % outputs;
                    float real = (sums.Span<float>()[i] + bias[channel]) * (sx * scales[channel] / sy);
                    double code = Math.Clamp(Math.Round(real) + zero, xSigned ? -128 : 0, xSigned ? 127 : 255);
                    Assert.AreEqual(code, xSigned ? found.Span<sbyte>()[i] : found.Span<byte>()[i]);
                }
            }
    }

    [TestMethod]
    [DataRow(2, "a zero point has another type")]
    [DataRow(1, "expected one value")]
    [DataRow(4, "one for each of 3 outputs")]
    [DataRow(8, "the bias has shape")]
    [DataRow(3, "the input has 2 channels")]
    public void WhatDoesNotFitIsRefusedByName(int input, string message)
    {
        Tensor[] inputs =
        [
            Codes(1, false, 1, 2, 5), Tensor.Scalar(1f), Zero(false, 0), Codes(2, true, 3, 2, 2), Tensor.Create([1f, 1f, 1f], 3), Tensor.Create(new sbyte[3], 3), Tensor.Scalar(1f), Zero(false, 0),
            Tensor.Create(new int[3], 3),
        ];
        inputs[input] = input switch { 2 => Zero(true, 0), 1 => Tensor.Create([1f, 1f], 2), 4 => Tensor.Create([1f, 1f], 2), 8 => Tensor.Create(new int[4], 4), _ => Codes(2, true, 3, 4, 2) };
        var node = new Node("conv 1", "QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"], ["y"]);
        var error = Assert.Throws<ModelFormatException>(() => OneNode.Run(node, inputs));
        StringAssert.Contains(error.Message, message);
        StringAssert.Contains(error.Message, "conv 1");
    }

    private static AttributeMap Window(long[] strides, long[] pads, long[] dilations) =>
        AttributeMap.Empty.With("strides", strides.ToImmutableArray()).With("pads", pads.ToImmutableArray()).With("dilations", dilations.ToImmutableArray());

    private static Tensor Codes(int seed, bool signed, params int[] dims)
    {
        byte[] codes = new byte[OneNode.Count(dims)];
        new Random(seed).NextBytes(codes);
        return new(signed ? ElementType.Int8 : ElementType.UInt8, dims, codes);
    }

    /// <summary>s8: 128 lower.</summary>
    private static Tensor Zero(bool signed, int zero) => signed ? Tensor.Scalar((sbyte)(zero - 128)) : Tensor.Scalar((byte)zero);

    /// <summary>Codes less their zero points, of which there is one or one for each index of the first axis.</summary>
    private static Tensor Reals(Tensor codes, Tensor zeros)
    {
        int inner = codes.Count / Math.Max(1, codes.Dims[0]);
        return Tensor.Create([.. Enumerable.Range(0, codes.Count).Select(i => (float)(At(codes, i) - At(zeros, zeros.Count == 1 ? 0 : i / inner)))], codes.Dims);
    }

    private static int At(Tensor codes, int i) => codes.Type == ElementType.Int8 ? codes.Span<sbyte>()[i] : codes.Span<byte>()[i];

    private static Tensor Float(AttributeMap attributes, Tensor x, Tensor w) => OneNode.Run(new("n", "Conv", ["x", "w"], ["y"]) { Attributes = attributes }, [x, w]);
}
