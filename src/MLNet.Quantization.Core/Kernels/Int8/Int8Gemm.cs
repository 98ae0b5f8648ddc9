using System.Runtime.Intrinsics;

namespace MLNet.Quantization.Kernels;

/// <summary>The kernels of the INT8 matrix product, and the packing of weights for them.</summary>
internal static class Int8Gemm
{
    /// <summary>Names the kernel to use; unset: the best one.</summary>
    public const string KernelVariable = "MLNET_QUANTIZATION_KERNEL";

    /// <summary>Every kernel there is, best first.</summary>
    internal static IReadOnlyList<Int8Kernel> AllKernels { get; } =
    [
        new VnniKernel(),
        new IntrinsicsKernel<AvxVnniDot, Vector256<int>, Vector256<byte>>(),
        new IntrinsicsKernel<AvxVnniInt8Dot, Vector256<int>, Vector256<sbyte>>(),
        new IntrinsicsKernel<Avx512BwDot, Vector512<int>, Vector512<short>>(),
        new IntrinsicsKernel<Avx2Dot, Vector256<int>, Vector256<short>>(),
        new IntrinsicsKernel<ArmDpDot, Vector128<int>, Vector128<sbyte>>(),
        new IntrinsicsKernel<ArmAdvSimdDot, Vector128<int>, Vector64<sbyte>>(),
        new IntrinsicsKernel<ScalarDot, int, int>(),
    ];

    /// <summary>The kernels that this process can run, best first.</summary>
    public static IReadOnlyList<Int8Kernel> Kernels { get; } = [.. AllKernels.Where(k => k.IsSupported)];

    /// <summary>The kernel that is used where none is asked for: the best, or the one that <see cref="KernelVariable"/> names.</summary>
    /// <exception cref="PlatformNotSupportedException">The variable names a kernel that does not exist or that this process cannot run.</exception>
    public static Int8Kernel Best => s_best.Value;

    /// <summary>The kernel that is used where none is asked for, and why no better one: for logs.</summary>
    public static string Choice =>
        string.Join("; ", AllKernels.TakeWhile(k => k != Best).Select(k => $"{k.Name}: not used, {k.WhyNot ?? $"{KernelVariable} names another"}").Prepend($"INT8 kernel {Best.Name}"));

    private static readonly Lazy<Int8Kernel> s_best = new(() => Find(Environment.GetEnvironmentVariable(KernelVariable)));

    /// <summary>The kernel of that name; the best one where the name is null or empty.</summary>
    /// <exception cref="PlatformNotSupportedException">There is none, or this process cannot run it.</exception>
    internal static Int8Kernel Find(string? name)
    {
        if (string.IsNullOrEmpty(name)) return Kernels[0];
        if (Kernels.FirstOrDefault(k => k.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } kernel) return kernel;
        var known = AllKernels.FirstOrDefault(k => k.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        string can = string.Join(", ", Kernels.Select(k => k.Name));
        throw new PlatformNotSupportedException(
            $"The INT8 kernel '{name}' (environment variable {KernelVariable}) {(known is null ? "does not exist" : $"cannot run here: {known.WhyNot}")}; this process can run: {can}.");
    }

    /// <summary>Packs s8 weight codes.</summary>
    /// <param name="weights">[k, n] row-major, or [n, k] where <paramref name="transposed"/>.</param>
    /// <param name="k">0 or more.</param>
    /// <param name="n">0 or more.</param>
    /// <param name="transposed">True where the weights of one output column lie together.</param>
    /// <param name="kernel">Null: <see cref="Best"/>.</param>
    /// <exception cref="ArgumentException">The span does not hold k · n codes.</exception>
    public static Int8Weights Pack(ReadOnlySpan<sbyte> weights, int k, int n, bool transposed, Int8Kernel? kernel = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(k);
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        if (weights.Length != (long)k * n) throw new ArgumentException($"{weights.Length} weights do not fill [{k}, {n}].", nameof(weights));
        return new(kernel ?? Best, weights, k, n, transposed);
    }
}
