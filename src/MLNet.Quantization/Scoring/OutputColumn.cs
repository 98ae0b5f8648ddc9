namespace MLNet.Quantization.Scoring;

/// <summary>How a column is made from an output tensor.</summary>
internal enum OutputKind : byte
{
    /// <summary>The tensor's elements.</summary>
    Tensor,

    /// <summary>The position of the greatest element, from 1, as a key; 0 (missing) where an element is NaN.</summary>
    ArgMaxKey,

    /// <summary>Whether the only element is above a threshold.</summary>
    Threshold,
}

/// <summary>A column that a model adds to its data.</summary>
/// <param name="Name">The column's name.</param>
/// <param name="Tensor">The output that it is made from.</param>
/// <param name="Kind">How.</param>
/// <param name="Parameter">The threshold; not used otherwise.</param>
internal sealed record OutputColumn(string Name, string Tensor, OutputKind Kind = OutputKind.Tensor, float Parameter = 0);
