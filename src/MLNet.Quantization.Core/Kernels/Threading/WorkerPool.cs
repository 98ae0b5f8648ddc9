using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// The process-wide pool. One piece of work at a time is spread over it. Each lane begins with a range of chunks of its own, the same for
/// equal numbers of chunks, so that what one step leaves in a processor's cache is there for the next; a lane that is done takes what is
/// left of the others' ranges, so a worker that the machine does not schedule delays nothing. A caller that finds the pool taken (by another
/// thread, or by the work that it is itself a chunk of) runs all chunks itself: the processors are busy then. Workers spin for a bounded
/// time after their last chunk, then park. Nothing is allocated once the workers are started.
/// </summary>
internal static unsafe class WorkerPool
{
    /// <summary>Work that is worth a fork and a join (0.3 µs) where a worker spins, and where one must be woken (5 µs, and as many until it runs).</summary>
    private const double LeastShared = 1500, LeastWaking = 30_000;

    /// <summary>Nanoseconds of work that a lane should have at least.</summary>
    private const double LeastOfLane = 600;

    /// <summary>How long a worker spins before it parks: longer than the steps of a network that stay on one thread.</summary>
    private static readonly long s_spinTicks = Stopwatch.Frequency / 10_000;

    /// <summary>Rounds of spinning between two looks at the clock.</summary>
    private const int SpinRounds = 64;

    /// <summary>Rounds that a caller spins for its workers' last chunks before it yields.</summary>
    private const int JoinRounds = 2000;

    private static readonly Lock s_start = new();
    private static Worker[]? s_workers;
    private static int s_taken;

    /// <summary>
    /// By lane, on cache lines of their own: a ticket (epoch &lt;&lt; 32 | next chunk), then where the lane's range ends. The epoch keeps a
    /// late worker from taking a chunk of another piece of work.
    /// </summary>
    private static readonly AlignedBuffer s_tickets = new(Parallelism.LaneCount * TicketStride * sizeof(long));

    private const int TicketStride = 16;

    // The work at hand. The epoch changes before anything else does.
    private static int s_epoch;
    private static int s_lanes = 1;
    private static int s_finished;
    private static delegate*<void*, int, int, void> s_body;
    private static void* s_state;
    private static ExceptionDispatchInfo? s_error;

    /// <summary>Threads of the pool, with the calling one.</summary>
    public static int LaneCount => Parallelism.LaneCount;

    /// <summary>Spreads any work of the calling thread over all lanes, however little it is: tests of small shapes then meet every split.</summary>
    [field: ThreadStatic]
    internal static bool IsEager { get; set; }

    /// <summary>
    /// The lanes that work is worth spreading over now: 1 where it is too little for that or the pool is taken. Little work is given to those
    /// workers only that spin already.
    /// </summary>
    /// <param name="nanoseconds">What the work takes on one thread, roughly.</param>
    /// <param name="maxThreads">The most lanes, 0 for <see cref="Parallelism.MaxThreads"/>.</param>
    public static int LanesFor(double nanoseconds, int maxThreads)
    {
        if (nanoseconds < LeastShared && !IsEager || Parallelism.Resolve(maxThreads) is var most && most == 1 || Volatile.Read(ref s_taken) != 0) return 1;
        if (IsEager) return most;
        most = (int)Math.Min(most, nanoseconds / LeastOfLane);
        if (nanoseconds >= LeastWaking) return most;
        var workers = s_workers ?? Start();
        int lanes = 1;
        while (lanes < most && workers[lanes - 1].IsAwake) lanes++;
        if (lanes < most) Missed += nanoseconds;
        return lanes;
    }

    /// <summary>Nanoseconds of work of the calling thread that were not spread as they might have been, since workers slept; anyone may set it to 0.</summary>
    [field: ThreadStatic]
    public static double Missed { get; set; }

    /// <summary>Wakes the workers for work that is about to come, so that they spin when it is there.</summary>
    /// <param name="maxThreads">The most lanes, 0 for <see cref="Parallelism.MaxThreads"/>.</param>
    public static void Awaken(int maxThreads)
    {
        int lanes = Parallelism.Resolve(maxThreads);
        if (lanes == 1 || Volatile.Read(ref s_taken) != 0) return;
        var workers = s_workers ?? Start();
        for (int i = 0; i < lanes - 1; i++) workers[i].Wake();
    }

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
        int epoch = s_epoch + 1;
        Interlocked.Exchange(ref s_epoch, epoch);
        s_body = body;
        s_state = state;
        s_finished = 0;
        s_error = null;
        s_lanes = lanes;
        for (int lane = 0, from = 0; lane < lanes; lane++)
        {
            int end = (int)((long)chunks * (lane + 1) / lanes);
            long* ticket = TicketOf(lane);
            ticket[1] = end;
            Volatile.Write(ref *ticket, ((long)epoch << 32) | (uint)from);
            from = end;
        }
        for (int i = 0; i < lanes - 1; i++) workers[i].Ask(epoch);

        Drain(epoch, 0);
        var spinner = new SpinWait();
        for (int round = 0; Volatile.Read(ref s_finished) != chunks; round++)
        {
            if (round < JoinRounds) Thread.SpinWait(1);
            else spinner.SpinOnce(sleep1Threshold: -1);
        }
        s_error?.Throw();
    }

    private static long* TicketOf(int lane) => (long*)s_tickets.Pointer + (lane * TicketStride);

    /// <summary>Takes the chunks of the lane, then those of the others, until none are left.</summary>
    private static void Drain(int epoch, int lane)
    {
        int lanes = Volatile.Read(ref s_lanes);
        for (int i = 0; i < lanes; i++)
        {
            long* ticket = TicketOf((lane + i) % lanes);
            while (Take(ticket, epoch) is >= 0 and var chunk)
            {
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
    }

    /// <summary>The next chunk of a range; -1 where none is left, or the work is another by now.</summary>
    private static int Take(long* ticket, int epoch)
    {
        while (true)
        {
            long now = Volatile.Read(ref *ticket), end = Volatile.Read(ref ticket[1]);
            // The end belongs to the ticket only if the epoch has not changed since; then a chunk is left, so that it cannot change before it is taken.
            if ((int)(now >> 32) != epoch || (int)now >= end || Volatile.Read(ref s_epoch) != epoch) return -1;
            if (Interlocked.CompareExchange(ref *ticket, now + 1, now) == now) return (int)now;
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

        public bool IsAwake => Volatile.Read(ref _parked) == 0;

        public void Ask(int epoch)
        {
            Interlocked.Exchange(ref _asked, epoch);
            Wake();
        }

        public void Wake()
        {
            if (Volatile.Read(ref _parked) == 1 && Interlocked.Exchange(ref _parked, 0) == 1) _signal.Release();
        }

        private void Loop()
        {
            int seen = 0;
            while (true)
            {
                if (!IsAsked(seen)) Park(seen);
                else Drain(seen = Volatile.Read(ref _asked), _lane);
            }
        }

        /// <summary>Spins until there is work; false where none came.</summary>
        private bool IsAsked(int seen)
        {
            long start = Stopwatch.GetTimestamp();
            do
            {
                for (int round = 0; round < SpinRounds; round++)
                {
                    if (Volatile.Read(ref _asked) != seen) return true;
                    Thread.SpinWait(1);
                }
            }
            while (Stopwatch.GetTimestamp() - start < s_spinTicks);
            return false;
        }

        private void Park(int seen)
        {
            Interlocked.Exchange(ref _parked, 1);
            // Whoever clears the flag decides: a waker that does owes a signal, so it must be waited for.
            if (Volatile.Read(ref _asked) == seen || Interlocked.Exchange(ref _parked, 0) == 0) _signal.Wait();
        }
    }
}
