namespace MLNet.Quantization.Kernels;

/// <summary>Work that falls into chunks which may run in any order and at the same time.</summary>
internal interface IParallelBody
{
    /// <param name="chunk">0 .. chunks - 1; each is run once.</param>
    /// <param name="lane">0 .. lanes - 1: no two chunks run at the same time in one lane, so it may choose scratch memory.</param>
    void Run(int chunk, int lane);
}
