using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Tests.Ops;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public sealed class NormalizeInPlaceTests
{
    [TestMethod]
    [DataRow(new[] { 2, 5, 7 }, new long[] { 0, 2, 1 }, new long[] { 0, 2, 1 }, true)]
    [DataRow(new[] { 2, 3, 5, 7 }, new long[] { 0, 3, 1, 2 }, new long[] { 0, 2, 3, 1 }, true)]
    [DataRow(new[] { 2, 5, 7 }, new long[] { 1, 2, 0 }, new long[] { 2, 0, 1 }, true)]
    [DataRow(new[] { 2, 5, 7 }, new long[] { 0, 2, 1 }, new long[] { 2, 0, 1 }, false)]
    [DataRow(new[] { 2, 7, 5 }, new long[] { 0, 1, 2 }, new long[] { 0, 1, 2 }, false)]
    public void ComputesTheSameBitsWithoutTransposes(int[] dims, long[] to, long[] back, bool matches)
    {
        var random = new Random(2);
        Tensor Positive() => Tensor.Create([.. Enumerable.Range(0, 7).Select(_ => random.NextSingle() + 0.1f)], 7);
        var graph = new ModelGraph
        {
            Inputs = [new("x", ElementType.Float, TensorShape.FromDims(dims))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes =
            [
                Node.Create("to", "Transpose", ["x"], ["t"]) with { Attributes = AttributeMap.Empty.With("perm", to.ToImmutableArray()) },
                Node.Create("norm", "BatchNormalization", ["t", "s", "b", "m", "v"], ["n"]),
                Node.Create("back", "Transpose", ["n"], ["y"]) with { Attributes = AttributeMap.Empty.With("perm", back.ToImmutableArray()) },
            ],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("s", Positive()).Add("b", OneNode.Floats(random, 7)).Add("m", OneNode.Floats(random, 7)).Add("v", Positive()),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };
        var edited = NormalizeInPlace.Apply(graph, MLNet.Quantization.Ops.GraphInference.Infer(graph));
        Assert.AreEqual(matches, edited.Nodes.All(n => n.OpType is "Mul" or "Add"));
        float[] x = OneNode.Floats(random, dims).Span<float>().ToArray();
        CollectionAssert.AreEqual(Score(graph, dims, x), Score(edited, dims, x));
    }

    [TestMethod]
    public void APoolBehindAConvolutionWhoseResultStaysFloatIsChannelsLast()
    {
        var random = new Random(4);
        foreach (int[] pads in new[] { new[] { 0, 0, 0, 0 }, [1, 0, 1, 2] })
        {
            var graph = new ModelGraph
            {
                Inputs = [new("x", ElementType.Float, new(new Dimension("N"), 3, 13, 11))],
                Outputs = [new("y", ElementType.Float, null)],
                Nodes =
                [
                    Node.Create("conv", "Conv", ["x", "w"], ["c"]),
                    Node.Create("relu", "Relu", ["c"], ["r"]),
                    Node.Create("pool", "MaxPool", ["r"], ["y"]) with
                    {
                        Attributes = AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create(3L, 3)).With("strides", ImmutableArray.Create(2L, 2)).With("pads", pads.Select(p => (long)p).ToImmutableArray()),
                    },
                ],
                Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("w", OneNode.Floats(random, 20, 3, 3, 3)),
                OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
            };
            var model = MLNet.Quantization.Pipeline.QuantizationRecipe.QuantizeDynamic(MLNet.Quantization.Pipeline.PreparedModel.Prepare(graph));
            var lowered = LowerQuantized.Apply(model.Graph);
            Assert.IsTrue(lowered.Nodes.Any(n => n.OpType == "FloatMaxPool"));
            float[] x = OneNode.Floats(random, 2, 3, 13, 11).Span<float>().ToArray();
            var before = LowerQuantized.Apply(MLNet.Quantization.Pipeline.QuantizationRecipe.QuantizeDynamic(MLNet.Quantization.Pipeline.PreparedModel.Prepare(
                graph with { Nodes = graph.Nodes[..2], Outputs = [new("r", ElementType.Float, null)] })).Graph);
            var pooled = before with { Nodes = before.Nodes.Add(graph.Nodes[2]), Outputs = graph.Outputs };
            CollectionAssert.AreEqual(Score(pooled, [2, 3, 13, 11], x), Score(lowered, [2, 3, 13, 11], x));
        }
    }

    private static int[] Score(ModelGraph graph, int[] dims, float[] x)
    {
        using var run = Program.Compile(graph).Rent(dims);
        x.CopyTo(run.Input<float>(0));
        run.Execute();
        return Array.ConvertAll(run.Output<float>(0).ToArray(), BitConverter.SingleToInt32Bits);
    }
}
