namespace MLNet.Quantization;

/// <summary>
/// A model is not what the ONNX standard, or this version of the library, says a model is: not ONNX, truncated, cyclic,
/// with data that contradicts its shape, or with shapes that do not fit each other.
/// </summary>
public sealed class ModelFormatException : QuantizationException
{
    /// <summary>Makes an error about a model and, where known, one of its nodes and tensors.</summary>
    public ModelFormatException(string message, string? nodeName = null, string? tensorName = null, Exception? innerException = null)
        : base(message, innerException)
    {
        NodeName = nodeName;
        TensorName = tensorName;
    }

    /// <summary>The node that the error is about, or null.</summary>
    public string? NodeName { get; }

    /// <summary>The tensor that the error is about, or null.</summary>
    public string? TensorName { get; }
}
