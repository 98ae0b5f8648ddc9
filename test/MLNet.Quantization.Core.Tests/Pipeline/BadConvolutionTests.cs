using System.Collections.Immutable;
using Google.Protobuf;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Onnx.Proto;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>A network whose convolution contradicts itself is refused while it is prepared, by an error that names the node.</summary>
[TestClass]
public sealed class BadConvolutionTests
{
    [TestMethod]
    [DataRow("group", 3L, "4 outputs do not fall into 3 groups")]
    [DataRow("group", 0L, "group is 0")]
    [DataRow("group", -2L, "group is -2")]
    [DataRow("group", 2L, "2 channels, expected 4")]
    [DataRow("group", 1L << 32, "group is 4294967296")]
    [DataRow("group", long.MinValue, "group is")]
    [DataRow("auto_pad", "SAME", "auto_pad is 'SAME'")]
    [DataRow("auto_pad", "same_upper", "auto_pad is 'same_upper'")]
    public void Attribute(string name, object value, string expected) => AssertRefused(expected, attributes: AttributeMap.Empty.With(name, value));

    [TestMethod]
    [DataRow("pads", new[] { 1L, 1, 1 }, "pads has 3 elements, expected 4")]
    [DataRow("pads", new[] { long.MinValue, 0, 0, 0 }, "too large")]
    [DataRow("pads", new[] { 0, 0, 0, 1L << 40 }, "too large")]
    [DataRow("strides", new[] { 1L, -1 }, "below 1")]
    [DataRow("strides", new[] { 1L, long.MaxValue }, "too large")]
    [DataRow("dilations", new[] { 1L << 33, 1 }, "too large")]
    [DataRow("dilations", new[] { 1L << 20, 1 }, "reaches over 2097153 elements of spatial axis 0")]
    [DataRow("kernel_shape", new[] { -3L, 3 }, "not that of its weights")]
    public void Lists(string name, long[] value, string expected) => AssertRefused(expected, attributes: AttributeMap.Empty.With(name, value.ToImmutableArray()));

    /// <summary>Padding that follows from the window is as large as the window reaches.</summary>
    [TestMethod]
    [DataRow("Conv", "SAME_UPPER", int.MaxValue / 4)]
    [DataRow("Conv", "SAME_LOWER", int.MaxValue / 4)]
    [DataRow("ConvTranspose", "SAME_UPPER", int.MaxValue / 4)]
    [DataRow("ConvTranspose", "SAME_LOWER", int.MaxValue / 4)]
    public void PaddingBeyondWhatIsIndexed(string type, string pad, long dilation)
    {
        var attributes = AttributeMap.Empty.With("auto_pad", pad).With("dilations", ImmutableArray.Create(dilation, 1));
        AssertRefused("spatial axis 0", attributes, type == "Conv" ? [4, 2, 9, 3] : [2, 4, 9, 3], type: type);
    }

    /// <summary>Extents that can be counted, of which an image with its padding would be more than memory is addressed by.</summary>
    [TestMethod]
    public void AnImageThatCannotBePadded()
    {
        var attributes = AttributeMap.Empty.With("auto_pad", "SAME_UPPER").With("dilations", ImmutableArray.Create(1L << 27, 1));
        var network = QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(Network(attributes, [4, 2, 3, 3], 8))).Compile();
        StringAssert.Contains(Assert.ThrowsExactly<UnsupportedOperatorException>(() => network.Rent([1, 2, 8, 8])).Message, "'features'");
    }

    /// <summary>Groups are checked where the input's shape is not known, and before anything folds into the layer.</summary>
    [TestMethod]
    [DataRow("Conv", 0L)]
    [DataRow("Conv", 1L << 32)]
    [DataRow("Conv", 3L)]
    [DataRow("ConvTranspose", 0L)]
    [DataRow("ConvTranspose", 3L)]
    [DataRow("ConvTranspose", (1L << 32) + 1)]
    public void GroupsOfAnInputOfUnknownShape(string type, long group)
    {
        var network = Network(AttributeMap.Empty.With("group", group), type == "Conv" ? [4, 2, 3, 3] : [2, 4, 3, 3], 8, type);
        network = network with { Inputs = [new("x", ElementType.Float, null)] };
        StringAssert.Contains(Assert.Throws<QuantizationException>(() => PreparedModel.Prepare(network)).Message, "'features'");
        // As the pass meets it, should nothing have looked before.
        Assert.AreSame(network, FoldNormalization.Apply(network));
    }

    [TestMethod]
    [DataRow(new[] { 4, 3, 3, 3 }, "2 channels, expected 3")]
    [DataRow(new[] { 4, 2, 9, 3 }, "reaches over 9 elements of spatial axis 0, the padded input has 8")]
    [DataRow(new[] { 4, 2, 3 }, "differ in rank")]
    [DataRow(new[] { 4, 2 }, "expected [outputs, channels of a group, kernel...]")]
    [DataRow(new[] { 4, 2, 3, 0 }, "below 1")]
    [DataRow(new[] { 5, 2, 3, 3 }, "bias")]
    public void Weights(int[] dims, string expected) => AssertRefused(expected, weights: dims);

    [TestMethod]
    [DataRow(1L << 40)]
    [DataRow(long.MaxValue)]
    public void AnExtentBeyondWhatIsIndexed(long extent) => AssertRefused($"{extent}", height: extent);

    /// <summary>A kernel as large as its padded input is the largest that fits.</summary>
    [TestMethod]
    public void TheLargestKernelFits() => PreparedModel.Prepare(Network(AttributeMap.Empty.With("pads", ImmutableArray.Create(1L, 1, 1, 1)), [4, 2, 10, 10], 8));

    [TestMethod]
    [DataRow(-4L)]
    [DataRow(1L << 62)]
    [DataRow(long.MinValue)]
    public void WeightsOfAnExtentThatCannotBe(long extent)
    {
        var file = ModelProto.Parser.ParseFrom(OnnxWriter.Write(Network(AttributeMap.Empty, [4, 2, 3, 3], 8)));
        file.Graph.Initializer.Single(t => t.Name == "w").Dims[0] = extent;
        byte[] bytes = file.ToByteArray();
        var error = Assert.ThrowsExactly<ModelFormatException>(() => OnnxReader.Read(bytes));
        Assert.AreEqual("w", error.TensorName);
    }

    private static void AssertRefused(string expected, AttributeMap? attributes = null, int[]? weights = null, long height = 8, string type = "Conv")
    {
        var error = Assert.Throws<QuantizationException>(() => PreparedModel.Prepare(Network(attributes ?? AttributeMap.Empty, weights ?? [4, 2, 3, 3], height, type)));
        StringAssert.Contains(error.Message, "'features'");
        StringAssert.Contains(error.Message, expected);
    }

    /// <summary>x [N, 2, height, 8], one convolution with a bias of 4, and what follows it in a network.</summary>
    private static ModelGraph Network(AttributeMap attributes, int[] weights, long height, string type = "Conv")
    {
        int count = weights.Aggregate(1, (p, d) => p * d);
        return new()
        {
            Inputs = [new("x", ElementType.Float, new(new Dimension("N"), 2, height, 8))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes = [Node.Create("features", type, ["x", "w", "b"], ["c"]) with { Attributes = attributes }, Node.Create("relu", "Relu", ["c"], ["r"]), Node.Create("mean", "GlobalAveragePool", ["r"], ["y"])],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("w", Tensor.Create([.. Enumerable.Range(0, count).Select(i => MathF.Sin(i))], weights)).Add("b", Tensor.Create([1f, 2, 3, 4], 4)),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };
    }
}
