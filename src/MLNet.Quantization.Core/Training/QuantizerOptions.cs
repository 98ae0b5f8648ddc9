namespace MLNet.Quantization.Training;

/// <summary>How rounding is simulated while training.</summary>
internal sealed record QuantizerOptions
{
    /// <summary>Bits of a weight: 2 to 8.</summary>
    public int WeightBits { get; init; } = 8;

    /// <summary>Bits of an activation that a layer makes: 2 to 8. The model's inputs have 8.</summary>
    public int ActivationBits { get; init; } = 8;

    public WeightGranularity Granularity { get; init; } = WeightGranularity.PerChannel;

    public QuantizationScheme Scheme { get; init; } = QuantizationScheme.Asymmetric;

    /// <summary>Steps are learned with the weights (Esser et al., 2020); false: they follow the greatest weights, and moving averages of the activations' ranges.</summary>
    public bool LearnsSteps { get; init; }

    /// <summary>No gradient goes back to values that were clipped; false: 1 everywhere.</summary>
    public bool ClipsGradients { get; init; } = true;

    /// <summary>Weight of the newest batch in a moving average of ranges; (0, 1].</summary>
    public double AveragingConstant { get; init; } = 0.01;

    /// <summary>Share of the epochs, from the start, in which ranges and batch statistics move; then they are frozen. [0, 1].</summary>
    public double MovingShare { get; init; } = 0.6;

    /// <summary>Nodes that stay float, by display name.</summary>
    public IReadOnlyCollection<string> ExcludedNodes { get; init; } = [];
}
