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
