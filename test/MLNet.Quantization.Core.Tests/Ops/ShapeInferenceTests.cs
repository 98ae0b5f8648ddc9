using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Tests.Onnx;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>What operators that move data or compute shapes say of symbolic, partly known and unknown shapes, and at the edges of their attributes.</summary>
[TestClass]
public sealed class ShapeInferenceTests
{
    private static readonly Dimension N = new("N"), L = new("L");

    [TestMethod]
    public void AShapeComputedFromASymbolicBatchIsKnownWhenTheModelIsLoaded()
    {
        // Heads of attention: Reshape(x, Concat(Slice(Shape(x), 0, 2), Unsqueeze(Cast(Cast(4))), [-1])).
        var facts = Infer(new(N, L, 12),
        [
            Node.Create("s", "Shape", ["x"], ["shape"]),
            Node.Create("l", "Slice", ["shape", "v0", "v2"], ["first"]),
            Node.Create("i", "Identity", ["four"], ["same"]),
            Node.Create("u", "Unsqueeze", ["same", "v0"], ["heads"]),
            Node.Create("c", "Concat", ["first", "heads", "rest"], ["wanted"]) with { Attributes = Attributes(("axis", 0L)) },
            Node.Create("r", "Reshape", ["x", "wanted"], ["y"]),
            Node.Create("g", "Gather", ["shape", "minus2"], ["length"]),
            Node.Create("a", "Cast", ["length"], ["length32"]) with { Attributes = Attributes(("to", (long)ElementType.Int32)) },
            Node.Create("b", "Cast", ["length32"], ["length64"]) with { Attributes = Attributes(("to", (long)ElementType.Int64)) },
            Node.Create("v", "Unsqueeze", ["length64", "v0"], ["length1"]),
            Node.Create("d", "Concat", ["rest", "length1", "v12"], ["back"]) with { Attributes = Attributes(("axis", -1L)) },
            Node.Create("t", "Reshape", ["y", "back"], ["z"]),
        ], ("v0", [0], 0), ("v2", [2], 0), ("rest", [-1], 0), ("v12", [12], 0), ("four", null, 4), ("minus2", null, -2));
        Assert.AreEqual("[N,L,4,3]", facts["y"].Shape!.ToString());
        Assert.AreEqual("[N,L,12]", facts["z"].Shape!.ToString());
    }

    [TestMethod]
    public void WhatIsComputedFromAnExtentIsWhatIsLeft()
    {
        // Concat(N, 2 * N / N): one entry is not known, so it must be the rest; with two, nothing is said.
        Node[] nodes =
        [
            Node.Create("s", "Shape", ["x"], ["n"]) with { Attributes = Attributes(("end", 1L)) },
            Node.Create("m", "Mul", ["n", "v6"], ["p"]),
            Node.Create("c", "Concat", ["n", "p"], ["two"]) with { Attributes = Attributes(("axis", 0L)) },
            Node.Create("d", "Concat", ["p", "p", "n"], ["three"]) with { Attributes = Attributes(("axis", 0L)) },
            Node.Create("r", "Reshape", ["x", "two"], ["y"]),
            Node.Create("t", "Reshape", ["x", "three"], ["z"]),
        ];
        var facts = Infer(new(N, 2, 3), nodes, ("v6", [6]));
        Assert.AreEqual("[N,6]", facts["y"].Shape!.ToString());
        Assert.AreEqual("[?,?,N]", facts["z"].Shape!.ToString());
    }

    [TestMethod]
    public void AShapeWithHolesIsFilledFromAnotherOneOfSymbols()
    {
        // Expand to Where(shape = -1, 1, shape), and a Reshape to [Size(x) / 12, Max(3, 2) · 2, -(-2)].
        Node[] nodes =
        [
            Node.Create("s", "Shape", ["x"], ["shape"]),
            Node.Create("f", "ConstantOfShape", ["three"], ["ones"]) with { Attributes = AttributeMap.Empty.With("value", Tensor.Create([1L], 1)) },
            Node.Create("m", "Mul", ["ones", "minus1"], ["holes"]),
            Node.Create("q", "Equal", ["shape", "holes"], ["open"]),
            Node.Create("w", "Where", ["open", "ones", "shape"], ["wanted"]),
            Node.Create("e", "Expand", ["v1", "wanted"], ["y"]),
            Node.Create("o", "Not", ["open"], ["closed"]),
            Node.Create("a", "And", ["open", "closed"], ["never"]),
            Node.Create("n", "Size", ["x"], ["size"]),
            Node.Create("d", "Div", ["size", "v12"], ["rest"]),
            Node.Create("g", "Neg", ["minus1"], ["one"]),
            Node.Create("h", "Max", ["shape", "v2"], ["greater"]),
            Node.Create("i", "Add", ["rest", "v0"], ["same"]),
            Node.Create("c", "Concat", ["same", "greater", "one"], ["parts"]) with { Attributes = Attributes(("axis", 0L)) },
            Node.Create("l", "Slice", ["parts", "v0", "v1", "v0"], ["first"]),
        ];
        var facts = Infer(new(N, 4, 3), nodes, ("three", [3], 0), ("minus1", [-1], 0), ("v1", [1], 0), ("v12", [12], 0), ("v2", [2], 0), ("v0", [0], 0));
        Assert.AreEqual("[N,4,3]", facts["y"].Shape!.ToString());
        CollectionAssert.AreEqual((byte[])[0, 0, 0], facts["never"].Value!.Bytes.ToArray());
        CollectionAssert.AreEqual((ShapeEntry[])[default, default, ShapeEntry.Of(4), ShapeEntry.Of(3), ShapeEntry.Of(1)], facts["parts"].Entries);
        Assert.IsNull(facts["first"].Entries);
    }

    [TestMethod]
    public void TheProductOfAShapeThatIsOnesBesideASymbolIsThatSymbol()
    {
        Node[] nodes = [Node.Create("s", "Shape", ["x"], ["shape"]), Node.Create("p", "ReduceProd", ["shape"], ["count"]), Node.Create("r", "Reshape", ["x", "count"], ["y"])];
        Assert.AreEqual("[N]", Infer(new(1, N, 1), nodes, ("unused", [1]))["y"].Shape!.ToString());
        Assert.AreEqual("[?]", Infer(new(N, L), nodes, ("unused", [1]))["y"].Shape!.ToString());
        Assert.AreEqual("[6]", Infer(new(2, 3), nodes, ("unused", [1]))["y"].Shape!.ToString());
    }

    [TestMethod]
    public void WhatChangesAnExtentDoesNotPassItOn()
    {
        // Clip(N, 1, 4) is not N.
        Node[] nodes =
        [
            Node.Create("s", "Shape", ["x"], ["shape"]),
            Node.Create("k", "Clip", ["shape", "one", "four"], ["some"]),
            Node.Create("r", "Reshape", ["x", "some"], ["y"]),
        ];
        Assert.AreEqual("[?,?]", Infer(new(N, L), nodes, ("one", null, 1), ("four", null, 4))["y"].Shape!.ToString());
    }

    [TestMethod]
    [DataRow("[N,2,3]", "[0,-1]", 0L, "[N,6]")]
    [DataRow("[N,2,3]", "[-1,6]", 0L, "[N]x6")]
    [DataRow("[N,L]", "[-1]", 0L, "?")]
    [DataRow("[0,2,3]", "[0,-1]", 0L, "[0,6]")]
    [DataRow("[0,2,3]", "[3,0]", 1L, "[3,0]")]
    [DataRow("[0,2,3]", "[-1,0]", 1L, null)]
    [DataRow("[0,2]", "[4,-1]", 0L, "[4,0]")]
    [DataRow("[2,3]", "[-1,4]", 0L, null)]
    [DataRow("[2,3]", "[-1,-1]", 0L, null)]
    [DataRow("[2,3]", "[1,1,0]", 0L, null)]
    [DataRow("[2,3]", "[-2]", 0L, null)]
    [DataRow("[1]", "[]", 0L, "[]")]
    [DataRow("[2,3]", "[4611686018427387904,4]", 0L, null)]
    public void ReshapeFindsTheShapeOrSaysThatItDoesNotFit(string from, string to, long allowZero, string? expected)
    {
        var x = new TensorShape(Parts(from).Select(p => long.TryParse(p, out long value) ? value : new Dimension(p)).ToArray());
        Node[] nodes = [Node.Create("r", "Reshape", ["x", "to"], ["y"]) with { Attributes = Attributes(("allowzero", allowZero)) }];
        Dictionary<string, ValueFact> Run() => Infer(x, nodes, ("to", Parts(to).Select(long.Parse).ToArray()));
        if (expected is null) Assert.AreEqual("r", Assert.ThrowsExactly<ModelFormatException>(Run).NodeName);
        else Assert.AreEqual(expected.Replace("]x6", ",6]", StringComparison.Ordinal).Replace("?", "[?]", StringComparison.Ordinal), Run()["y"].Shape!.ToString());

        static string[] Parts(string shape) => shape.Trim('[', ']').Split(',', StringSplitOptions.RemoveEmptyEntries);
    }

    [TestMethod]
    public void SliceAgreesWithItsDefinitionAtEveryBound()
    {
        long[] bounds = [long.MinValue, -6, -5, -4, -1, 0, 1, 3, 4, 5, long.MaxValue], steps = [long.MinValue, -5, -2, -1, 1, 2, 5, long.MaxValue];
        foreach (int extent in (int[])[0, 1, 4])
            foreach (long start in bounds)
                foreach (long end in bounds)
                    foreach (long step in steps)
                        CollectionAssert.AreEqual(Defined(extent, start, end, step), Sliced(extent, start, end, step), $"{start}:{end}:{step} of {extent}");

        static short[] Sliced(int extent, long start, long end, long step)
        {
            var constants = Constants(("s", [start]), ("e", [end]), ("a", [-1]), ("k", [step]));
            constants = constants.Add("x", Tensor.Create([.. Enumerable.Range(0, extent).Select(i => (short)i)], 1, extent));
            return GraphInference.Infer(Graph(null, [Node.Create("n", "Slice", ["x", "s", "e", "a", "k"], ["y"])], constants))["y"].Value!.Span<short>().ToArray();
        }

        // The standard's text: negative bounds count from the end; then clamp to 0 .. extent, or for a negative step to 0 .. extent - 1 and -1 .. extent - 1.
        static short[] Defined(Int128 extent, Int128 start, Int128 end, Int128 step)
        {
            var picked = new List<short>();
            if (extent == 0) return [];
            Int128 At(Int128 bound, Int128 low, Int128 high) => Int128.Clamp(bound < 0 ? bound + extent : bound, low, high);
            (Int128 from, Int128 to) = step > 0 ? (At(start, 0, extent), At(end, 0, extent)) : (At(start, 0, extent - 1), At(end, -1, extent - 1));
            for (var i = from; step > 0 ? i < to : i > to; i += step) picked.Add((short)i);
            return [.. picked];
        }
    }

    [TestMethod]
    public void AReversedAxisKeepsItsSymbol()
    {
        var facts = Infer(new(N, 3), [Node.Create("n", "Slice", ["x", "s", "e", "a", "s"], ["y"])], ("s", [-1]), ("e", [long.MinValue]), ("a", [0]));
        Assert.AreEqual("[N,3]", facts["y"].Shape!.ToString());
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(4)]
    [DataRow(8)]
    public void TransposeMovesElementsOfAnySizeWhateverWasDeclared(int bytes)
    {
        var random = new Random(bytes);
        var type = bytes switch { 1 => ElementType.UInt8, 2 => ElementType.Int16, 4 => ElementType.Float, _ => ElementType.Double };
        for (int round = 0; round < 60; round++)
        {
            int rank = random.Next(1, 6);
            int[] dims = [.. Enumerable.Range(0, rank).Select(_ => random.Next(12) == 0 ? 0 : random.Next(1, 5))], perm = [.. Enumerable.Range(0, rank)];
            random.Shuffle(perm);
            // Every second time the model does not even say the rank.
            var declared = round % 2 == 0 ? null : TensorShape.FromDims(dims);
            var node = Node.Create("n", "Transpose", ["x"], ["y"]) with { Attributes = AttributeMap.Empty.With("perm", ImmutableArray.Create(Array.ConvertAll(perm, p => (long)p))) };
            var program = Program.Compile(Graph(new("x", type, declared), [node], Constants()));
            using var run = program.Rent([dims]);
            random.NextBytes(run.Input<byte>(0));
            run.Execute();
            CollectionAssert.AreEqual(perm.Select(p => dims[p]).ToArray(), run.OutputShape(0));
            ReadOnlySpan<byte> x = run.Input<byte>(0), y = run.Output<byte>(0);
            int[] at = new int[rank];
            for (int e = 0; e < y.Length / bytes; e++)
            {
                for (int i = rank - 1, left = e; i >= 0; left /= dims[perm[i]], i--) at[perm[i]] = left % dims[perm[i]];
                int source = 0;
                for (int i = 0; i < rank; i++) source = (source * dims[i]) + at[i];
                Assert.IsTrue(x.Slice(source * bytes, bytes).SequenceEqual(y.Slice(e * bytes, bytes)), $"[{string.Join(',', dims)}] by [{string.Join(',', perm)}], element {e}");
            }
        }
    }

    [TestMethod]
    public void DataThatDecidesAShapeIsWaitedForAndChecked()
    {
        var graph = Graph(new("x", ElementType.Int64, new(2L)), [Node.Create("free", "Reshape", ["k", "x"], ["y"])], Constants(("k", [1, 2, 3, 4])));
        using var run = Program.Compile(graph).Rent([2]);
        foreach (long[] shape in new long[][] { [2, 2], [4, 1], [-1, 2] })
        {
            shape.CopyTo(run.Input<long>(0));
            run.Execute();
            CollectionAssert.AreEqual(new[] { (int)(4 / shape[1]), (int)shape[1] }, run.OutputShape(0));
            CollectionAssert.AreEqual(new long[] { 1, 2, 3, 4 }, run.Output<long>(0).ToArray());
        }
        run.Input<long>(0).Fill(3);
        Assert.AreEqual("free", Assert.ThrowsExactly<ModelFormatException>(() => run.Execute()).NodeName);
    }

    [TestMethod]
    public void ATensorBeyondTheAddressableIsRefusedByName()
    {
        var node = Node.Create("n", "Concat", ["x", "x"], ["y"]) with { Attributes = Attributes(("axis", 0L)) };
        var program = Program.Compile(Graph(new("x", ElementType.Double, new(N)), [node], Constants()));
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => program.Rent([1 << 27])).Message, "'y'");
    }

    private static Dictionary<string, ValueFact> Infer(TensorShape x, Node[] nodes, params (string Name, long[]? Vector, long Scalar)[] constants) =>
        GraphInference.Infer(Graph(new("x", ElementType.Float, x), nodes, SmallModels.Constants(
            [.. constants.Select(c => (c.Name, c.Vector is null ? Tensor.Scalar(c.Scalar) : Tensor.Create(c.Vector, c.Vector.Length)))])));

    private static Dictionary<string, ValueFact> Infer(TensorShape x, Node[] nodes, params (string Name, long[] Vector)[] constants) =>
        Infer(x, nodes, Array.ConvertAll(constants, c => (c.Name, (long[]?)c.Vector, 0L)));

    private static ImmutableDictionary<string, Tensor> Constants(params (string Name, long[] Values)[] constants) =>
        SmallModels.Constants([.. constants.Select(c => (c.Name, Tensor.Create(c.Values, c.Values.Length)))]);

    private static AttributeMap Attributes(params (string Name, long Value)[] values) => values.Aggregate(AttributeMap.Empty, (map, v) => map.With(v.Name, v.Value));

    private static ModelGraph Graph(ValueInfo? input, Node[] nodes, ImmutableDictionary<string, Tensor> constants) => new()
    {
        Inputs = input is null ? [] : [input],
        Outputs = [new(nodes[^1].Outputs[0], ElementType.Undefined, null)],
        Nodes = [.. nodes],
        Initializers = constants,
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    };
}
