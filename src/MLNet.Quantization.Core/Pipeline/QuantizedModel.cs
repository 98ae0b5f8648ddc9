using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Pipeline;

/// <summary>A quantized model as it is saved and exported: QuantizeLinear and DequantizeLinear around what is computed in INT8. Immutable.</summary>
internal sealed class QuantizedModel
{
    internal QuantizedModel(ModelGraph graph, QuantizationReport report)
    {
        Graph = graph;
        Report = report;
    }

    public ModelGraph Graph { get; }

    public QuantizationReport Report { get; }

    /// <summary>Takes a quantized graph as it was read from a file; the report says what the file tells.</summary>
    public static QuantizedModel FromGraph(ModelGraph qdq) => new(qdq, new(ReadLayers.Of(qdq)));

    /// <summary>The model as an ONNX file holds it in a format.</summary>
    public ModelGraph As(OnnxQuantizationFormat format) => format switch
    {
        OnnxQuantizationFormat.Qdq => Graph,
        OnnxQuantizationFormat.QOperator => WriteQOperator.Apply(Graph),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "The format is none of Qdq, QOperator."),
    };

    /// <summary>Lowers the graph to the engine's INT8 operators and prepares it for scoring. What does not match runs as it stands.</summary>
    public Program Compile(ProgramOptions? options = null) => Program.Compile(LowerQuantized.Apply(Graph), options);
}
