using System.Runtime.InteropServices;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Benchmarks;

/// <summary>
/// A shared model, or a generated one, in float and in INT8: static, calibrated on seeded noise, since speed does not depend on what the
/// numbers are; dynamic where dense and recurrent layers are all that it has.
/// </summary>
internal sealed class ModelCase
{
    private const int CalibrationRows = 4;

    /// <summary>Extents of open axes, by symbol: eight letters, four sounds, 32 ms of sound behind their context.</summary>
    private static readonly Dictionary<string, int> Extents = new(StringComparer.Ordinal) { ["T"] = 8, ["U"] = 4, ["sequence"] = 576 };

    /// <summary>Models with dynamic activations beside the generated ones.</summary>
    private static readonly string[] Dynamic = ["g2p_en_lstm", "silero_vad_16k"];

    /// <param name="name">Of the model.</param>
    /// <param name="folder">Where the shared ones are.</param>
    /// <param name="products">Products of two activations in INT8 too.</param>
    public ModelCase(string name, string folder, bool products)
    {
        var weights = new WeightOptions { ActivationProducts = products };
        var generated = GeneratedModels.Find(name);
        var graph = generated ?? OnnxReader.ReadFile(PathOf(name, folder));
        // Its branches depend on these extents: fixed, they are put in place, for the peer too.
        if (name == "silero_vad_16k") graph = FixInputShape.Apply(FixInputShape.Apply(graph, "input", [1, Extents["sequence"]]), "state", [2, 1, 128]);
        Model = PreparedModel.Prepare(graph);
        IsDynamic = generated is not null || Dynamic.Contains(name);
        Quantized = IsDynamic ? QuantizationRecipe.QuantizeDynamic(Model, weights) : Calibrated(weights);
        Program = Quantized.Compile();
    }

    public static string PathOf(string name, string folder) => Path.Combine(folder, name, "model.onnx");

    public bool IsDynamic { get; }

    private QuantizedModel Calibrated(WeightOptions weights)
    {
        var session = new CalibrationSession(Model, CalibrationOptions.Default);
        for (int row = 0; row < CalibrationRows; row++)
        {
            using var run = session.Program.Rent([.. ShapesOf(Model.Graph, 1)]);
            Fill(Model.Graph, run, row);
            session.Observe(run, row);
        }
        return QuantizationRecipe.QuantizeStatic(Model, session.Finish(), weights);
    }

    public PreparedModel Model { get; }

    public QuantizedModel Quantized { get; }

    public Execution.Program Program { get; }

    public ProgramRun Rent(int batch)
    {
        var run = Program.Rent([.. ShapesOf(Model.Graph, batch)]);
        Fill(Model.Graph, run, 9);
        return run;
    }

    private static IEnumerable<int[]> ShapesOf(ModelGraph graph, int batch) => graph.Inputs.Select(i => i.Shape!.Select((d, axis) => d.IsKnown ? (int)d.Value : d.Symbol is { } symbol && Extents.TryGetValue(symbol, out int extent) ? extent : OpenExtent(axis, batch)).ToArray());

    /// <summary>What is open beside the batch is the size of a text line.</summary>
    private static int OpenExtent(int axis, int batch) => axis switch { 2 => 48, 3 => 192, _ => batch };

    private static void Fill(ModelGraph graph, ProgramRun run, int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < graph.Inputs.Length; i++)
        {
            if (graph.Inputs[i].Type == ElementType.Float)
                foreach (ref float v in run.Input<float>(i)) v = (random.NextSingle() * 4) - 2;
            else if (graph.Inputs[i].Type == ElementType.Int32)
                foreach (ref int v in run.Input<int>(i)) v = random.Next(graph.Inputs.Length > 1 ? Extents["T"] : 257);
            else if (graph.Inputs[i].Type == ElementType.Int64)
                run.Input<long>(i).Fill(16000);
            else random.NextBytes(MemoryMarshal.AsBytes(run.Input<byte>(i)));
        }
    }
}
