using System.Runtime.InteropServices;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Benchmarks;

/// <summary>A shared model in float and in static INT8, calibrated on seeded noise: speed does not depend on what the numbers are.</summary>
internal sealed class ModelCase
{
    private const int CalibrationRows = 4;

    public ModelCase(string path)
    {
        Model = PreparedModel.Prepare(OnnxReader.ReadFile(path));
        var session = new CalibrationSession(Model, CalibrationOptions.Default);
        for (int row = 0; row < CalibrationRows; row++)
        {
            using var run = session.Program.Rent([.. ShapesOf(Model.Graph, 1)]);
            Fill(Model.Graph, run, row);
            session.Observe(run, row);
        }
        Quantized = QuantizationRecipe.QuantizeStatic(Model, session.Finish());
        Program = Quantized.Compile();
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

    private static IEnumerable<int[]> ShapesOf(ModelGraph graph, int batch) => graph.Inputs.Select(i => i.Shape!.Select((d, axis) => d.IsKnown ? (int)d.Value : OpenExtent(axis, batch)).ToArray());

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
                foreach (ref int v in run.Input<int>(i)) v = random.Next(257);
            else random.NextBytes(MemoryMarshal.AsBytes(run.Input<byte>(i)));
        }
    }
}
