namespace MLNet.Quantization;

/// <summary>Base of every error that a model, its data or its calibration can cause.</summary>
public class QuantizationException : Exception
{
    /// <summary>Makes an error with a message that says what was found, what was expected and what is supported.</summary>
    public QuantizationException(string message) : base(message) { }

    /// <summary>Makes an error that was caused by another one.</summary>
    public QuantizationException(string message, Exception? innerException) : base(message, innerException) { }
}
