namespace MLNet.Quantization.Tests;

/// <summary>What code allocates on the thread that runs it.</summary>
internal static class AllocatedBytes
{
    private const int Attempts = 8;

    /// <summary>
    /// The least of several measurements. A collection that another thread causes takes this thread's allocation buffer away, and the
    /// runtime then counts what was left of it; what the code itself allocates, it allocates every time.
    /// </summary>
    public static long Of(Action code)
    {
        long least = long.MaxValue;
        for (int attempt = 0; attempt < Attempts && least != 0; attempt++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            code();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        return least;
    }
}
