namespace MLNet.Quantization.Kernels;

/// <summary>What an emitted tile is made for.</summary>
/// <param name="Rows">Rows of activations.</param>
/// <param name="Vectors">Width of the panel, in vectors of 16 columns.</param>
/// <param name="Stage">What becomes of the sums.</param>
/// <param name="Segmented">The groups of a row lie in segments, <see cref="TileArguments.Jumps"/> apart.</param>
internal readonly record struct TileShape(int Rows, int Vectors, OutputStage Stage, bool Segmented = false)
{
    /// <summary>
    /// Sums that run side by side for each element, over every second or fourth group of k: a tile of few rows has too few chains of
    /// dependent additions to keep the multipliers busy.
    /// </summary>
    public int Copies(int registers)
    {
        int copies = 1;
        while (copies < 4 && Rows * Vectors * copies < 10 && (Rows * Vectors * copies * 2) + WeightRegisters + 1 <= registers) copies *= 2;
        return copies;
    }

    /// <summary>A single row uses each vector of weights once, straight from memory.</summary>
    public int WeightRegisters => Rows == 1 ? 0 : Vectors;

    /// <summary>
    /// The most rows of a tile of that width. With 32 registers: 24 sums, so that a vector of weights and a broadcast activation are
    /// loaded for at most 0.46 multiplications. Three rows share an address register.
    /// </summary>
    public static int MaxRows(CallingConvention convention, int vectors)
    {
        int byVectors = (convention.Vectors.Length - vectors - 2) / vectors;
        int byAddresses = 3 * (convention.General.Length - 3);
        int wanted = vectors switch { 1 => 14, 2 => 12, 3 => 8, _ => 6 };
        return Math.Min(wanted, Math.Min(byVectors, byAddresses));
    }
}
