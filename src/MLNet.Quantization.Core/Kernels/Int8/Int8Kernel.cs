namespace MLNet.Quantization.Kernels;

/// <summary>A way to compute u8 x s8 products on one kind of processor. All give the same bytes.</summary>
internal sealed class Int8Kernel(string name)
{
    /// <summary>What the environment variable and the tests call it.</summary>
    public string Name { get; } = name;
}
