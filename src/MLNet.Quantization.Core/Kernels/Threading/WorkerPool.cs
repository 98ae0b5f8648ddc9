using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// The process-wide pool. One piece of work at a time is spread over it: chunks are taken from an atomic counter by the workers and by
/// the caller alike, so a worker that the machine does not schedule delays nothing. A caller that finds the pool taken (by another
/// thread, or by the work that it is itself a chunk of) runs all chunks itself: the processors are busy then. Workers spin for a bounded
/// time after their last chunk, then park. Nothing is allocated once the workers are started.
/// </summary>
internal static unsafe class WorkerPool
{
    /// <summary>Rounds of the spinning loop before a worker parks: some 50 µs.</summary>
    private const int SpinRounds = 1500;

    private static readonly Lock s_start = new();
    private static Worker[]? s_workers;
    private static int s_taken;

    // The work at hand. A ticket is (epoch << 32 | next chunk), so that a late worker cannot take a chunk of another piece of work.
    private static long s_ticket;
    private static int s_chunks;
    private static int s_finished;
    private static int s_epoch;
    private static delegate*<void*, int, int, void> s_body;
    private static void* s_state;
    private static ExceptionDispatchInfo? s_error;

    /// <summary>Threads of the pool, with the calling one.</summary>
    public static int LaneCount => Parallelism.LaneCount;

    /// <summary>Runs chunks 0 .. <paramref name="chunks"/> - 1 of <paramref name="body"/> and returns when all are done.</summary>
    /// <param name="body">A local variable of the caller (it is reached through its address on the stack).</param>
    /// <param name="chunks">0 or more.</param>
    /// <param name="maxThreads">The most lanes, 0 for <see cref="Parallelism.MaxThreads"/>.</param>
    public static void Run<T>(ref T body, int chunks, int maxThreads) where T : struct, IParallelBody
    {
        int lanes = Math.Min(Parallelism.Resolve(maxThreads), chunks);
        if (lanes <= 1 || Interlocked.CompareExchange(ref s_taken, 1, 0) != 0)
        {
            for (int i = 0; i < chunks; i++) body.Run(i, 0);
            return;
        }
        try
        {
            Share(&Invoke<T>, Unsafe.AsPointer(ref body), chunks, lanes);
        }
        finally
        {
            Volatile.Write(ref s_taken, 0);
        }
    }

    private static void Invoke<T>(void* state, int chunk, int lane) where T : struct, IParallelBody => Unsafe.AsRef<T>(state).Run(chunk, lane);

    private static void Share(delegate*<void*, int, int, void> body, void* state, int chunks, int lanes)
    {
        var workers = s_workers ?? Start();
        int epoch = ++s_epoch;
        // Close the old ticket before the fields change under a late worker, then open the new one.
        Volatile.Write(ref s_ticket, Ticket(epoch, int.MaxValue));
        s_body = body;
        s_state = state;
        s_finished = 0;
        s_chunks = chunks;
        s_error = null;
        Interlocked.Exchange(ref s_ticket, Ticket(epoch, 0));
        for (int i = 0; i < lanes - 1; i++) workers[i].Wake(epoch);

        Drain(epoch, 0);
        var spinner = new SpinWait();
        while (Volatile.Read(ref s_finished) != chunks) spinner.SpinOnce(sleep1Threshold: -1);
        s_error?.Throw();
    }

    private static long Ticket(int epoch, int next) => ((long)epoch << 32) | (uint)next;

    /// <summary>Takes chunks until none are left.</summary>
    private static void Drain(int epoch, int lane)
    {
        while (true)
        {
            long ticket = Volatile.Read(ref s_ticket);
            int chunk = (int)ticket;
            if ((int)(ticket >> 32) != epoch || chunk >= s_chunks) return;
            if (Interlocked.CompareExchange(ref s_ticket, ticket + 1, ticket) != ticket) continue;
            try
            {
                s_body(s_state, chunk, lane);
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref s_error, ExceptionDispatchInfo.Capture(e), null);
            }
            Interlocked.Increment(ref s_finished);
        }
    }

    private static Worker[] Start()
    {
        lock (s_start)
        {
            if (s_workers is { } started) return started;
            var workers = new Worker[LaneCount - 1];
            for (int i = 0; i < workers.Length; i++) workers[i] = new Worker(i + 1);
            return s_workers = workers;
        }
    }

    private sealed class Worker
    {
        private readonly SemaphoreSlim _signal = new(0);
        private readonly int _lane;
        private int _asked;
        private int _parked;

        public Worker(int lane)
        {
            _lane = lane;
            new Thread(Loop) { IsBackground = true, Name = $"MLNet.Quantization worker {lane}" }.Start();
        }

        public void Wake(int epoch)
        {
            Interlocked.Exchange(ref _asked, epoch);
            if (Interlocked.Exchange(ref _parked, 0) == 1) _signal.Release();
        }

        private void Loop()
        {
            int seen = 0;
            while (true)
            {
                for (int spins = 0; Volatile.Read(ref _asked) == seen; spins++)
                {
                    if (spins < SpinRounds)
                    {
                        Thread.SpinWait(8);
                        continue;
                    }
                    Interlocked.Exchange(ref _parked, 1);
                    // Whoever clears the flag decides: a waker that does owes a signal, so it must be waited for.
                    if (Volatile.Read(ref _asked) == seen || Interlocked.Exchange(ref _parked, 0) == 0) _signal.Wait();
                    spins = 0;
                }
                seen = Volatile.Read(ref _asked);
                Drain(seen, _lane);
            }
        }
    }
}
