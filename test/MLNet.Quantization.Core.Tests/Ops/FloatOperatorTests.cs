using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>Arithmetic in float32: stacks of matrices, numbers that are none, memory that is written over, rows by themselves, symbolic batches.</summary>
[TestClass]
public sealed class FloatOperatorTests
{
    private static readonly float[] Hostile =
        [float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0f, -0f, float.Epsilon, -float.Epsilon, float.MaxValue, float.MinValue, 1f, -1f, 88.8f, -88.8f, 3.5f];

    [TestMethod]
    public void MatMulOfStacksAgreesWithTheDefinition()
    {
        var random = new Random(21);
        for (int i = 0; i < 400; i++)
        {
            int[] outer = [.. Enumerable.Range(0, random.Next(3)).Select(_ => Extent(random, 4))];
            int m = Extent(random, 9), k = Extent(random, 9), n = Extent(random, 40);
            bool row = random.Next(6) == 0, column = random.Next(6) == 0;
            int[] outerA = row ? [] : Thinned(random, outer), outerB = column ? [] : Thinned(random, outer);
            if (row) m = 1;
            if (column) n = 1;
            int[] a = row ? [k] : [.. outerA, m, k], b = column ? [k] : [.. outerB, k, n];
            int[] stack = [.. Enumerable.Range(1, Math.Max(outerA.Length, outerB.Length)).Reverse().Select(j => At(outerA, j) == 1 ? At(outerB, j) : At(outerA, j))];
            Tensor x = OneNode.Floats(random, a), y = OneNode.Floats(random, b);
            string what = $"[{string.Join(',', a)}] x [{string.Join(',', b)}]";
            var found = OneNode.Run(Node.Create("n", "MatMul", ["a", "b"], ["y"]), [x, y], random.Next(2) == 0 ? [1] : [], threads: random.Next(1, 3));
            int[] dims = [.. stack, .. row ? (int[])[] : [m], .. column ? (int[])[] : [n]];
            CollectionAssert.AreEqual(dims, found.Dims, what);
            for (int e = 0; e < found.Count; e++)
            {
                int at = e / (m * n), r = e / n % m, c = e % n;
                int fromA = OneNode.Source(at, stack, outerA) * m * k, fromB = OneNode.Source(at, stack, outerB) * k * n;
                float sum = 0;
                for (int l = 0; l < k; l++) sum = MathF.FusedMultiplyAdd(x.Span<float>()[fromA + (r * k) + l], y.Span<float>()[fromB + (l * n) + c], sum);
                Assert.AreEqual(sum, found.Span<float>()[e], what);
            }
        }

        static int At(int[] dims, int fromEnd) => fromEnd <= dims.Length ? dims[^fromEnd] : 1;
    }

    [TestMethod]
    [DataRow("Add")]
    [DataRow("Sub")]
    [DataRow("Mul")]
    [DataRow("Div")]
    public void ArithmeticOfHostileNumbersIsThatOfIeee(string op)
    {
        Func<float, float, float> f = op switch { "Add" => (x, y) => x + y, "Sub" => (x, y) => x - y, "Mul" => (x, y) => x * y, _ => (x, y) => x / y };
        int n = Hostile.Length;
        float[] a = [.. Hostile.SelectMany(x => Enumerable.Repeat(x, n))], b = [.. Enumerable.Repeat(Hostile, n).SelectMany(x => x)];
        var node = Node.Create("n", op, ["a", "b"], ["y"]);
        int[] expected = [.. a.Zip(b, f).Select(Bits)];
        CollectionAssert.AreEqual(expected, OneNode.Run(node, [Tensor.Create(a, a.Length), Tensor.Create(b, b.Length)]).Span<float>().ToArray().Select(Bits).ToArray());
        CollectionAssert.AreEqual(expected, OneNode.Run(node, [Tensor.Create(Hostile, n, 1), Tensor.Create(Hostile, n)]).Span<float>().ToArray().Select(Bits).ToArray());

        // A NaN is a NaN, whatever its bits.
        static int Bits(float x) => float.IsNaN(x) ? -1 : BitConverter.SingleToInt32Bits(x);
    }

    [TestMethod]
    public void FunctionsOfHostileNumbers()
    {
        (string Op, Func<float, double> Of)[] functions =
        [
            ("Relu", x => float.IsNaN(x) ? x : Math.Max(x, 0)),
            ("LeakyRelu", x => x < 0 ? 0.01f * x : x),
            ("Sigmoid", x => 1 / (1 + Math.Exp(-(double)x))),
            ("Tanh", x => Math.Tanh(x)),
            ("Clip", x => float.IsNaN(x) ? x : Math.Clamp(x, -1f, 3f)),
        ];
        foreach (var (op, of) in functions)
        {
            Tensor[] bounds = op == "Clip" ? [Tensor.Scalar(-1f), Tensor.Scalar(3f)] : [];
            var node = Node.Create("n", op, op == "Clip" ? ["x", "low", "high"] : ["x"], ["y"]);
            int[]? first = null;
            for (int length = Hostile.Length; length <= 3 * Hostile.Length; length++)
            {
                float[] x = [.. Enumerable.Range(0, length).Select(i => Hostile[i % Hostile.Length])];
                var y = OneNode.Run(node, [Tensor.Create(x, length), .. bounds]);
                for (int i = 0; i < length; i++)
                {
                    double expected = of(x[i]);
                    float found = y.Span<float>()[i];
                    if (double.IsNaN(expected)) Assert.IsTrue(float.IsNaN(found), $"{op}({x[i]}) = {found}");
                    else if (double.IsInfinity(expected)) Assert.AreEqual(expected, found, $"{op}({x[i]})");
                    else Assert.AreEqual(expected, found, (1e-6 * Math.Abs(expected)) + 2e-38, $"{op}({x[i]})");
                }
                int[] bits = OneNode.Bits(y);
                first ??= bits;
                for (int i = 0; i < length; i++) Assert.AreEqual(first[i % first.Length], bits[i], $"{op}: the place in a vector changes bits");
            }
        }
    }

    [TestMethod]
    [DataRow("Softmax")]
    [DataRow("LogSoftmax")]
    public void SoftmaxAlongEachAxisAgreesWithTheDefinition(string op)
    {
        var random = new Random(22);
        for (int i = 0; i < 200; i++)
        {
            int[] dims = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => Extent(random, 6))];
            int axis = random.Next(-dims.Length, dims.Length), opset = random.Next(2) == 0 ? 11 : 13;
            int positive = axis < 0 ? axis + dims.Length : axis;
            var node = Node.Create("n", op, ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", (long)axis) };
            var x = OneNode.Floats(random, dims);
            var y = OneNode.Run(node, [x], opset: opset, overwrites: random.Next(2) == 0);
            int stride = opset < 13 ? 1 : OneNode.Count(dims.AsSpan(positive + 1)), length = opset < 13 ? OneNode.Count(dims.AsSpan(positive)) : dims[positive];
            for (int e = 0; e < x.Count; e++)
            {
                int first = (e / (length * stride) * length * stride) + (e % stride);
                double sum = 0;
                for (int l = 0; l < length; l++) sum += Math.Exp(x.Span<float>()[first + (l * stride)]);
                double expected = op == "Softmax" ? Math.Exp(x.Span<float>()[e]) / sum : x.Span<float>()[e] - Math.Log(sum);
                Assert.AreEqual(expected, y.Span<float>()[e], 2e-6, $"[{string.Join(',', dims)}] axis {axis}, opset {opset}");
            }
        }
    }

    [TestMethod]
    [DataRow("Softmax")]
    [DataRow("LogSoftmax")]
    public void ARowWithNaNIsAllNaNAndLeavesTheOthersAlone(string op)
    {
        var node = Node.Create("n", op, ["x"], ["y"]);
        float least = float.NegativeInfinity;
        float[] y = OneNode.Run(node, [Tensor.Create<float>([1, float.NaN, 2, 1, 2, 3, least, least, least], 3, 3)]).Span<float>().ToArray();
        foreach (int i in (int[])[0, 1, 2, 6, 7, 8]) Assert.IsTrue(float.IsNaN(y[i]), $"{i}: {y[i]}");
        CollectionAssert.AreEqual(OneNode.Run(node, [Tensor.Create<float>([1, 2, 3], 1, 3)]).Span<float>().ToArray(), y[3..6]);
    }

    [TestMethod]
    public void WritingOverAnInputChangesNothing()
    {
        var random = new Random(23);
        for (int i = 0; i < 100; i++)
        {
            int[] full = [.. Enumerable.Range(0, random.Next(4)).Select(_ => Extent(random, 20))];
            Tensor a = OneNode.Floats(random, Thinned(random, full)), b = OneNode.Floats(random, Thinned(random, full));
            foreach (string op in (string[])["Add", "Sub", "Mul", "Div"]) Same(Node.Create("n", op, ["a", "b"], ["y"]), [a, b]);
            foreach (string op in (string[])["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Exp"]) Same(Node.Create("n", op, ["a"], ["y"]), [a]);
            Same(Node.Create("n", "Clip", ["a", "low", "high"], ["y"]), [a, Tensor.Scalar(-0.5f), Tensor.Scalar(1f)]);
            if (a.Rank > 0)
                foreach (string op in (string[])["Softmax", "LogSoftmax"]) Same(Node.Create("n", op, ["a"], ["y"]) with { Attributes = AttributeMap.Empty.With("axis", (long)random.Next(a.Rank)) }, [a]);
            // The same value on both sides.
            Same(Node.Create("n", "Sub", ["a", "a"], ["y"]), [a, a]);
        }

        static void Same(Node node, Tensor[] inputs) =>
            CollectionAssert.AreEqual(OneNode.Bits(OneNode.Run(node, inputs)), OneNode.Bits(OneNode.Run(node, inputs, overwrites: true)), node.OpType);
    }

    [TestMethod]
    public void ARowScoresAloneAsAmongOthersOnAnyNumberOfThreads()
    {
        var random = new Random(24);
        const int rows = 131, features = 67;
        var x = OneNode.Floats(random, rows, features);
        Tensor w = OneNode.Floats(random, features, 45), bias = OneNode.Floats(random, 45), each = OneNode.Floats(random, features);
        (Node Node, Tensor[] More)[] cases =
        [
            (Node.Create("n", "Gemm", ["x", "w", "b"], ["y"]), [w, bias]),
            (Node.Create("n", "Gemm", ["x", "w", "b"], ["y"]) with { Attributes = AttributeMap.Empty.With("alpha", 0.3f).With("beta", 1.7f) }, [w, bias]),
            (Node.Create("n", "MatMul", ["x", "w"], ["y"]), [w]),
            (Node.Create("n", "Add", ["x", "b"], ["y"]), [each]),
            (Node.Create("n", "Div", ["x", "b"], ["y"]), [each]),
            (Node.Create("n", "Softmax", ["x"], ["y"]), []),
            (Node.Create("n", "LogSoftmax", ["x"], ["y"]), []),
            (Node.Create("n", "Tanh", ["x"], ["y"]), []),
            (Node.Create("n", "Sigmoid", ["x"], ["y"]), []),
        ];
        foreach (var (node, more) in cases)
            foreach (bool constant in (bool[])[true, false])
            {
                int[] constants = constant ? [.. Enumerable.Range(1, more.Length)] : [];
                int[] all = OneNode.Bits(OneNode.Run(node, [x, .. more], constants));
                foreach (int threads in (int[])[1, 2])
                    foreach (int batch in (int[])[1, 7, 64])
                    {
                        List<int> parts = [];
                        for (int first = 0; first < rows; first += batch)
                        {
                            int count = Math.Min(batch, rows - first);
                            var part = Tensor.Create(x.Span<float>().Slice(first * features, count * features).ToArray(), count, features);
                            parts.AddRange(OneNode.Bits(OneNode.Run(node, [part, .. more], constants, threads: threads)));
                        }
                        CollectionAssert.AreEqual(all, parts, $"{node.OpType}, constant {constant}, {threads} threads, batches of {batch}");
                    }
            }
    }

    [TestMethod]
    [DataRow("MatMul", "N,4", "4,3", "[N,3]")]
    [DataRow("MatMul", "N,5,4", "4,3", "[N,5,3]")]
    [DataRow("MatMul", "N,5,4", "N,4,3", "[N,5,3]")]
    [DataRow("MatMul", "N,1,5,4", "2,4,3", "[N,2,5,3]")]
    [DataRow("MatMul", "4", "N,4,3", "[N,3]")]
    [DataRow("MatMul", "N,4", "4", "[N]")]
    [DataRow("MatMul", "N,L", "4,3", "[N,3]")]
    [DataRow("Gemm", "N,4", "4,3", "[N,3]")]
    [DataRow("Add", "N,4", "4", "[N,4]")]
    [DataRow("Add", "N,4", "1,4", "[N,4]")]
    [DataRow("Add", "N,1", "1,L", "[N,L]")]
    [DataRow("Mul", "N,4", "N,1", "[N,4]")]
    [DataRow("Sub", "N,4", "", "[N,4]")]
    [DataRow("Div", "N", "3", "[3]")]
    [DataRow("Div", "N", "L", "[?]")]
    [DataRow("MatMul", "N,4", "5,3", null)]
    [DataRow("MatMul", "", "5,3", null)]
    [DataRow("Gemm", "N,4", "5,3", null)]
    [DataRow("Gemm", "N,4,1", "4,3", null)]
    [DataRow("Add", "N,4", "3", null)]
    public void SymbolicExtentsPassThrough(string op, string a, string b, string? expected)
    {
        var node = Node.Create("here", op, ["a", "b"], ["y"]);
        var context = new OpContext(node, 17, [new ValueFact(ElementType.Float, Shape(a)), new ValueFact(ElementType.Float, Shape(b))]);
        ValueFact[] Infer() => OperatorSet.For(node).Infer(context);
        if (expected is null) Assert.AreEqual("here", Assert.ThrowsExactly<ModelFormatException>(Infer).NodeName);
        else Assert.AreEqual(expected, Infer()[0].Shape!.ToString());

        static TensorShape Shape(string dims) => new(dims.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(d => int.TryParse(d, out int n) ? n : new Dimension(d)).ToArray());
    }

    /// <summary>Often 1, now and then 0.</summary>
    private static int Extent(Random random, int most) => random.Next(12) switch { 0 => 0, < 4 => 1, _ => random.Next(1, most + 1) };

    /// <summary>Some extents made 1, some leading axes dropped.</summary>
    private static int[] Thinned(Random random, int[] dims) =>
        [.. dims.Select(d => random.Next(3) == 0 ? 1 : d).Skip(random.Next(3) == 0 ? random.Next(dims.Length + 1) : 0)];
}
