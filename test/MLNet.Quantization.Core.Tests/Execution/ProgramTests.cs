using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Execution;

[TestClass]
public class ProgramTests
{
    private static ModelGraph TwoLayers() => new()
    {
        Inputs = [new("x", ElementType.Float, new TensorShape(new Dimension("N"), 2))],
        Outputs = [new("y", ElementType.Float, null)],
        Nodes =
        [
            Node.Create("dense1", "Gemm", ["x", "w1", "b1"], ["h"]),
            Node.Create("relu1", "Relu", ["h"], ["r"]),
            Node.Create("dense2", "Gemm", ["r", "w2"], ["y"]),
        ],
        Initializers = ImmutableDictionary<string, Tensor>.Empty
            .Add("w1", Tensor.Create([1f, 2, 3, 4, 5, 6], 2, 3))
            .Add("b1", Tensor.Create([0f, -20, 1], 3))
            .Add("w2", Tensor.Create([1f, 1, 1], 3, 1)),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    };

    [TestMethod]
    public void ScoresBatchesOfAnySizeWithTheSameResults()
    {
        var program = Program.Compile(TwoLayers());
        foreach (int rows in new[] { 1, 2, 5, 1 })
        {
            using var run = program.Rent([rows, 2]);
            for (int i = 0; i < rows; i++) new float[] { 1 + i, 2 }.CopyTo(run.Input<float>(0)[(i * 2)..]);
            run.Execute();
            CollectionAssert.AreEqual(new[] { rows, 1 }, run.OutputShape(0));
            // Row [1 + i, 2]: hidden [9 + i, max(0, 2i - 8), 16 + 3i].
            for (int i = 0; i < rows; i++) Assert.AreEqual(25 + 4 * i + Math.Max(0, 2 * i - 8), run.Output<float>(0)[i]);
        }
    }

    [TestMethod]
    public void ARunKeepsItsInputsAndAllocatesNothing()
    {
        var program = Program.Compile(TwoLayers());
        using var run = program.Rent([4, 2]);
        run.Input<float>(0).Fill(1);
        run.Execute();
        float first = run.Output<float>(0)[3];
        Assert.AreEqual(0, AllocatedBytes.Of(() =>
        {
            for (int i = 0; i < 100; i++) run.Execute();
        }));
        Assert.AreEqual(first, run.Output<float>(0)[3]);
    }

    [TestMethod]
    public void ATapSeesEveryWatchedValueInOrder()
    {
        var program = Program.Compile(TwoLayers(), new() { Watched = ["r", "x", "h"] });
        using var run = program.Rent([1, 2]);
        new float[] { 1, 2 }.CopyTo(run.Input<float>(0));
        var tap = new RecordingTap();
        run.Execute(tap);
        CollectionAssert.AreEqual(new[] { "1:1,2", "2:9,-8,16", "0:9,0,16" }, tap.Seen);
    }

    [TestMethod]
    public void WrongShapesAreNamed()
    {
        var program = Program.Compile(TwoLayers());
        var e = Assert.ThrowsExactly<ModelFormatException>(() => program.Rent([1, 3]));
        Assert.AreEqual("Input 'x' was given shape [1,3], the model expects [N,2].", e.Message);
    }

    [TestMethod]
    public void ManyThreadsShareOneProgram()
    {
        var program = Program.Compile(TwoLayers());
        Parallel.For(0, 200, i =>
        {
            int rows = i % 7 + 1;
            using var run = program.Rent([rows, 2]);
            run.Input<float>(0).Fill(i);
            run.Execute();
            foreach (float y in run.Output<float>(0)) Assert.AreEqual(5f * i + Math.Max(0, 7f * i - 20) + 9f * i + 1, y);
        });
    }

    private sealed class RecordingTap : IValueTap
    {
        public List<string> Seen { get; } = [];

        public void Observe(int watched, in TensorView value) => Seen.Add($"{watched}:{string.Join(',', value.Read<float>().ToArray())}");
    }
}
