namespace MLNet.Quantization.Kernels;

/// <summary>Weights w [k, n] of s8 codes, symmetric, packed as one kernel wants them. Immutable. Made by <see cref="Int8Gemm.Pack"/>.</summary>
internal sealed class Int8Weights
{
    internal Int8Weights(Int8Kernel kernel, sbyte[] codes, int k, int n)
    {
        Kernel = kernel;
        Codes = codes;
        K = k;
        N = n;
        ColumnSums = new int[n];
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++)
                ColumnSums[j] += codes[l * n + j];
    }

    public Int8Kernel Kernel { get; }

    /// <summary>Elements that one sum runs over.</summary>
    public int K { get; }

    /// <summary>Output columns.</summary>
    public int N { get; }

    /// <summary>Σ over k of w[k, j]; length n.</summary>
    public int[] ColumnSums { get; }

    internal sbyte[] Codes { get; }
}
