using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>The same as <see cref="ScoreHashTests"/> for convolutional models.</summary>
[TestClass]
public sealed class ConvolutionalScoreHashTests
{
    private const int Channels = 3, Height = 13, Width = 17;

    /// <summary>Every kind of layer on codes: no shared data is needed.</summary>
    [TestMethod]
    public void SmallNetwork()
    {
        var model = PreparedModel.Prepare(Small());
        var static8 = Static(model, 4);
        HashOf("small convolutional, float", o => Program.Compile(model.Graph, o), model, 9, [1, 4, 9]);
        HashOf("small convolutional, static", static8.Compile, model, 9, [1, 4, 9]);
        HashOf("small convolutional, dynamic", QuantizationRecipe.QuantizeDynamic(model).Compile, model, 9, [1, 4, 9]);
        var lowered = LowerQuantized.Apply(static8.Graph);
        CollectionAssert.AreEquivalent(
            new[] { "CodeTable", "QuantizedArithmetic", "QuantizedConv", "QuantizedLinear", "QuantizedPool" },
            lowered.Nodes.Where(n => n.Domain.Length > 0).Select(n => n.OpType).Distinct().ToArray());
    }

    [TestMethod]
    [DataRow("mnist_cntk_cnn")]
    [DataRow("kws_dscnn")]
    [DataRow("resnet8_cifar10")]
    public void SharedNetwork(string name) => HashShared(name, 4, [1, 3]);

    /// <summary>Too large for an emulator.</summary>
    [TestMethod]
    [DataRow("squeezenet1_1_imagenet")]
    [DataRow("ultraface_rfb320")]
    [DataRow("ppocr_cls_mobilenetv3")]
    [DataRow("magika_v3_3")]
    public void LargeSharedNetwork(string name) => HashShared(name, 3, [1, 3]);

    private static void HashShared(string name, int rows, int[] batches)
    {
        var model = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model(name)));
        HashOf($"{name}, static", Static(model, 2).Compile, model, rows, batches);
    }

    internal static QuantizedModel Static(PreparedModel model, int rows)
    {
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        for (int row = 0; row < rows; row++)
        {
            using var run = session.Program.Rent(ShapeOf(model, 1));
            Fill(run, model, 100 + row, 1);
            session.Observe(run, row);
        }
        return QuantizationRecipe.QuantizeStatic(model, session.Finish());
    }

    internal static void HashOf(string name, Func<ProgramOptions, Program> compile, PreparedModel model, int rows, int[] batches) =>
        ScoreHashTests.HashOfAllForms(
            name, compile, (program, first, count) =>
            {
                using var run = program.Rent(ShapeOf(model, count));
                Fill(run, model, first, count);
                run.Execute();
                return run.Output<float>(0).ToArray();
            }, rows, batches);

    /// <summary>What is open beside the batch is the size of a text line.</summary>
    private static int[] ShapeOf(PreparedModel model, int rows) =>
        [.. model.Graph.Inputs[0].Shape!.Select((d, axis) => axis == 0 ? rows : d.IsKnown ? (int)d.Value : axis == 2 ? 48 : 192)];

    private static void Fill(ProgramRun run, PreparedModel model, int first, int count)
    {
        bool integers = model.Graph.Inputs[0].Type == ElementType.Int32;
        int each = run.Input<int>(0).Length / count;
        for (int row = 0; row < count; row++)
        {
            var random = new Random(first + row);
            for (int i = row * each; i < (row + 1) * each; i++)
                if (integers) run.Input<int>(0)[i] = random.Next(257);
                else run.Input<float>(0)[i] = (random.NextSingle() * 4) - 2;
        }
    }

    private static ModelGraph Small()
    {
        var nodes = new List<Node>();
        var constants = ImmutableDictionary.CreateBuilder<string, Tensor>();
        Conv("c1", "x", "h1", 16, Channels, 3, ("pads", [1, 1, 1, 1]));
        Add("Relu", "h1", "r1");
        Add("MaxPool", "r1", "p1", ("kernel_shape", [2, 2]), ("strides", [2, 2]));
        Conv("c2", "p1", "h2", 16, 1, 3, ("pads", [1, 1, 1, 1]), ("group", [16]));
        Add("HardSwish", "h2", "s2");
        Conv("c3", "s2", "h3", 16, 16, 1);
        nodes.Add(Node.Create("add", "Add", ["p1", "h3"], ["a"]));
        Add("GlobalAveragePool", "a", "g");
        Conv("gate1", "g", "g1", 4, 16, 1);
        Add("Relu", "g1", "g2");
        Conv("gate2", "g2", "g3", 16, 4, 1);
        Add("HardSigmoid", "g3", "g4");
        nodes.Add(Node.Create("mul", "Mul", ["a", "g4"], ["m"]));
        Conv("c4", "m", "h4", 20, 8, 3, ("group", [2]), ("strides", [2, 1]), ("dilations", [1, 2]), ("pads", [0, 2, 1, 2]));
        Conv("c5", "m", "h5", 12, 16, 5, ("strides", [2, 1]), ("pads", [1, 2, 2, 2]));
        nodes.Add(Node.Create("concat", "Concat", ["h4", "h5"], ["j"]) with { Attributes = AttributeMap.Empty.With("axis", 1L) });
        Add("Relu", "j", "rj");
        Add("AveragePool", "rj", "v", ("kernel_shape", [2, 2]));
        Conv("c6", "v", "h6", 40, 32, 2);
        Add("Sigmoid", "h6", "s6");
        Add("GlobalMaxPool", "s6", "q");
        Add("Flatten", "q", "f");
        constants.Add("wd", Values(77, 40, 7));
        constants.Add("bd", Values(78, 7));
        nodes.Add(Node.Create("dense", "Gemm", ["f", "wd", "bd"], ["y"]));
        return new()
        {
            Inputs = [new("x", ElementType.Float, new TensorShape(new Dimension("N"), Channels, Height, Width))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes = [.. nodes],
            Initializers = constants.ToImmutable(),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };

        void Add(string type, string x, string y, params (string Name, long[] Values)[] attributes) =>
            nodes.Add(Node.Create($"{type}_{y}", type, [x], [y]) with { Attributes = attributes.Aggregate(AttributeMap.Empty, With) });

        void Conv(string name, string x, string y, int outputs, int channels, int window, params (string Name, long[] Values)[] attributes)
        {
            constants.Add($"{name}_w", Values(outputs + channels, outputs, channels, window, window));
            constants.Add($"{name}_b", Values(outputs, outputs));
            nodes.Add(Node.Create(name, "Conv", [x, $"{name}_w", $"{name}_b"], [y]) with { Attributes = attributes.Aggregate(AttributeMap.Empty, With) });
        }

        static AttributeMap With(AttributeMap map, (string Name, long[] Values) a) => a.Name == "group" ? map.With(a.Name, a.Values[0]) : map.With(a.Name, ImmutableArray.Create(a.Values));

        static Tensor Values(int seed, params int[] dims)
        {
            var random = new Random(seed);
            int count = dims.Aggregate(1, (p, d) => p * d), sums = Math.Max(1, count / dims[0]);
            return Tensor.Create([.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() - 0.5f) * 4 / MathF.Sqrt(sums))], dims);
        }
    }
}
