namespace MLNet.Quantization;

/// <summary>How a range of real numbers is mapped to 8-bit codes.</summary>
public enum QuantizationScheme
{
    /// <summary>Zero point fixed at the middle of the codes: the range is widened to [-max, max].</summary>
    Symmetric,

    /// <summary>Zero point fitted, so that all codes serve the range.</summary>
    Asymmetric,
}

/// <summary>How many scales a weight tensor has.</summary>
public enum WeightGranularity
{
    /// <summary>One scale for the tensor.</summary>
    PerTensor,

    /// <summary>One scale for each output channel.</summary>
    PerChannel,
}

/// <summary>Where the scales of activations come from.</summary>
public enum ActivationQuantization
{
    /// <summary>From calibration data, fixed when the model is quantized.</summary>
    Static,

    /// <summary>From each row while it is scored. No calibration data needed.</summary>
    Dynamic,
}

/// <summary>How a range is chosen from the activations seen during calibration.</summary>
public enum CalibrationMethod
{
    /// <summary>The smallest and the largest value seen.</summary>
    MinMax,

    /// <summary>An exponential moving average of each batch's smallest and largest value.</summary>
    MovingAverage,

    /// <summary>The range that holds a given share of the values seen.</summary>
    Percentile,
}

/// <summary>How a quantized model is written as an ONNX file.</summary>
public enum OnnxQuantizationFormat
{
    /// <summary>QuantizeLinear and DequantizeLinear around float operators: every tool reads it, many fuse it. What a model is saved as.</summary>
    Qdq,

    /// <summary>
    /// Operators that compute on codes: QLinearConv, QLinearMatMul, and those that ONNX Runtime adds in the domain com.microsoft. A model
    /// with dynamic activations holds DynamicQuantizeLinear, MatMulInteger and ConvInteger, so activations have one scale a tensor there.
    /// </summary>
    QOperator,
}
