using System.Globalization;

namespace MLNet.Quantization.Graph;

/// <summary>One axis of a shape: a number, a symbol such as "N", or unknown (no number and no symbol).</summary>
internal readonly record struct Dimension
{
    private readonly long _valuePlusOne;

    /// <summary>An axis of known extent (0 or more).</summary>
    public Dimension(long value)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(value);
        _valuePlusOne = value + 1;
    }

    /// <summary>An axis whose extent is the same wherever this symbol stands.</summary>
    public Dimension(string symbol)
    {
        ArgumentException.ThrowIfNullOrEmpty(symbol);
        Symbol = symbol;
    }

    public static Dimension Unknown => default;

    public bool IsKnown => _valuePlusOne != 0;

    /// <summary>The extent; only where <see cref="IsKnown"/>.</summary>
    public long Value => IsKnown ? _valuePlusOne - 1 : throw new InvalidOperationException($"The extent of axis '{this}' is not known.");

    public string? Symbol { get; }

    /// <summary>True where both are surely the same extent.</summary>
    public bool SurelyEquals(Dimension other) => this == other && (IsKnown || Symbol is not null);

    public static implicit operator Dimension(long value) => new(value);

    public override string ToString() => IsKnown ? Value.ToString(CultureInfo.InvariantCulture) : Symbol ?? "?";
}
