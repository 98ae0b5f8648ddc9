using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>Shapes [N, C, ...] and [N, ..., C] of one another. Tensors of the engine's own convolutions and pools have channels last.</summary>
internal static class ChannelsLast
{
    public static TensorShape? ToFirst(TensorShape? last) => last is { Rank: > 2 } s ? new([s[0], s[s.Rank - 1], .. s.Dims[1..^1]]) : last;

    public static TensorShape? ToLast(TensorShape? first) => first is { Rank: > 2 } s ? new([s[0], .. s.Dims[2..], s[1]]) : first;

    public static int[] ToFirst(int[] last) => [last[0], last[^1], .. last[1..^1]];

    /// <summary>The perm of the Transpose that puts channels last.</summary>
    public static long[] PermutationToLast(int rank) => [0, .. Enumerable.Range(2, rank - 2).Select(i => (long)i), 1];

    /// <summary>The perm of the Transpose that puts them back.</summary>
    public static long[] PermutationToFirst(int rank) => [0, rank - 1, .. Enumerable.Range(1, rank - 2).Select(i => (long)i)];
}
