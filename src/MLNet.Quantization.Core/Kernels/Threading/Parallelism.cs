namespace MLNet.Quantization;

/// <summary>How many threads the kernels of this process use together.</summary>
public static class Parallelism
{
    private static int s_maxThreads = Environment.ProcessorCount;

    /// <summary>
    /// The most threads that one product keeps busy, the calling one included; the number of processors unless set. 1 keeps all work on
    /// the calling thread. Results do not depend on it. Values above the number of threads that the pool has act like that number.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Set to less than 1.</exception>
    public static int MaxThreads
    {
        get => s_maxThreads;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            s_maxThreads = value;
        }
    }

    /// <summary>The most threads that work can be spread over, the calling one included.</summary>
    internal static int LaneCount { get; } = Math.Clamp(Environment.ProcessorCount, 2, 64);

    /// <summary>The threads that a request amounts to: 0 asks for <see cref="MaxThreads"/>.</summary>
    internal static int Resolve(int requested) => Math.Min(requested <= 0 ? s_maxThreads : requested, LaneCount);
}
