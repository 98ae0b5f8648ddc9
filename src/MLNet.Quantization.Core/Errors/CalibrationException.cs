namespace MLNet.Quantization;

/// <summary>Calibration data cannot give ranges: it is empty, or holds NaN or infinity.</summary>
public sealed class CalibrationException : QuantizationException
{
    /// <summary>Makes an error that, where known, names the tensor and the row (counted from 0) that caused it.</summary>
    public CalibrationException(string message, string? tensorName = null, long? row = null)
        : base(message)
    {
        TensorName = tensorName;
        Row = row;
    }

    /// <summary>The tensor that the error is about, or null.</summary>
    public string? TensorName { get; }

    /// <summary>The calibration row that the error is about, counted from 0, or null.</summary>
    public long? Row { get; }
}
