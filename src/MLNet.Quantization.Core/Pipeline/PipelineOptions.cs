namespace MLNet.Quantization.Pipeline;

/// <summary>How a float model is prepared.</summary>
internal sealed record PrepareOptions
{
    public static PrepareOptions Default { get; } = new();

    /// <summary>Try to turn a batch of 1 that is baked into the model into a batch of any size.</summary>
    public bool SymbolicBatch { get; init; } = true;

    /// <summary>Take batch normalization into the layers beside it; false while it is to be learned.</summary>
    public bool FoldNormalization { get; init; } = true;
}

/// <summary>How ranges are taken from calibration data.</summary>
internal sealed record CalibrationOptions
{
    public static CalibrationOptions Default { get; } = new();

    public CalibrationMethod Method { get; init; } = CalibrationMethod.MinMax;

    /// <summary>
    /// For <see cref="CalibrationMethod.Percentile"/>: the share of values, in percent, that the range holds; (0, 100]. The default cuts
    /// 5 values in a million off at each end, which single outliers do not survive and signal does: at 8 bits shares of 99.99 to 99.9999
    /// kept the accuracy of most networks (Wu et al., "Integer Quantization for Deep Learning Inference", 2020), and ONNX Runtime
    /// uses the same.
    /// </summary>
    public double Percentile { get; init; } = 99.999;

    /// <summary>For <see cref="CalibrationMethod.MovingAverage"/>: the weight of the newest batch; (0, 1]. 0.01 is PyTorch's and ONNX Runtime's.</summary>
    public double AveragingConstant { get; init; } = 0.01;

    public QuantizationScheme Scheme { get; init; } = QuantizationScheme.Asymmetric;

    /// <summary>Threads for the float runs; 0 for the process-wide maximum.</summary>
    public int MaxThreads { get; init; }
}

/// <summary>How weights are quantized.</summary>
internal sealed record WeightOptions
{
    public static WeightOptions Default { get; } = new();

    public WeightGranularity Granularity { get; init; } = WeightGranularity.PerChannel;

    /// <summary>Bits of a weight: 2 to 8. Codes are stored in bytes.</summary>
    public int WeightBits { get; init; } = 8;

    /// <summary>Bits of a calibrated activation that a layer makes: 2 to 8. The model's inputs have 8.</summary>
    public int ActivationBits { get; init; } = 8;

    /// <summary>Compute products of two activations in INT8 too.</summary>
    public bool ActivationProducts { get; init; }

    /// <summary>Nodes that stay float, by <see cref="Graph.Node.DisplayName"/>.</summary>
    public IReadOnlyCollection<string> ExcludedNodes { get; init; } = [];
}
