using System.Collections.Immutable;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Plugin;

/// <summary>State that a model takes and gives is a column on either side: whoever streams hands it back.</summary>
[TestClass]
public sealed class StateTests
{
    private const int Window = 576, StateSize = 256, Rate = 16000;

    private readonly MLContext _mlContext = new(seed: 1);

    private sealed class Frame
    {
        [VectorType(Window)]
        public float[] Sound { get; set; } = new float[Window];

        [VectorType(StateSize)]
        public float[] State { get; set; } = new float[StateSize];

        public long Rate { get; set; } = StateTests.Rate;
    }

    private sealed class Heard
    {
        public float[] Speech { get; set; } = [];

        public float[] Next { get; set; } = [];
    }

    [TestMethod]
    public void APredictionEngineStreamsSoundFrameByFrame()
    {
        string path = SharedData.Model("silero_vad_16k");
        var model = OnnxModel.Load(path).WithInputShape("input", 1, Window).WithInputShape("state", 2, 1, 128);
        model = model.Bind(inputs: [("input", "Sound"), ("state", "State"), ("sr", "Rate")], outputs: [(model.Outputs[0].Name, "Speech"), (model.Outputs[1].Name, "Next")]);
        var transformer = _mlContext.Quantization().QuantizeWeights(model).Fit(_mlContext.Data.LoadFromEnumerable([new Frame()]));
        Assert.IsTrue(transformer.Report.Layers.All(l => l.IsInt8), transformer.Report.ToString());

        var source = OnnxReader.ReadFile(path);
        var program = QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(FixInputShape.Apply(FixInputShape.Apply(source, "input", [1, Window]), "state", [2, 1, 128]))).Compile();
        using var engine = _mlContext.Model.CreatePredictionEngine<Frame, Heard>(transformer);
        using var run = program.Rent([1, Window], [2, 1, 128], []);
        var frame = new Frame();
        float[] state = new float[StateSize];
        var random = new Random(2);
        var seen = new HashSet<float>();
        for (int i = 0; i < 40; i++)
        {
            for (int j = 0; j < Window; j++) frame.Sound[j] = MathF.Sin(j * 0.05f * (1 + (i % 7))) * 0.3f + (random.NextSingle() * 0.02f);
            var heard = engine.Predict(frame);
            frame.Sound.CopyTo(run.Input<float>(0));
            state.CopyTo(run.Input<float>(1));
            run.Input<long>(2)[0] = Rate;
            run.Execute();
            Assert.AreEqual(run.Output<float>(0)[0], heard.Speech[0], $"frame {i}");
            Assert.IsTrue(run.Output<float>(1).SequenceEqual(heard.Next), $"state behind frame {i}");
            run.Output<float>(1).CopyTo(state);
            frame.State = heard.Next;
            seen.Add(heard.Speech[0]);
        }
        Assert.IsGreaterThan(30, seen.Count, "the state has an effect");
    }

    private sealed class Step
    {
        [VectorType(3)]
        public float[] Input { get; set; } = [];

        [VectorType(4)]
        public float[] State { get; set; } = new float[4];
    }

    private sealed class Stepped
    {
        public float[] Next { get; set; } = [];
    }

    /// <summary>A GRU fed step by step ends where the whole sequence ends.</summary>
    [TestMethod]
    public void StepByStepIsTheWholeSequence()
    {
        const int Steps = 9;
        var one = Recurrent(1);
        var all = Recurrent(Steps);
        float[] x = [.. Enumerable.Range(0, Steps * 3).Select(i => MathF.Sin(i))];
        var stepwise = _mlContext.Quantization().QuantizeWeights(one.Bind(inputs: [("x", "Input"), ("h", "State")], outputs: [("last", "Next")])).Fit(_mlContext.Data.LoadFromEnumerable([new Step { Input = new float[3] }]));
        using var engine = _mlContext.Model.CreatePredictionEngine<Step, Stepped>(stepwise);
        float[] state = new float[4];
        for (int t = 0; t < Steps; t++) state = engine.Predict(new Step { Input = x[(3 * t)..((3 * t) + 3)], State = state }).Next;
        var program = QuantizationRecipe.QuantizeDynamic(all.Prepared).Compile();
        using var run = program.Rent([Steps, 1, 3], [1, 1, 4]);
        x.CopyTo(run.Input<float>(0));
        run.Input<float>(1).Clear();
        run.Execute();
        CollectionAssert.AreEqual(run.Output<float>(0).ToArray(), state);
    }

    private static OnnxModel Recurrent(int steps) => new(new ModelGraph
    {
        Name = "state",
        Inputs = [new("x", ElementType.Float, new(steps, 1, 3)), new("h", ElementType.Float, new(1, 1, 4))],
        Outputs = [new("last", ElementType.Float, null)],
        Nodes = [new("gru", "GRU", ["x", "w", "r", "", "", "h"], ["", "last"]) { Attributes = AttributeMap.Empty.With("hidden_size", 4) }],
        Initializers = ImmutableDictionary.CreateRange(StringComparer.Ordinal, [TestModels.Weights("w", 1, 1, 12, 3), TestModels.Weights("r", 2, 1, 12, 4)]),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    });
}
