namespace MLNet.Quantization;

/// <summary>How the models of a fitted pipeline are quantized.</summary>
public sealed class PipelineQuantizationOptions
{
    /// <summary>Where the scales of activations come from. Dynamic reads no rows.</summary>
    public ActivationQuantization Activations { get; set; } = ActivationQuantization.Dynamic;

    /// <summary>One scale for each class, or one for a model's weights.</summary>
    public WeightGranularity Granularity { get; set; } = WeightGranularity.PerChannel;

    /// <summary>Static: how ranges are taken from the calibration data; its token ends the pass.</summary>
    public CalibrateActivationsEstimator.Options Calibration { get; set; } = new();

    /// <summary>Threads that scoring one batch may keep busy; null for the process-wide maximum. Scores do not depend on it.</summary>
    public int? NumberOfThreads { get; set; }
}
