using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

/// <summary>A perceptron 4 -> 8 -> 3, and rows that it can learn: the class is the greatest of three sums.</summary>
internal static class MadeUpRows
{
    public const int Width = 4, Classes = 3;

    public static ModelGraph Perceptron(bool endsInSoftmax = true)
    {
        var random = new SplitMix64(7);
        return new()
        {
            Inputs = [new("x", ElementType.Float, new(new Dimension("N"), Width))],
            Outputs = [new(endsInSoftmax ? "p" : "y", ElementType.Float, null)],
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
            Nodes =
            [
                Node.Create("first", "Gemm", ["x", "w1", "b1"], ["h"]),
                Node.Create("bend", "Relu", ["h"], ["hr"]),
                Node.Create("second", "Gemm", ["hr", "w2", "b2"], ["y"]),
                .. endsInSoftmax ? [Node.Create("end", "Softmax", ["y"], ["p"])] : Array.Empty<Node>(),
            ],
            Initializers = ImmutableDictionary<string, Tensor>.Empty.Add("w1", Uniform(Width, 8)).Add("b1", Uniform(8)).Add("w2", Uniform(8, Classes)).Add("b2", Uniform(Classes)),
        };

        Tensor Uniform(params int[] dims) => Tensor.Create([.. Enumerable.Range(0, dims.Aggregate(1, (a, b) => a * b)).Select(_ => (float)(random.NextUniform() - 0.5))], dims);
    }

    public static FloatNetwork Network(int maxThreads = 1)
    {
        var graph = Perceptron();
        return new(graph, MLNet.Quantization.Training.Network.OutputFor(graph, TrainingLoss.CrossEntropy), maxThreads);
    }

    public static ArrayData Data(int rows, int batchSize = 16, int? seed = 1, ulong from = 5)
    {
        var random = new SplitMix64(from);
        var x = new float[rows * Width];
        for (int i = 0; i < x.Length; i++) x[i] = (float)((2 * random.NextUniform()) - 1);
        var labels = new float[rows];
        for (int r = 0; r < rows; r++)
        {
            var row = x.AsSpan(r * Width, Width);
            float[] sums = [row[0] + row[1], row[2] - row[0], row[3] - row[1]];
            labels[r] = Array.IndexOf(sums, sums.Max());
        }
        return new([x], [[Width]], labels, batchSize, seed);
    }

    public static byte[] Bits(FloatNetwork network) => [.. network.Parameters.SelectMany(p => p.Value.Data).SelectMany(BitConverter.GetBytes)];
}
