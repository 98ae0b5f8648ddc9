using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Operators on random shapes against plain definitions; what the standard's own cases do not reach.</summary>
[TestClass]
public sealed class OperatorTests
{
    [TestMethod]
    public void ArithmeticBroadcastsAsTheDefinitionSays()
    {
        var random = new Random(1);
        for (int i = 0; i < 400; i++)
        {
            int rank = random.Next(5);
            int[] full = [.. Enumerable.Range(0, rank).Select(_ => random.Next(10) == 0 ? 0 : random.Next(1, 5))];
            int[] a = Thinned(random, full), b = Thinned(random, full);
            Tensor x = OneNode.Floats(random, a), y = OneNode.Floats(random, b);
            var (op, f) = ((string, Func<float, float, float>)[])[("Add", (p, q) => p + q), ("Sub", (p, q) => p - q), ("Mul", (p, q) => p * q), ("Div", (p, q) => p / q)] is var all ? all[i % 4] : default;
            var found = OneNode.Run(Node.Create("n", op, ["x", "y"], ["z"]), [x, y]);
            int[] dims = [.. Enumerable.Range(0, Math.Max(a.Length, b.Length)).Select(k => Math.Max(At(a, k, b.Length), At(b, k, a.Length)) is var m && (At(a, k, b.Length) == 0 || At(b, k, a.Length) == 0) ? 0 : m)];
            CollectionAssert.AreEqual(dims, found.Dims);
            for (int e = 0; e < found.Count; e++)
                Assert.AreEqual(f(x.Span<float>()[OneNode.Source(e, dims, a)], y.Span<float>()[OneNode.Source(e, dims, b)]), found.Span<float>()[e], $"{op} [{string.Join(',', a)}] [{string.Join(',', b)}]");
        }

        static int At(int[] dims, int axis, int other) => axis - (Math.Max(dims.Length, other) - dims.Length) is var k && k >= 0 ? dims[k] : 1;
    }

    [TestMethod]
    public void GemmInAllItsForms()
    {
        var random = new Random(2);
        for (int i = 0; i < 200; i++)
        {
            int m = random.Next(0, 9), k = random.Next(0, 9), n = random.Next(1, 40);
            bool transA = random.Next(2) == 0, transB = random.Next(2) == 0, isConstant = random.Next(2) == 0;
            float alpha = random.Next(2) == 0 ? 1 : 0.5f, beta = random.Next(2) == 0 ? 1 : -2f;
            int[][] shapes = [[], [1], [n], [1, n], [m, 1], [m, n]];
            int[] cDims = shapes[random.Next(shapes.Length)];
            Tensor a = OneNode.Floats(random, transA ? [k, m] : [m, k]), b = OneNode.Floats(random, transB ? [n, k] : [k, n]), c = OneNode.Floats(random, cDims);
            var node = Node.Create("n", "Gemm", ["a", "b", "c"], ["y"]) with
            {
                Attributes = AttributeMap.Empty.With("alpha", alpha).With("beta", beta).With("transA", transA ? 1L : 0L).With("transB", transB ? 1L : 0L),
            };
            var found = OneNode.Run(node, [a, b, c], isConstant ? [1] : []);
            for (int r = 0; r < m; r++)
                for (int j = 0; j < n; j++)
                {
                    double sum = 0;
                    for (int l = 0; l < k; l++) sum += (double)a.Span<float>()[transA ? l * m + r : r * k + l] * b.Span<float>()[transB ? j * k + l : l * n + j];
                    Assert.AreEqual(alpha * sum + beta * c.Span<float>()[OneNode.Source(r * n + j, [m, n], cDims)], found.Span<float>()[r * n + j], 1e-5);
                }
        }
    }

    [TestMethod]
    public void QLinearMatMulSaturates()
    {
        // 127 · 127 · 2 at scales of 1 lies far beyond int8: the standard's text says saturate.
        var node = Node.Create("n", "QLinearMatMul", ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"]);
        Tensor one = Tensor.Scalar(1f), zero = Tensor.Scalar((sbyte)0);
        var a = Tensor.Create<sbyte>([127, 127, -128, -128, 1, 0], 3, 2);
        var b = Tensor.Create<sbyte>([127, 127], 2, 1);
        CollectionAssert.AreEqual(new sbyte[] { 127, -128, 127 }, OneNode.Run(node, [a, one, zero, b, one, zero, one, zero]).Span<sbyte>().ToArray());
    }

    [TestMethod]
    public void IntegerProductsTakeTheKernelOnlyWhereItIsTheSame()
    {
        var random = new Random(3);
        for (int i = 0; i < 100; i++)
        {
            int m = random.Next(1, 6), k = random.Next(1, 40), n = random.Next(1, 20);
            var a = Tensor.Create([.. Enumerable.Range(0, m * k).Select(_ => (byte)random.Next(256))], m, k);
            var b = Tensor.Create([.. Enumerable.Range(0, k * n).Select(_ => (sbyte)random.Next(-128, 128))], k, n);
            var za = Tensor.Scalar((byte)random.Next(256));
            var zb = Tensor.Scalar((sbyte)(random.Next(2) == 0 ? 0 : 3));
            var node = Node.Create("n", "MatMulInteger", ["a", "b", "za", "zb"], ["y"]);
            var fast = OneNode.Run(node, [a, b, za, zb], constant: [1, 2, 3]).Span<int>().ToArray();
            CollectionAssert.AreEqual(OneNode.Run(node, [a, b, za, zb]).Span<int>().ToArray(), fast);
        }
    }

    [TestMethod]
    public void AnIntegerDividedByZeroIsATypedError()
    {
        var e = Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(Node.Create("half", "Div", ["a", "b"], ["y"]), [Tensor.Create<int>([1, 2], 2), Tensor.Create<int>([1, 0], 2)]));
        Assert.AreEqual("half", e.NodeName);
        var wrapped = OneNode.Run(Node.Create("n", "Div", ["a", "b"], ["y"]), [Tensor.Create<int>([int.MinValue], 1), Tensor.Create<int>([-1], 1)]);
        Assert.AreEqual(int.MinValue, wrapped.Span<int>()[0]);
    }

    [TestMethod]
    public void AnIndexOutsideIsATypedError()
    {
        var e = Assert.ThrowsExactly<ModelFormatException>(() => OneNode.Run(Node.Create("pick", "Gather", ["x", "i"], ["y"]), [Tensor.Create<float>([1, 2], 2), Tensor.Create<long>([2], 1)]));
        Assert.AreEqual("pick", e.NodeName);
        StringAssert.Contains(e.Message, "index 2");
    }

    [TestMethod]
    public void CastsSaturateAndCutFractions()
    {
        var x = Tensor.Create<float>([1.9f, -1.9f, 300, -300, float.NaN, float.PositiveInfinity, 0, -0f], 8);
        CollectionAssert.AreEqual(new sbyte[] { 1, -1, 127, -128, 0, 127, 0, 0 }, Cast(x, ElementType.Int8).Span<sbyte>().ToArray());
        CollectionAssert.AreEqual(new byte[] { 1, 0, 255, 0, 0, 255, 0, 0 }, Cast(x, ElementType.UInt8).Span<byte>().ToArray());
        CollectionAssert.AreEqual(new[] { true, true, true, true, true, true, false, false }, Cast(x, ElementType.Bool).Span<bool>().ToArray());
        CollectionAssert.AreEqual(new byte[] { 0, 255, 1 }, Cast(Tensor.Create<int>([256, -1, 1], 3), ElementType.UInt8).Span<byte>().ToArray());
    }

    private static Tensor Cast(Tensor x, ElementType to) => OneNode.Run(Node.Create("n", "Cast", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("to", (long)to) }, [x]);

    [TestMethod]
    public void SoftmaxBeforeOpset13JoinsTheAxes()
    {
        var x = OneNode.Floats(new Random(4), [2, 3, 4]);
        var node = Node.Create("n", "Softmax", ["x"], ["y"]);
        var joined = OneNode.Run(node, [x], opset: 11).Span<float>();
        var last = OneNode.Run(node, [x], opset: 13).Span<float>();
        Assert.AreEqual(1f, Sum(joined[..12]), 1e-6f);
        Assert.AreEqual(1f, Sum(last[..4]), 1e-6f);

        static float Sum(ReadOnlySpan<float> values)
        {
            float sum = 0;
            foreach (float v in values) sum += v;
            return sum;
        }
    }

    [TestMethod]
    public void IfRunsOneBranchOverWhatItCaptures()
    {
        ModelGraph Body(string op) => new()
        {
            Name = op,
            Inputs = [],
            Outputs = [new("r", ElementType.Float, null)],
            Nodes = [Node.Create("inner", op, ["k", "x"], ["r"])],
        };
        var graph = new ModelGraph
        {
            Inputs = [new("c", ElementType.Bool, TensorShape.Scalar), new("x", ElementType.Float, new(new Dimension("N"), 2))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes = [Node.Create("choose", "If", ["c"], ["y"]) with { Attributes = AttributeMap.Empty.With("then_branch", Body("Add")).With("else_branch", Body("Sub")) }],
            Initializers = GraphConstants(("k", Tensor.Create<float>([10, 20], 2))),
        };
        var program = Program.Compile(graph);
        float[] Score(bool condition)
        {
            using var run = program.Rent([[], [2, 2]]);
            run.Input<bool>(0)[0] = condition;
            new float[] { 1, 2, 3, 4 }.CopyTo(run.Input<float>(1));
            run.Execute();
            return run.Output<float>(0).ToArray();
        }
        CollectionAssert.AreEqual(new float[] { 11, 22, 13, 24 }, Score(true));
        CollectionAssert.AreEqual(new float[] { 9, 18, 7, 16 }, Score(false));

        using var again = program.Rent([[], [2, 2]]);
        again.Execute();
        Assert.AreEqual(0, AllocatedBytes.Of(() =>
        {
            for (int i = 0; i < 100; i++) again.Execute();
        }));
    }

    [TestMethod]
    public void ShapeArithmeticFollowsTheBatch()
    {
        // Reshape(x, Concat(Gather(Shape(x), 0), [-1])): what exporters write for flatten.
        var graph = new ModelGraph
        {
            Inputs = [new("x", ElementType.Float, new(new Dimension("N"), 2, 3))],
            Outputs = [new("y", ElementType.Float, null)],
            Nodes =
            [
                Node.Create("s", "Shape", ["x"], ["shape"]),
                Node.Create("g", "Gather", ["shape", "zero"], ["n"]),
                Node.Create("u", "Unsqueeze", ["n", "axes"], ["n1"]),
                Node.Create("c", "Concat", ["n1", "rest"], ["wanted"]) with { Attributes = AttributeMap.Empty.With("axis", 0L) },
                Node.Create("r", "Reshape", ["x", "wanted"], ["y"]),
            ],
            Initializers = GraphConstants(("zero", Tensor.Scalar(0L)), ("axes", Tensor.Create<long>([0], 1)), ("rest", Tensor.Create<long>([-1], 1))),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };
        var program = Program.Compile(graph);
        foreach (int batch in (int[])[1, 5, 64])
        {
            using var run = program.Rent([[batch, 2, 3]]);
            run.Execute();
            CollectionAssert.AreEqual(new[] { batch, 6 }, run.OutputShape(0).ToArray());
        }
    }

    private static ImmutableDictionary<string, Tensor> GraphConstants(params ReadOnlySpan<(string Name, Tensor Value)> constants)
    {
        var builder = ImmutableDictionary.CreateBuilder<string, Tensor>(StringComparer.Ordinal);
        foreach (var (name, value) in constants) builder[name] = value;
        return builder.ToImmutable();
    }

    /// <summary>Some extents made 1, some leading axes dropped.</summary>
    private static int[] Thinned(Random random, int[] dims) =>
        [.. dims.Select(d => random.Next(3) == 0 ? 1 : d).Skip(random.Next(3) == 0 ? random.Next(dims.Length + 1) : 0)];
}
