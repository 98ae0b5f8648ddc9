namespace MLNet.Quantization.Kernels;

/// <summary>Spreads ranges over the <see cref="WorkerPool"/>: one part for each lane that pays, more where the work is long.</summary>
internal static class Ranges
{
    /// <summary>Nanoseconds of a part, so that a late worker costs little.</summary>
    private const double LongPart = 50_000;

    private const int MostPartsOfLane = 16;

    /// <summary>Runs <paramref name="body"/> over 0 .. <paramref name="count"/> - 1.</summary>
    /// <param name="body">A local variable of the caller.</param>
    /// <param name="count">Elements.</param>
    /// <param name="unit">Parts begin at multiples of it.</param>
    /// <param name="nanoseconds">What an element takes, roughly.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public static void Run<T>(ref T body, int count, int unit, double nanoseconds, int maxThreads) where T : struct, IRangeBody
    {
        double all = count * nanoseconds;
        int units = (int)(((long)count + unit - 1) / unit), lanes = Math.Min(units, WorkerPool.LanesFor(all, maxThreads));
        if (lanes <= 1)
        {
            if (count > 0) body.Run(0, count);
            return;
        }
        int parts = Math.Min(units, lanes * (int)Math.Clamp(all / LongPart / lanes, 1, MostPartsOfLane));
        var split = new Split<T>(body, count, unit, units, parts);
        WorkerPool.Run(ref split, parts, lanes);
    }

    private readonly struct Split<T>(T body, int count, int unit, int units, int parts) : IParallelBody where T : struct, IRangeBody
    {
        public void Run(int chunk, int lane) => body.Run(At(chunk), At(chunk + 1));

        private int At(int part) => (int)Math.Min(count, (long)units * part / parts * unit);
    }
}
