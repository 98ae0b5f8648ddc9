using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>A vector width for float32 work. All give the same bits.</summary>
internal sealed class FloatTier
{
    /// <summary>Names the tier to use; unset: the widest.</summary>
    public const string Variable = "MLNET_QUANTIZATION_FLOAT_KERNEL";

    private FloatTier(string name, int lanes, bool isSupported)
    {
        Name = name;
        Lanes = lanes;
        IsSupported = isSupported;
    }

    public string Name { get; }

    /// <summary>Numbers a vector.</summary>
    public int Lanes { get; }

    public bool IsSupported { get; }

    /// <summary>Every tier there is, best first. The last one runs everywhere.</summary>
    public static IReadOnlyList<FloatTier> All { get; } =
    [
        new("avx512", 16, Vector512.IsHardwareAccelerated),
        new("avx2", 8, Vector256.IsHardwareAccelerated),
        new("vector128", 4, Vector128.IsHardwareAccelerated),
        new("scalar", 1, true),
    ];

    /// <summary>The tiers that this process can run, best first.</summary>
    public static IReadOnlyList<FloatTier> Supported { get; } = [.. All.Where(t => t.IsSupported)];

    private static readonly Lazy<FloatTier> s_best = new(() => Find(Environment.GetEnvironmentVariable(Variable)));

    /// <summary>The tier that is used where none is asked for: the widest, or the one that <see cref="Variable"/> names.</summary>
    /// <exception cref="PlatformNotSupportedException">The variable names a tier that does not exist or that this process cannot run.</exception>
    public static FloatTier Best => s_best.Value;

    /// <summary>The tier of that name; the widest where the name is null or empty.</summary>
    /// <exception cref="PlatformNotSupportedException">There is none, or this process cannot run it.</exception>
    internal static FloatTier Find(string? name)
    {
        if (string.IsNullOrEmpty(name)) return Supported[0];
        if (Supported.FirstOrDefault(t => t.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } tier) return tier;
        bool exists = All.Any(t => t.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        throw new PlatformNotSupportedException(
            $"The float kernel '{name}' (environment variable {Variable}) {(exists ? "cannot run here" : "does not exist")}; this process can run: {string.Join(", ", Supported.Select(t => t.Name))}.");
    }

    public override string ToString() => Name;
}
