using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

[TestClass]
public sealed class WorkerPoolTests
{
    [TestMethod]
    public void EveryChunkRunsOnceInALaneOfItsOwn()
    {
        for (int round = 0; round < 2000; round++)
        {
            int chunks = round % 40;
            var body = new Counting(new int[chunks], new int[WorkerPool.LaneCount]);
            WorkerPool.Run(ref body, chunks, 0);
            Assert.IsTrue(body.Counts.All(c => c == 1));
        }
    }

    [TestMethod]
    public void ManyCallersAndNestedWork()
    {
        var threads = Enumerable.Range(0, 50).Select(_ => new Thread(() =>
        {
            for (int round = 0; round < 50; round++)
            {
                var body = new Nesting(new int[8]);
                WorkerPool.Run(ref body, 8, 0);
                if (body.Counts.Any(c => c != 5)) throw new InvalidOperationException("A chunk was lost.");
            }
        })).ToArray();
        foreach (var t in threads) t.Start();
        foreach (var t in threads) t.Join();
    }

    [TestMethod]
    public void AChunkThatTakesLongHoldsNoOtherUp()
    {
        for (int round = 0; round < 200; round++)
        {
            var body = new Waiting(new int[1], new int[1], 8);
            WorkerPool.Run(ref body, 8, 2);
            Assert.IsFalse(body.TimedOut, "The chunks behind it were left to its lane.");
        }
    }

    [TestMethod]
    public void RangesCoverEveryElementOnceAndBeginAtUnits()
    {
        WorkerPool.IsEager = true;
        foreach (int unit in new[] { 1, 3, 16, 64 })
            for (int count = 0; count < 300; count += 7)
            {
                var body = new Covering(new int[count], unit);
                Ranges.Run(ref body, count, unit, 1e6, 0);
                Assert.IsTrue(body.Counts.All(c => c == 1), $"{count} elements by {unit}");
            }
        WorkerPool.IsEager = false;
    }

    [TestMethod]
    public void LittleWorkStaysOnItsThread()
    {
        Assert.AreEqual(1, WorkerPool.LanesFor(100, 0));
        Assert.AreEqual(1, WorkerPool.LanesFor(1e9, 1));
        var body = new Asking(new int[1]);
        WorkerPool.Run(ref body, 2, 2);
        Assert.AreEqual(0, body.Most[0], "Work within work was to be spread.");
    }

    [TestMethod]
    public void WorkersWakeForWorkAfterAPause()
    {
        for (int round = 0; round < 20; round++)
        {
            Thread.Sleep(2);
            WorkerPool.Awaken(0);
            var body = new Counting(new int[16], new int[WorkerPool.LaneCount]);
            WorkerPool.Run(ref body, 16, 0);
            Assert.IsTrue(body.Counts.All(c => c == 1));
        }
    }

    [TestMethod]
    public void AnErrorReachesTheCaller()
    {
        var body = new Failing();
        Assert.ThrowsExactly<InvalidOperationException>(() =>
        {
            var b = body;
            WorkerPool.Run(ref b, 10, 0);
        });
    }

    [TestMethod]
    public void TheLimitIsAtLeastOne()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Parallelism.MaxThreads = 0);
        Assert.IsTrue(Parallelism.MaxThreads >= 1);
        Assert.AreEqual(1, Parallelism.Resolve(1));
    }

    private readonly struct Counting(int[] counts, int[] lanes) : IParallelBody
    {
        public int[] Counts => counts;

        public void Run(int chunk, int lane)
        {
            if (Interlocked.Increment(ref lanes[lane]) != 1) throw new InvalidOperationException("Two chunks in one lane.");
            Interlocked.Increment(ref counts[chunk]);
            Interlocked.Decrement(ref lanes[lane]);
        }
    }

    /// <summary>The first chunk that a worker takes waits for all others.</summary>
    private struct Waiting(int[] waits, int[] finished, int chunks) : IParallelBody
    {
        public bool TimedOut;

        public void Run(int chunk, int lane)
        {
            if (lane > 0 && Interlocked.Exchange(ref waits[0], 1) == 0)
            {
                int[] all = finished;
                int others = chunks - 1;
                if (!SpinWait.SpinUntil(() => Volatile.Read(ref all[0]) >= others, 5000)) TimedOut = true;
            }
            Interlocked.Increment(ref finished[0]);
        }
    }

    private readonly struct Covering(int[] counts, int unit) : IRangeBody
    {
        public int[] Counts => counts;

        public void Run(int from, int to)
        {
            if (from % unit != 0) throw new InvalidOperationException($"A range begins at {from}.");
            for (int i = from; i < to; i++) Interlocked.Increment(ref counts[i]);
        }
    }

    private readonly struct Asking(int[] most) : IParallelBody
    {
        public int[] Most => most;

        public void Run(int chunk, int lane)
        {
            if (WorkerPool.LanesFor(1e9, 0) > 1) Interlocked.Increment(ref most[0]);
        }
    }

    private readonly struct Nesting(int[] counts) : IParallelBody
    {
        public int[] Counts => counts;

        public void Run(int chunk, int lane)
        {
            var inner = new Inner(counts, chunk);
            WorkerPool.Run(ref inner, 5, 0);
        }
    }

    private readonly struct Inner(int[] counts, int at) : IParallelBody
    {
        public void Run(int chunk, int lane) => Interlocked.Increment(ref counts[at]);
    }

    private readonly struct Failing : IParallelBody
    {
        public void Run(int chunk, int lane) => throw new InvalidOperationException("chunk " + chunk);
    }
}
