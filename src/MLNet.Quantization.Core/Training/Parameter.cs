using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>Numbers that training changes: learned ones with their gradient, or statistics that a pass keeps up to date.</summary>
/// <param name="name">Unique in its network.</param>
/// <param name="value">Shared by all tapes of the network.</param>
/// <param name="kind">What changes it.</param>
internal sealed class Parameter(string name, Values<float> value, ParameterKind kind)
{
    public string Name { get; } = name;

    public Values<float> Value { get; } = value;

    public ParameterKind Kind { get; } = kind;

    /// <summary>∂L/∂value, added to by each pass back. Empty for statistics.</summary>
    public Values<float> Gradient { get; } = kind == ParameterKind.Statistic ? new(0) : new(value.Dims);
}

/// <summary>What changes a parameter.</summary>
internal enum ParameterKind
{
    /// <summary>Learned, with weight decay: what multiplies activations.</summary>
    Weight,

    /// <summary>Learned, without weight decay: biases, scales and shifts of normalizations, quantizers' steps.</summary>
    Other,

    /// <summary>Not learned: running means and variances, observed ranges. Updated by the forward pass.</summary>
    Statistic,
}
