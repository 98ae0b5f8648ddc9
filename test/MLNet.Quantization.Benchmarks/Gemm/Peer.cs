using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace MLNet.Quantization.Benchmarks;

/// <summary>A model of one input A and one output Y in ONNX Runtime, over memory that is bound once.</summary>
internal sealed unsafe class Peer : IDisposable
{
    private static readonly string[] s_inputs = ["A"], s_outputs = ["Y"];

    private readonly InferenceSession _session;
    private readonly RunOptions _options = new();
    private readonly OrtValue[] _input, _output;

    public Peer(byte[] model, int threads, void* a, TensorElementType aType, long[] aShape, void* y, TensorElementType yType, long[] yShape)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        _session = new(model, options);
        _input = [OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, aType, aShape, (nint)a, Bytes(aType, aShape))];
        _output = [OrtValue.CreateTensorValueWithData(OrtMemoryInfo.DefaultInstance, yType, yShape, (nint)y, Bytes(yType, yShape))];
    }

    public void Run() => _session.Run(_options, s_inputs, _input, s_outputs, _output);

    public void Dispose()
    {
        _session.Dispose();
        _input[0].Dispose();
        _output[0].Dispose();
        _options.Dispose();
    }

    private static long Bytes(TensorElementType type, long[] shape) => shape.Aggregate(1L, (p, d) => p * d) * (type == TensorElementType.UInt8 ? 1 : 4);
}
