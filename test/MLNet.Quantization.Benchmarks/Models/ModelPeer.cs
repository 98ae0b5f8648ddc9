using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;

namespace MLNet.Quantization.Benchmarks;

/// <summary>A model in ONNX Runtime at full optimization, inputs and outputs bound once.</summary>
internal sealed class ModelPeer : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunOptions _options = new();
    private readonly string[] _inputNames, _outputNames;
    private readonly OrtValue[] _inputs, _outputs;

    /// <param name="graph">Written as a file first.</param>
    /// <param name="threads">Of one run.</param>
    /// <param name="run">A run of the same model whose inputs are filled: gives values and shapes.</param>
    /// <param name="outputTypes">Of the outputs.</param>
    public ModelPeer(ModelGraph graph, int threads, ProgramRun run, Func<int, ElementType> outputTypes)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        _session = new(OnnxWriter.Write(graph), options);
        _inputNames = [.. graph.Inputs.Select(i => i.Name)];
        _outputNames = [.. graph.Outputs.Select(o => o.Name)];
        _inputs = [.. graph.Inputs.Select((info, i) => Make(info.Type, run.InputShape(i), run.Input<byte>(i)))];
        _outputs = [.. graph.Outputs.Select((_, i) => Make(outputTypes(i), run.OutputShape(i), default))];
    }

    public void Run() => _session.Run(_options, _inputNames, _inputs, _outputNames, _outputs);

    public void Dispose()
    {
        _session.Dispose();
        _options.Dispose();
        foreach (var value in _inputs.Concat(_outputs)) value.Dispose();
    }

    private static OrtValue Make(ElementType type, int[] dims, ReadOnlySpan<byte> bytes)
    {
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, (TensorElementType)type, Array.ConvertAll(dims, d => (long)d));
        bytes.CopyTo(value.GetTensorMutableRawData());
        return value;
    }
}
