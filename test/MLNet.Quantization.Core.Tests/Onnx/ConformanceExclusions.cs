using MLNet.Quantization.Onnx;
using MLNet.Quantization.Onnx.Proto;
using DataType = MLNet.Quantization.Onnx.Proto.TensorProto.Types.DataType;

namespace MLNet.Quantization.Tests.Onnx;

/// <summary>Cases that lie outside what the engine sets out to run, each with the reason.</summary>
internal static class ConformanceExclusions
{
    /// <summary>Element types that few operators of the engine compute with, or none.</summary>
    private static readonly DataType[] OutsideTypes =
    [
        DataType.String, DataType.Float16, DataType.Bfloat16, DataType.Double, DataType.Complex64, DataType.Complex128,
        DataType.Float8E4M3Fn, DataType.Float8E4M3Fnuz, DataType.Float8E5M2, DataType.Float8E5M2Fnuz, DataType.Int4, DataType.Uint4, DataType.Float4E2M1,
    ];

    /// <summary>Operators that compute with double too.</summary>
    private static readonly string[] InDouble = ["CumSum", "Einsum", "EyeLike"];

    /// <summary>Cases that no rule covers, by name.</summary>
    public static IReadOnlyDictionary<string, string> Named { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["node/test_batchnorm_epsilon_training_mode"] = TrainingMode,
        ["node/test_batchnorm_example_training_mode"] = TrainingMode,
        ["node/test_maxunpool_export_with_output_shape"] = CornerReference,
        ["node/test_qlinearmatmul_2D_int8_float32"] = WrappedReference,
        ["node/test_qlinearmatmul_3D_int8_float32"] = WrappedReference,
    };

    private const string TrainingMode = "training mode: statistics of the batch, which scoring does not have";

    private const string CornerReference = "the stored output counts places in another shape than its own, so that it undoes no MaxPool (https://github.com/onnx/onnx/issues/2398)";

    private const string WrappedReference = "the stored outputs wrap around where the standard's text says saturate";

    /// <summary>Why a case is left out; null where the engine has to pass it.</summary>
    public static string? ReasonFor(ConformanceCase test)
    {
        if (Named.TryGetValue(test.ToString(), out string? reason)) return reason;
        long opset = test.Proto.OpsetImport.FirstOrDefault(o => o.Domain is "" or "ai.onnx")?.Version ?? 0;
        if (opset is < OnnxReader.OldestOpset or > OnnxReader.NewestOpset) return $"opset {opset}: supported are {OnnxReader.OldestOpset} to {OnnxReader.NewestOpset}";
        if (test.Name.StartsWith("test_center_crop_pad_", StringComparison.Ordinal) || test.Name.Contains("window_", StringComparison.Ordinal) && test.Name.EndsWith("_expanded", StringComparison.Ordinal)) return "the size of the result is fed with the data, a typed error";
        if (test.Proto.Functions.Count > 0) return "operators defined by functions of the file";
        foreach (var value in Border(test.Proto.Graph))
        {
            if (value.Type.ValueCase != TypeProto.ValueOneofCase.TensorType) return "values that are sequences, maps or optionals";
            if ((DataType)value.Type.TensorType.ElemType == DataType.Double && test.Operators.All(InDouble.Contains)) continue;
            if (OutsideTypes.Contains((DataType)value.Type.TensorType.ElemType)) return $"tensors of {(DataType)value.Type.TensorType.ElemType}";
        }
        foreach (var node in test.Proto.Graph.Node)
            if (node.OpType == "Cast" && node.Attribute.Any(a => a.Name == "to" && OutsideTypes.Contains((DataType)a.I))) return "Cast to a type that the engine does not compute with";
        if (test.Name.StartsWith("test_training_", StringComparison.Ordinal)) return "training mode: the outputs are random, or are statistics for training";
        return null;
    }

    private static IEnumerable<ValueInfoProto> Border(GraphProto graph) => graph.Input.Concat(graph.Output);
}
