using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;

namespace MLNet.Quantization.Tests;

/// <summary>Scores float32 models by another implementation of the standard, on one thread.</summary>
internal static class OnnxRuntimeOracle
{
    /// <param name="graph">Written as a file first.</param>
    /// <param name="optimize">False: nodes are computed as they stand in the file.</param>
    /// <param name="inputs">Name, values and extents.</param>
    /// <returns>The values of each output.</returns>
    public static float[][] Score(ModelGraph graph, bool optimize, params (string Name, float[] Values, int[] Dims)[] inputs)
    {
        using var options = new SessionOptions
        {
            GraphOptimizationLevel = optimize ? GraphOptimizationLevel.ORT_ENABLE_ALL : GraphOptimizationLevel.ORT_DISABLE_ALL,
            IntraOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        using var session = new InferenceSession(OnnxWriter.Write(graph), options);
        var values = inputs.Select(i => NamedOnnxValue.CreateFromTensor(i.Name, new DenseTensor<float>(i.Values, i.Dims))).ToList();
        using var results = session.Run(values, [.. graph.Outputs.Select(o => o.Name)]);
        return [.. results.Select(r => r.AsTensor<float>().ToArray())];
    }
}
