using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

[TestClass]
public sealed class TrainerTests
{
    [TestMethod]
    public void ItLearns()
    {
        var network = MadeUpRows.Network();
        var seen = new List<TrainingProgress>();
        Run(network, new() { Epochs = 20, LearningRate = 0.02, Progress = seen.Add });
        Assert.HasCount(20, seen);
        Assert.IsLessThan(seen[0].Loss / 2, seen[^1].Loss);
        Assert.IsGreaterThan(0.9, seen[^1].ValidationAccuracy!.Value);
        Assert.IsTrue(seen.TrueForAll(p => p.RowsPerSecond > 0 && p.LearningRate == 0.02));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void TheSameSeedGivesTheSameBits(int threads)
    {
        var (first, second, other) = (MadeUpRows.Network(threads), MadeUpRows.Network(threads), MadeUpRows.Network(threads));
        Run(first, new() { Epochs = 3 });
        Run(second, new() { Epochs = 3 });
        Run(other, new() { Epochs = 3 }, seed: 2);
        CollectionAssert.AreEqual(MadeUpRows.Bits(first), MadeUpRows.Bits(second));
        CollectionAssert.AreNotEqual(MadeUpRows.Bits(first), MadeUpRows.Bits(other));
    }

    [TestMethod]
    public void GradientsThatAreTooLongAreShortened()
    {
        var network = MadeUpRows.Network();
        float[] before = [.. network.Parameters.SelectMany(p => p.Value.Data)];
        new Trainer(network, new CrossEntropy(), MadeUpRows.Data(16), null, new() { Optimizer = TrainingOptimizer.Sgd, LearningRate = 1, GradientClipping = 1e-3 }).Run();
        double moved = Math.Sqrt(network.Parameters.SelectMany(p => p.Value.Data).Zip(before, (a, b) => (double)(a - b) * (a - b)).Sum());
        Assert.AreEqual(1e-3, moved, 1e-6);
    }

    [TestMethod]
    public void AnEmptySetIsATypedError()
    {
        Assert.ThrowsExactly<TrainingException>(() => new Trainer(MadeUpRows.Network(), new CrossEntropy(), MadeUpRows.Data(0), null, new()).Run());
        Assert.ThrowsExactly<TrainingException>(() => new Trainer(MadeUpRows.Network(), new CrossEntropy(), MadeUpRows.Data(8), MadeUpRows.Data(0), new()).Run());
    }

    [TestMethod]
    public void CancellationIsHeardBetweenBatches()
    {
        using var source = new CancellationTokenSource();
        var options = new TrainerOptions { Epochs = 5, CancellationToken = source.Token, Progress = _ => source.Cancel() };
        Assert.ThrowsExactly<OperationCanceledException>(() => Run(MadeUpRows.Network(), options));
    }

    /// <summary>Loss and weights may stay finite then; what was learned is worthless all the same.</summary>
    [TestMethod]
    [DataRow(TrainingOptimizer.Sgd, null, true)]
    [DataRow(TrainingOptimizer.Sgd, 2, false)]
    [DataRow(TrainingOptimizer.Adam, null, false)]
    [DataRow(TrainingOptimizer.Adam, 2, true)]
    [DataRow(TrainingOptimizer.AdamW, null, true)]
    public void ARateOfAMillionIsAnErrorThatLeavesTheLastGoodParameters(TrainingOptimizer optimizer, int? patience, bool validates)
    {
        var network = MadeUpRows.Network();
        byte[] before = MadeUpRows.Bits(network);
        var e = Assert.ThrowsExactly<TrainingException>(() => new Trainer(network, new CrossEntropy(), MadeUpRows.Data(64), validates ? MadeUpRows.Data(16, seed: null) : null,
            new() { Optimizer = optimizer, LearningRate = 1e6, Epochs = 8, Patience = patience }).Run());
        Assert.AreEqual(0, e.Epoch);
        Assert.Contains("1000000", e.Message);
        CollectionAssert.AreEqual(before, MadeUpRows.Bits(network));
    }

    /// <summary>Answering 0 may happen to be right for the first batch: what counts is the whole epoch.</summary>
    [TestMethod]
    public void AFirstBatchOfZerosIsNoSignOfHavingRunAway()
    {
        var graph = new ModelGraph
        {
            Inputs = [new("x", ElementType.Float, new(new Dimension("N"), 4))],
            Outputs = [new("y", ElementType.Float, null)],
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
            Nodes = [Node.Create("n", "Gemm", ["x", "w"], ["y"])],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("w", Diagonal(1)),
        };
        float[] x = [.. Enumerable.Repeat(1f, 16)], labels = [.. new float[8], .. Enumerable.Repeat(2f, 8)];
        double loss = 0;
        new Trainer(new FloatNetwork(graph, "y", 1), new MeanSquaredError(), new ArrayData([x], [[4]], labels, 2, null), null, new() { Progress = p => loss = p.Loss }).Run();
        Assert.AreEqual(1, loss, 0.05);
    }

    /// <summary>Parameters that the last step spoils show in no loss of an epoch.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void WhatTheLastStepSpoilsIsFound(bool validates)
    {
        var network = MadeUpRows.Network();
        byte[] before = MadeUpRows.Bits(network);
        Assert.ThrowsExactly<TrainingException>(() => new Trainer(network, new CrossEntropy(), MadeUpRows.Data(16), validates ? MadeUpRows.Data(16) : null,
            new() { Optimizer = TrainingOptimizer.Sgd, LearningRate = double.MaxValue }).Run());
        CollectionAssert.AreEqual(before, MadeUpRows.Bits(network));
    }

    /// <summary>Finite gradients whose squares are not: clipping makes them harmless, as it is meant to.</summary>
    [TestMethod]
    public void GradientsWhoseSquaresOverflowCanBeClipped()
    {
        var network = MadeUpRows.Network();
        new Trainer(network, new Slope(1e30f), MadeUpRows.Data(16), null, new() { Optimizer = TrainingOptimizer.Sgd, LearningRate = 1, GradientClipping = 1 }).Run();
        Assert.IsTrue(network.Parameters.All(p => Array.TrueForAll(p.Value.Data, float.IsFinite)));
    }

    /// <summary>Without validation data the last good epoch is the one before, patience or not.</summary>
    [TestMethod]
    [DataRow(null)]
    [DataRow(3)]
    public void AnInfiniteLossGoesBackToTheEpochBefore(int? patience)
    {
        var (network, two) = (MadeUpRows.Network(), MadeUpRows.Network());
        new Trainer(two, new CrossEntropy(), MadeUpRows.Data(64), null, new() { Epochs = 2 }).Run();
        var e = Assert.ThrowsExactly<TrainingException>(() => new Trainer(network, new FailsAfter(8), MadeUpRows.Data(64), null, new() { Epochs = 5, Patience = patience }).Run());
        Assert.AreEqual(2, e.Epoch);
        Assert.AreEqual(8, e.Step);
        CollectionAssert.AreEqual(MadeUpRows.Bits(two), MadeUpRows.Bits(network));
    }

    [TestMethod]
    public void TheFirstBadTensorIsNamed()
    {
        var network = MadeUpRows.Network();
        network.Parameters.First(p => p.Name == "w2").Value.Data[0] = float.NaN;
        var e = Assert.ThrowsExactly<TrainingException>(() => Run(network, new()));
        Assert.AreEqual("second", e.NodeName);
    }

    /// <summary>Layers of one width, whose gradients share memory: what goes bad in the middle does not spoil the name of the last one.</summary>
    [TestMethod]
    public void TheFirstBadGradientIsNamed()
    {
        var graph = new ModelGraph
        {
            Inputs = [new("x", ElementType.Float, new(new Dimension("N"), 4))],
            Outputs = [new("y5", ElementType.Float, null)],
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
            Nodes = [.. Enumerable.Range(0, 6).Select(i => Node.Create($"n{i}", "Gemm", [i == 0 ? "x" : $"y{i - 1}", $"w{i}"], [$"y{i}"]))],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.AddRange(Enumerable.Range(0, 6).Select(i => KeyValuePair.Create($"w{i}", Diagonal(i == 2 ? 3e38f : 1)))),
        };
        var rows = new ArrayData([new float[8]], [[4]], new float[8], 2, null);
        var e = Assert.ThrowsExactly<TrainingException>(() => new Trainer(new FloatNetwork(graph, "y5", 1), new Slope(10), rows, null, new()).Run());
        Assert.AreEqual(("n2", "y1"), (e.NodeName, e.TensorName));
    }

    [TestMethod]
    public void PassesOfManyShapesDoNotPileUp()
    {
        var network = MadeUpRows.Network();
        var first = Passes(network, 40);
        GC.Collect();
        Assert.IsLessThanOrEqualTo(16, first.Count(p => p.IsAlive));
        Assert.AreSame(network.TapeOf([40, MadeUpRows.Width]), network.TapeOf([40, MadeUpRows.Width]));
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static WeakReference[] Passes(FloatNetwork network, int count) => [.. Enumerable.Range(1, count).Select(rows => new WeakReference(network.TapeOf([rows, MadeUpRows.Width])))];

    [TestMethod]
    [DoNotParallelize] // It measures the whole process.
    public void MemoryIsFlatOverEpochs()
    {
        // Managed memory after everything was collected; the first epochs make tapes, plans and compiled code.
        var bytes = new List<long>(64);
        Run(MadeUpRows.Network(), new() { Epochs = 40, Progress = _ => bytes.Add(Held()) });
        Assert.IsLessThan(64 << 10, bytes[20..].Min() - bytes[5..20].Min(), string.Join(' ', bytes));

        static long Held()
        {
            for (int i = 0; i < 2; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
            return GC.GetTotalMemory(forceFullCollection: true);
        }
    }

    internal static void Run(FloatNetwork network, TrainerOptions options, int seed = 1) =>
        new Trainer(network, new CrossEntropy(), MadeUpRows.Data(203, seed: seed), MadeUpRows.Data(50, seed: null, from: 9), options).Run();

    private static Tensor Diagonal(float value) => Tensor.Create([.. Enumerable.Range(0, 16).Select(i => i % 5 == 0 ? value : 0)], 4, 4);

    private sealed class FailsAfter(int batches) : Loss
    {
        private readonly CrossEntropy _inner = new();
        private int _seen;

        public override double Evaluate(Quantization.Ops.Values<float> output, ReadOnlySpan<float> labels, Quantization.Ops.Values<float>? gradient, long firstRow)
        {
            double loss = _inner.Evaluate(output, labels, gradient, firstRow);
            return gradient is null || _seen++ < batches ? loss : double.PositiveInfinity;
        }
    }

    private sealed class Slope(float slope) : Loss
    {
        public override double Evaluate(Quantization.Ops.Values<float> output, ReadOnlySpan<float> labels, Quantization.Ops.Values<float>? gradient, long firstRow)
        {
            if (gradient is not null) Array.Fill(gradient.Data, slope);
            return 1;
        }
    }
}
