using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>What is known of a value before it is computed: its type, its shape (null: not even the rank) and, for a constant, its data.</summary>
internal sealed record ValueFact(ElementType Type, TensorShape? Shape)
{
    /// <summary>The data, where it is known; <see cref="Shape"/> is then its shape.</summary>
    public Tensor? Value { get; init; }

    /// <summary>Of a shape that the graph computes: its integers as far as they follow from symbolic shapes (<see cref="ShapeEntry.AllOf"/>).</summary>
    public ShapeEntry[]? Entries { get; init; }

    public static ValueFact Of(Tensor value) => new(value.Type, value.Shape) { Value = value };

    public static ValueFact Of(ValueInfo info) => new(info.Type, info.Shape);

    public override string ToString() => $"{Type}{Shape?.ToString() ?? "[...]"}";
}
