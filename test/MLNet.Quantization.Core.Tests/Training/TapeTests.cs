using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

[TestClass]
public sealed class TapeTests
{
    [TestMethod]
    public void TheGradientOfANetworkIsItsSlope()
    {
        var graph = new TrainingGraph(TwoLayers());
        CollectionAssert.AreEqual(new[] { "w1", "b1", "w2" }, graph.Parameters.Select(p => p.Name).ToArray());
        var parameters = graph.Parameters.ToDictionary(p => p.Name, p => (Value: Doubles(p), Gradient: (Values<double>?)new Values<double>(p.Value.Dims)));
        var tape = TapeBuilder<double>.Build(graph, name => parameters[name], [[5, 3]], new(1));
        var random = new Random(4);
        for (int i = 0; i < 15; i++) tape.Input(0)!.Data[i] = random.NextDouble() - 0.5;
        double[] g = [.. Enumerable.Range(0, tape.Output.Count).Select(_ => random.NextDouble() - 0.5)];
        tape.Forward();
        g.CopyTo(tape.OutputGradient.Data, 0);
        tape.Backward();
        foreach (var (name, (value, gradient)) in parameters)
            for (int i = 0; i < value.Count; i++)
            {
                double at = value.Data[i];
                double above = Loss(at + 1e-5), below = Loss(at - 1e-5);
                value.Data[i] = at;
                Assert.AreEqual((above - below) / 2e-5, gradient!.Data[i], 1e-7, $"{name}[{i}]");

                double Loss(double v)
                {
                    value.Data[i] = v;
                    tape.Forward();
                    return tape.Output.Data.Zip(g, (a, b) => a * b).Sum();
                }
            }
    }

    [TestMethod]
    public void WhatHasNoGradientIsNamedBeforeTraining()
    {
        var graph = TwoLayers();
        graph = graph with { Nodes = [.. graph.Nodes.Select(n => n.OpType == "Relu" ? n with { OpType = "Ceil" } : n)] };
        var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => new TrainingGraph(graph));
        Assert.AreEqual("r", e.NodeName);
        Assert.Contains("Gemm", e.Message);
    }

    [TestMethod]
    public void APoolWhosePlacesNobodyReadsIsTrainedAndOneWhosePlacesMatterIsNot()
    {
        ModelGraph Pooled(params Node[] rest) => new()
        {
            Inputs = [new("x", ElementType.Float, TensorShape.FromDims([1, 1, 6, 6]))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes =
            [
                Node.Create("conv", "Conv", ["x", "w"], ["c"]),
                Node.Create("pool", "MaxPool", ["c"], [rest.Length == 0 ? "y" : "p", "places"]) with { Attributes = AttributeMap.Empty.With("kernel_shape", ImmutableArray.Create(2L, 2L)) },
                .. rest,
            ],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("w", Tensor.Create([.. Enumerable.Range(0, 9).Select(i => 0.1f * i)], 1, 1, 3, 3)).Add("table", Tensor.Create([.. Enumerable.Range(0, 16).Select(i => (float)i)], 16)),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 13),
        };
        var trained = new TrainingGraph(Pooled());
        var gradient = new Values<double>(1, 1, 3, 3);
        var tape = TapeBuilder<double>.Build(trained, _ => (Doubles(trained.Parameters.Single()), gradient), [[1, 1, 6, 6]], new(1));
        Array.Fill(tape.Input(0)!.Data, 1);
        tape.Forward();
        Array.Fill(tape.OutputGradient.Data, 1);
        tape.Backward();
        foreach (double slope in gradient.Data) Assert.AreEqual(9, slope, 1e-12);

        var read = new TrainingGraph(Pooled(Node.Create("pick", "Gather", ["table", "places"], ["picked"]), Node.Create("sum", "Add", ["p", "picked"], ["y"])));
        var e = Assert.ThrowsExactly<UnsupportedOperatorException>(() => TapeBuilder<double>.Build(read, n => (new Values<double>(read.Parameters.Single(p => p.Name == n).Value.Dims), null), [[1, 1, 6, 6]], new(1)));
        Assert.AreEqual("pool", e.NodeName);
    }

    [TestMethod]
    public void AModelWithoutWeightsCannotBeTrained()
    {
        var graph = TwoLayers();
        Assert.ThrowsExactly<ModelFormatException>(() => new TrainingGraph(graph with { Nodes = [Node.Create("r", "Relu", ["x"], ["y"])], Initializers = graph.Initializers.Clear() }));
    }

    private static ModelGraph TwoLayers()
    {
        var random = new Random(3);
        return new()
        {
            Inputs = [new("x", ElementType.Float, new(new Dimension("N"), 3))],
            Outputs = [new("y", ElementType.Float, null)],
            OpsetImports = System.Collections.Immutable.ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
            Nodes =
            [
                Node.Create("g", "Gemm", ["x", "w1", "b1"], ["h"]),
                Node.Create("r", "Relu", ["h"], ["hr"]),
                Node.Create("g2", "Gemm", ["hr", "w2"], ["y"]),
            ],
            Initializers = System.Collections.Immutable.ImmutableDictionary<string, Tensor>.Empty
                .Add("w1", Normal(3, 4)).Add("b1", Normal(4)).Add("w2", Normal(4, 2)),
        };

        Tensor Normal(params int[] dims) => Tensor.Create([.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => (float)(random.NextDouble() - 0.5))], dims);
    }

    private static Values<double> Doubles(Parameter p) => new(p.Value.Dims, Array.ConvertAll(p.Value.Data, v => (double)v));
}
