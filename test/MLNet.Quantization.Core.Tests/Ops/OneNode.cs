using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>A single node, run as a program by itself: on one thread, then split over several, which must give the same bits.</summary>
internal static class OneNode
{
    /// <param name="node">Named by its inputs and outputs.</param>
    /// <param name="inputs">By position; as many as the node names.</param>
    /// <param name="constant">Positions that are constants of the graph instead of inputs of the run.</param>
    /// <param name="opset">Of the standard.</param>
    /// <param name="threads">Most threads of a run.</param>
    /// <param name="overwrites">True: each float32 input passes a Mul by 1 first, so that the node reads memory that it may write over.</param>
    /// <param name="output">Which output.</param>
    /// <returns>The output.</returns>
    public static Tensor Run(Node node, Tensor[] inputs, int[]? constant = null, int opset = 21, int threads = 1, bool overwrites = false, int output = 0)
    {
        constant ??= [];
        var names = node.Inputs.ToArray();
        int[] fed = [.. Enumerable.Range(0, inputs.Length).Where(i => !constant.Contains(i) && Array.IndexOf(names, names[i]) == i)];
        string Fed(int i) => overwrites && inputs[i].Type == ElementType.Float ? $"{names[i]}_in" : names[i];
        var graph = new ModelGraph
        {
            Inputs = [.. fed.Select(i => new ValueInfo(Fed(i), inputs[i].Type, inputs[i].Shape))],
            Outputs = [new(node.Outputs[output], ElementType.Undefined, null)],
            Nodes = [.. fed.Where(i => Fed(i) != names[i]).Select(i => Node.Create($"copy{i}", "Mul", [Fed(i), "one"], [names[i]])), node],
            Initializers = constant.ToImmutableDictionary(i => names[i], i => inputs[i], StringComparer.Ordinal).Add("one", Tensor.Scalar(1f)),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", opset),
        };
        var program = Program.Compile(graph, new() { MaxThreads = threads });
        WorkerPool.IsEager = true;
        using var run = program.Rent([.. fed.Select(i => inputs[i].Dims)]);
        WorkerPool.IsEager = false;
        for (int i = 0; i < fed.Length; i++) inputs[fed[i]].Bytes.Span.CopyTo(run.Input<byte>(i));
        run.Execute();
        byte[] result = run.Output<byte>(0).ToArray();
        WorkerPool.IsEager = true;
        run.Execute(null, WorkerPool.LaneCount);
        WorkerPool.IsEager = false;
        CollectionAssert.AreEqual(result, run.Output<byte>(0).ToArray(), $"{node.OpType}: one thread gives other bits than several.");
        return new(GraphInference.Infer(graph)[node.Outputs[output]].Type, run.OutputShape(0), result);
    }

    /// <summary>Numbers from -2 to 2.</summary>
    public static Tensor Floats(Random random, params int[] dims) =>
        Tensor.Create([.. Enumerable.Range(0, Count(dims)).Select(_ => (float)((random.NextDouble() * 4) - 2))], dims);

    public static int Count(ReadOnlySpan<int> dims)
    {
        int count = 1;
        foreach (int d in dims) count *= d;
        return count;
    }

    /// <summary>The element of a broadcast operand that element <paramref name="index"/> of the result reads.</summary>
    public static int Source(int index, int[] dims, int[] operand)
    {
        int source = 0, stride = 1;
        for (int i = 1; i <= dims.Length; i++)
        {
            int at = index % dims[^i];
            index /= dims[^i];
            if (i > operand.Length) continue;
            if (operand[^i] > 1) source += at * stride;
            stride *= operand[^i];
        }
        return source;
    }

    public static int[] Bits(Tensor t) => [.. t.Span<float>().ToArray().Select(BitConverter.SingleToInt32Bits)];
}
