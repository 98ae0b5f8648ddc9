namespace MLNet.Quantization.Kernels;

/// <summary>How the codes of a tile of a depthwise convolution lie, 16 to a vector of sums.</summary>
internal enum DepthStore
{
    /// <summary>Vectors side by side.</summary>
    Dense,

    /// <summary>Vectors apart.</summary>
    Apart,

    /// <summary>Vectors apart of which some lanes alone exist.</summary>
    Part,
}

/// <summary>What an emitted tile of a depthwise convolution is made for: vectors of sums side by side in one line of the output.</summary>
/// <param name="Vectors">How many at a time.</param>
/// <param name="Window">Taps along the width.</param>
/// <param name="Blocks">Blocks of four lines that a window reaches over.</param>
/// <param name="Stride">Columns from the window of one vector to that of the next.</param>
/// <param name="Dilation">Columns from one tap to the next.</param>
/// <param name="ColumnBytes">From one column to the next.</param>
/// <param name="Store">How the codes lie.</param>
internal readonly record struct DepthTileShape(int Vectors, int Window, int Blocks, int Stride, int Dilation, int ColumnBytes, DepthStore Store)
{
    /// <summary>Constants of the output stage.</summary>
    public const int Constants = 6;

    /// <summary>Columns at a time.</summary>
    public const int Columns = 2;

    private const int Most = 12;

    /// <summary>The most vectors of a tile with so many taps along the width.</summary>
    public static int MaxVectors(CallingConvention convention, int window) =>
        Math.Min(Most, convention.Vectors.Length - Constants - Columns - (HoldsWeights(convention, window) ? window : 0));

    /// <summary>True where the weights of a line of taps stay in registers; else they are read from memory where they are used.</summary>
    public static bool HoldsWeights(CallingConvention convention, int window) => window <= (convention.Vectors.Length - Constants - Columns) / 2;
}
