namespace MLNet.Quantization;

/// <summary>A model is valid ONNX, but holds an operator, or a form of one, that the managed engine does not run.</summary>
public sealed class UnsupportedOperatorException : QuantizationException
{
    /// <summary>Makes an error that names the node and its operator.</summary>
    public UnsupportedOperatorException(string message, string nodeName, string operatorType, string domain = "")
        : base(message)
    {
        NodeName = nodeName;
        OperatorType = operatorType;
        Domain = domain;
    }

    /// <summary>The node's name, or its first output where it has no name.</summary>
    public string NodeName { get; }

    /// <summary>The operator, spelled as in ONNX.</summary>
    public string OperatorType { get; }

    /// <summary>The operator's domain; empty for the ONNX standard's own.</summary>
    public string Domain { get; }
}
