using System.Security.Cryptography;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests;

/// <summary>
/// Writes the hashes of final scores to the file that MLNET_QUANTIZATION_SCORE_HASHES names, where it names one, so that runs under
/// other instructions, in other processes, can be held against each other. The first lines list the kernels that this machine can run.
/// </summary>
internal static class ScoreHashes
{
    private static readonly string? File = Environment.GetEnvironmentVariable("MLNET_QUANTIZATION_SCORE_HASHES");
    private static readonly Lock Gate = new();

    /// <summary>The hash of some bytes, recorded under a name that no other hash has.</summary>
    public static string Record(string name, ReadOnlySpan<byte> scores)
    {
        string hash = Convert.ToHexString(SHA256.HashData(scores));
        if (string.IsNullOrEmpty(File)) return hash;
        lock (Gate)
        {
            if (!System.IO.File.Exists(File))
                System.IO.File.WriteAllText(File, $"# kernels: {string.Join(' ', Int8Gemm.Kernels.Select(kernel => kernel.Name))}\n# float kernels: {string.Join(' ', FloatTier.Supported)}\n");
            System.IO.File.AppendAllText(File, $"{name} {hash}\n");
        }
        return hash;
    }
}
