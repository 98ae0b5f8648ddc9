using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>Every kernel that can run here, and emulated twins of those that cannot, against the definition: the same bytes.</summary>
[TestClass]
public sealed class Int8KernelTests
{
    private static readonly int[] s_ks = [1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 255, 256, 257];
    private static readonly int[] s_ms = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 17, 25];
    private static readonly int[] s_ns = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 65, 80, 96, 97, 112, 129, 160];

    internal static IEnumerable<Int8Kernel> AllKernels { get; } =
        [.. Int8Gemm.Kernels, .. EmulatedKernels.All.Append(new WindowsVnniKernel()).Where(k => k.IsSupported)];

    private static IEnumerable<object[]> Names => AllKernels.Select(k => new object[] { k.Name });

    private static IEnumerable<object[]> RealNames => Int8Gemm.Kernels.Select(k => new object[] { k.Name });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void EveryDepth(string kernel)
    {
        foreach (int k in s_ks)
            foreach (var fill in Enum.GetValues<Int8Case.Fill>())
                new Int8Case(5, k, 37, k, fill).Check(Find(kernel), transposed: k % 2 == 0, 1);
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void EveryTile(string kernel)
    {
        foreach (int m in s_ms)
            foreach (int n in s_ns)
                new Int8Case(m, 13 + (m % 4), n, m * 1000 + n).Check(Find(kernel), transposed: false, 1);
    }

    [TestMethod]
    [DynamicData(nameof(RealNames))]
    public void BlocksAndThreads(string kernel)
    {
        foreach (var (m, k, n) in new[] { (1, 4096, 700), (3, 1026, 1000), (200, 512, 400), (997, 1030, 33), (130, 129, 513), (4000, 300, 17) })
        {
            var product = new Int8Case(m, k, n, m);
            product.Check(Find(kernel), transposed: false, 1);
            product.Check(Find(kernel), transposed: true, 0);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void DepthBeyondExactInt32(string kernel)
    {
        foreach (int k in new[] { 65536, 65793, 65794, 70001, 131072 + 3 })
            foreach (var fill in new[] { Int8Case.Fill.Random, Int8Case.Fill.Lowest, Int8Case.Fill.Highest })
                new Int8Case(5, k, 3, k, fill).Check(Find(kernel), transposed: true, 2);
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void NothingToDo(string kernel)
    {
        new Int8Case(0, 5, 7, 1).Check(Find(kernel), transposed: false, 1);
        new Int8Case(5, 0, 7, 2).Check(Find(kernel), transposed: false, 1);
        new Int8Case(5, 7, 0, 3).Check(Find(kernel), transposed: false, 1);
    }

    [TestMethod]
    public void AForcedKernelThatIsNotThereIsNamedWithThoseThatAre()
    {
        var error = Assert.ThrowsExactly<PlatformNotSupportedException>(() => Int8Gemm.Find("mmx"));
        StringAssert.Contains(error.Message, "'mmx'");
        foreach (var kernel in Int8Gemm.Kernels) StringAssert.Contains(error.Message, kernel.Name);
        Assert.AreEqual("scalar", Int8Gemm.Find("Scalar").Name);
        Assert.AreSame(Int8Gemm.Kernels[0], Int8Gemm.Find(null));
    }

    [TestMethod]
    public void BadSizesAreErrors()
    {
        Assert.ThrowsExactly<ArgumentException>(() => Int8Gemm.Pack([1, 2, 3], 2, 2, false));
        Assert.ThrowsExactly<ArgumentException>(() => Int8Gemm.Pack([1, 2, 3], 1 << 20, 1 << 20, false));
        var w = Int8Gemm.Pack([1, 2, 3, 4], 2, 2, false);
        var product = new Int32Product(w, 0, []);
        Assert.ThrowsExactly<ArgumentException>(() => product.Run(new byte[3], 2, new int[4], new byte[product.WorkspaceBytes(2)], 1));
        Assert.ThrowsExactly<ArgumentException>(() => product.Run(new byte[4], 2, new int[3], new byte[product.WorkspaceBytes(2)], 1));
        Assert.ThrowsExactly<ArgumentException>(() => product.Run(new byte[4], 2, new int[4], [], 1));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => product.Run([], -1, [], [], 1));
        Assert.ThrowsExactly<ArgumentException>(() => new Int32Product(w, 0, [1]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new Int32Product(w, 256, []));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new RequantizedProduct(w, 0, [], [1, 1], 0, -1, 255, signedOutput: false));
    }

    [TestMethod]
    [DynamicData(nameof(RealNames))]
    public void ARunAllocatesNothing(string kernel)
    {
        var w = Int8Gemm.Pack(new sbyte[300 * 200], 300, 200, false, Find(kernel));
        var product = new FloatProduct(w, [1f], []);
        byte[] a = new byte[100 * 300], work = new byte[product.WorkspaceBytes(100)];
        float[] c = new float[100 * 200], one = [1f];
        int[] zero = [0];
        for (int i = 0; i < 3; i++) product.Run(a, 100, [1f], [0], c, work, 2);
        Assert.AreEqual(0, AllocatedBytes.Of(() =>
        {
            for (int i = 0; i < 20; i++) product.Run(a, 100, one, zero, c, work, 2);
        }));
    }

    [TestMethod]
    public void ManyThreadsOfMixedShapes()
    {
        var cases = Enumerable.Range(0, 12).Select(i => new Int8Case(1 + (i * 7), 100 + (i * 31), 30 + (i * 40), i)).ToArray();
        var kernels = Int8Gemm.Kernels.Where(k => k.Name != "scalar").DefaultIfEmpty(Int8Gemm.Best).ToArray();
        var errors = new System.Collections.Concurrent.ConcurrentQueue<Exception>();
        for (int round = 0; round < 10; round++)
        {
            var threads = Enumerable.Range(0, 100).Select(i => new Thread(() =>
            {
                try
                {
                    cases[i % cases.Length].Check(kernels[i % kernels.Length], transposed: false, maxThreads: i % 3);
                }
                catch (Exception e)
                {
                    errors.Enqueue(e);
                }
            })).ToArray();
            foreach (var t in threads) t.Start();
            foreach (var t in threads) t.Join();
        }
        if (errors.TryDequeue(out var error)) Assert.Fail(error.Message);
    }

    private static Int8Kernel Find(string name) => AllKernels.First(k => k.Name == name);
}
