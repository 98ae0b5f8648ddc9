using System.Numerics;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;

namespace MLNet.Quantization.Tests;

/// <summary>Scores float32 models by another implementation of the standard, on one thread.</summary>
internal sealed class OnnxRuntimeOracle : IDisposable
{
    private readonly InferenceSession _session;
    private readonly string[] _outputs;

    /// <param name="graph">Written as a file first.</param>
    /// <param name="optimize">False: nodes are computed as they stand in the file.</param>
    public OnnxRuntimeOracle(ModelGraph graph, bool optimize)
    {
        using var options = new SessionOptions
        {
            GraphOptimizationLevel = optimize ? GraphOptimizationLevel.ORT_ENABLE_ALL : GraphOptimizationLevel.ORT_DISABLE_ALL,
            IntraOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        _session = new(OnnxWriter.Write(graph), options);
        _outputs = [.. graph.Outputs.Select(o => o.Name)];
    }

    /// <param name="inputs">Name, values and extents; whole numbers where the model takes integers.</param>
    /// <returns>The values of each output, int64 ones as float.</returns>
    public float[][] Score(params ReadOnlySpan<(string Name, float[] Values, int[] Dims)> inputs)
    {
        var values = new List<NamedOnnxValue>();
        foreach (var (name, data, dims) in inputs)
            values.Add(InputOf(name, data, dims));
        using var results = _session.Run(values, _outputs);
        return [.. results.Select(r => r.Value is DenseTensor<long> places ? Array.ConvertAll(places.ToArray(), p => (float)p) : r.Value is DenseTensor<byte> codes ? Array.ConvertAll(codes.ToArray(), c => (float)c) : r.AsTensor<float>().ToArray())];
    }

    private NamedOnnxValue InputOf(string name, float[] data, int[] dims)
    {
        NamedOnnxValue As<T>() where T : unmanaged, INumber<T> => NamedOnnxValue.CreateFromTensor(name, new DenseTensor<T>(Array.ConvertAll(data, T.CreateChecked), dims));
        var type = _session.InputMetadata[name].ElementType;
        return type == typeof(int) ? As<int>() : type == typeof(long) ? As<long>() : type == typeof(byte) ? As<byte>() : As<float>();
    }

    public static float[][] Score(ModelGraph graph, bool optimize, params ReadOnlySpan<(string Name, float[] Values, int[] Dims)> inputs)
    {
        using var oracle = new OnnxRuntimeOracle(graph, optimize);
        return oracle.Score(inputs);
    }

    public void Dispose() => _session.Dispose();
}
