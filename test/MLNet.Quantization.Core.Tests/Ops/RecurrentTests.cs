using System.Collections.Immutable;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Ops;
using MLNet.Quantization.Ops.Recurrent;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;
using static MLNet.Quantization.Tests.Ops.RecurrentRunner;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>LSTM, GRU and RNN: float against ONNX Runtime, INT8 near float, static inputs, files, and what is refused.</summary>
[TestClass]
public sealed class RecurrentTests
{
    private static readonly string[] Cells = ["LSTM", "GRU", "RNN"];

    [TestMethod]
    [DataRow("LSTM")]
    [DataRow("GRU")]
    [DataRow("RNN")]
    public void FloatAgreesWithOnnxRuntime(string cell)
    {
        for (int seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed + 1000);
            var node = new RecurrentNode(cell, seed, random.Next(1, 9), random.Next(1, 6), random.Next(1, 20), random.Next(1, 36), usual: seed % 2 == 0);
            float[][] found = Run(Program.Compile(node.Graph()), node);
            float[][] expected = OnnxRuntimeOracle.Score(node.Graph(), false, [.. node.Graph().Inputs.Zip(node.Fed(), (i, t) => (i.Name, Floats(t), t.Dims))]);
            for (int o = 0; o < expected.Length; o++) Close(expected[o], found[o], 2e-5, $"seed {seed}, output {o}, {node}");
        }
    }

    [TestMethod]
    public void BatchFirstIsTheSameTransposed()
    {
        foreach (string cell in Cells)
            for (int seed = 0; seed < 8; seed++)
            {
                var first = new RecurrentNode(cell, seed, 5, 3, 7, 18, batchFirst: true);
                var other = new RecurrentNode(cell, seed, 5, 3, 7, 18)
                {
                    X = Turned(first.X, 5, 3),
                    Lengths = first.Lengths,
                    H = first.H is null ? null : Turned(first.H, first.Directions, 3),
                    C = first.C is null ? null : Turned(first.C, first.Directions, 3),
                };
                float[][] a = Run(Program.Compile(first.Graph()), first), b = Run(Program.Compile(other.Graph()), other);
                // [batch, steps, directions, hidden] against [steps, directions, batch, hidden].
                for (int t = 0; t < 5; t++)
                    for (int d = 0; d < first.Directions; d++)
                        for (int row = 0; row < 3; row++)
                            CollectionAssert.AreEqual(
                                b[0].AsSpan(((((t * first.Directions) + d) * 3) + row) * 18, 18).ToArray(), a[0].AsSpan(((((row * 5) + t) * first.Directions) + d) * 18, 18).ToArray(), $"{first}");
                for (int o = 1; o < a.Length; o++) CollectionAssert.AreEqual(Turned(Tensor.Create(b[o], first.Directions, 3, 18), 3, first.Directions).Span<float>().ToArray(), a[o], $"{first}");
            }
    }

    [TestMethod]
    public void Int8StaysNearFloat()
    {
        foreach (string cell in Cells)
        {
            var node = new RecurrentNode(cell, 3, 20, 4, 24, 48, direction: "bidirectional", lengths: false);
            float[] expected = Run(Program.Compile(node.Graph()), node)[0], found = Run(Int8(node, out _), node)[0];
            double noise = expected.Zip(found, (a, b) => (double)(a - b) * (a - b)).Sum(), signal = expected.Sum(a => (double)a * a);
            // What an RNN rounds goes round and round.
            Assert.IsLessThan(cell == "RNN" ? 0.05 : 0.02, Math.Sqrt(noise / signal), cell);
        }
    }

    [TestMethod]
    public void AnEmptySequenceGivesZerosAndItsInitialState()
    {
        var node = new RecurrentNode("LSTM", 1, 4, 3, 5, 6, direction: "bidirectional") { Lengths = [4, 0, 2] };
        node.H ??= Tensor.Create([.. Enumerable.Range(0, 2 * 3 * 6).Select(i => i / 36f)], 2, 3, 6);
        foreach (var program in new[] { Program.Compile(node.Graph()), Int8(node, out _) })
        {
            float[][] y = Run(program, node);
            for (int t = 0; t < 4; t++)
                for (int d = 0; d < 2; d++)
                    Assert.IsTrue(y[0].AsSpan(((((t * 2) + d) * 3) + 1) * 6, 6).ToArray().All(v => v == 0));
            for (int d = 0; d < 2; d++) CollectionAssert.AreEqual(node.H.Span<float>().Slice(((d * 3) + 1) * 6, 6).ToArray(), y[1].AsSpan(((d * 3) + 1) * 6, 6).ToArray());
        }
    }

    [TestMethod]
    public void NoStepsAndNoRowsAreNothing()
    {
        foreach (string cell in Cells)
        {
            var node = new RecurrentNode(cell, 2, 3, 2, 5, 6, direction: "forward", lengths: false) { H = null, C = null };
            var program = Int8(node, out _, symbolic: true);
            Assert.IsTrue(Run(program, [Tensor.Create(Array.Empty<float>(), 0, 2, 5)], 1)[1].All(v => v == 0));
            Assert.IsEmpty(Run(program, [Tensor.Create(Array.Empty<float>(), 3, 0, 5)], 1)[0]);
        }
    }

    [TestMethod]
    public void ARowWithNaNIsNaNAndItsNeighboursAreNot()
    {
        var node = new RecurrentNode("GRU", 4, 3, 3, 5, 6, direction: "forward", lengths: false);
        float[] x = node.X.Span<float>().ToArray();
        x[(1 * 3 * 5) + (1 * 5)] = float.NaN;
        float[] clean = Run(Int8(node, out _), node)[1];
        node.X = Tensor.Create(x, node.X.Dims);
        float[] found = Run(Int8(node, out _), node)[1];
        Assert.IsTrue(found.AsSpan(6, 6).ToArray().All(float.IsNaN));
        SameBits([.. clean[..6], .. clean[12..]], [.. found[..6], .. found[12..]], "neighbours");
    }

    [TestMethod]
    public void StaticInputsAreCodes()
    {
        foreach (string cell in Cells)
        {
            var node = new RecurrentNode(cell, 6, 12, 5, 16, 24, direction: "forward", lengths: false);
            var prepared = PreparedModel.Prepare(node.Graph(), new() { SymbolicBatch = false });
            CollectionAssert.Contains(prepared.ActivationsToCalibrate.ToList(), "x");
            var session = new CalibrationSession(prepared, CalibrationOptions.Default);
            using (var run = session.Program.Rent([.. node.Fed().Select(t => t.Dims)]))
            {
                for (int i = 0; i < node.Fed().Count; i++) node.Fed()[i].Bytes.Span.CopyTo(run.Input<byte>(i));
                session.Observe(run, 0);
            }
            var model = QuantizationRecipe.QuantizeStatic(prepared, session.Finish());
            Assert.IsTrue(model.Report.Layers.Single() is { IsInt8: true, InputScale: > 0 }, cell);
            Assert.IsTrue(LowerQuantized.Apply(model.Graph).Nodes.Any(n => n.OpType == $"Quantized{cell}"), cell);
            float[] expected = Run(Program.Compile(node.Graph()), node)[0], found = Run(model.Compile(), node)[0];
            double noise = expected.Zip(found, (a, b) => (double)(a - b) * (a - b)).Sum(), signal = expected.Sum(a => (double)a * a);
            Assert.IsLessThan(0.02, Math.Sqrt(noise / signal), cell);
        }
    }

    [TestMethod]
    [DataRow(WeightGranularity.PerChannel)]
    [DataRow(WeightGranularity.PerTensor)]
    public void TheFileIsReadByOthersAndLoadsAsInt8(WeightGranularity granularity)
    {
        foreach (string cell in Cells)
        {
            var node = new RecurrentNode(cell, 7, 6, 3, 16, 24, direction: "bidirectional", lengths: false);
            var model = QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(node.Graph(), new() { SymbolicBatch = false }), new() { Granularity = granularity });
            byte[] file = OnnxWriter.Write(model.Graph);
            Assert.IsLessThan(0.5, file.Length / (double)OnnxWriter.Write(node.Graph()).Length, cell);
            var loaded = QuantizedModel.FromGraph(OnnxReader.Read(file));
            Assert.IsTrue(loaded.Report.Layers.Single().IsInt8, cell);
            Assert.AreEqual(model.Report.WeightBytesAfter, loaded.Report.WeightBytesAfter, cell);
            float[][] found = Run(loaded.Compile(), node);
            SameBits(Run(model.Compile(), node)[0], found[0], cell);
            float[][] others = OnnxRuntimeOracle.Score(model.Graph, true, [.. node.Graph().Inputs.Zip(node.Fed(), (i, t) => (i.Name, Floats(t), t.Dims))]);
            Close(others[0], found[0], 0.05, cell);
        }
    }

    [TestMethod]
    public void InTheFormOnCodesOnnxRuntimeComputesAnLstmInInt8()
    {
        for (int seed = 0; seed < 6; seed++)
        {
            var node = new RecurrentNode("LSTM", seed, 6, 1, 16, 24);
            var model = QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(node.Graph(), new() { SymbolicBatch = false }));
            var written = model.As(OnnxQuantizationFormat.QOperator);
            Assert.AreEqual("DynamicQuantizeLSTM", written.Nodes.Single().OpType);
            float[][] others = OnnxRuntimeOracle.Score(written, true, [.. node.Graph().Inputs.Zip(node.Fed(), (i, t) => (i.Name, Floats(t), t.Dims))]), found = Run(model.Compile(), node);
            for (int o = 0; o < others.Length; o++) Close(others[o], found[o], 0.05, $"seed {seed}, {node}");
        }
    }

    [TestMethod]
    public void ExcludedLayersStayFloat()
    {
        var node = new RecurrentNode("LSTM", 8, 4, 2, 6, 8, lengths: false);
        var model = QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(node.Graph(), new() { SymbolicBatch = false }), new() { ExcludedNodes = ["layer"] });
        Assert.IsFalse(model.Report.Layers.Single().IsInt8);
        SameBits(Run(Program.Compile(node.Graph()), node)[0], Run(model.Compile(), node)[0], "float");
    }

    [TestMethod]
    public void LengthsBeyondTheDataAreAnErrorThatNamesTheRow()
    {
        var node = new RecurrentNode("LSTM", 9, 4, 3, 5, 6) { Lengths = [4, 5, 1] };
        var error = Assert.ThrowsExactly<ModelFormatException>(() => Run(Program.Compile(node.Graph()), node));
        StringAssert.Contains(error.Message, "sequence_lens of row 1 is 5, the data has 4 steps");
        node.Lengths = [4, -1, 1];
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => Run(Int8(node, out _), node)).Message, "row 1 is -1");
    }

    [TestMethod]
    [DataRow("direction", "sideways", "direction is 'sideways'")]
    [DataRow("layout", 2L, "layout is 2")]
    [DataRow("clip", -1f, "clip is -1")]
    [DataRow("hidden_size", 7L, "hidden_size is 7")]
    public void AttributesThatContradictAreErrors(string attribute, object value, string expected)
    {
        var node = new RecurrentNode("LSTM", 9, 4, 3, 5, 6, direction: "forward");
        node.Attributes = node.Attributes.With(attribute, value);
        var error = Assert.ThrowsExactly<ModelFormatException>(() => Program.Compile(node.Graph()));
        StringAssert.Contains(error.Message, "'layer' (LSTM)");
        StringAssert.Contains(error.Message, expected);
    }

    [TestMethod]
    public void ActivationsThatDoNotFitAreErrors()
    {
        var node = new RecurrentNode("GRU", 9, 4, 3, 5, 6, direction: "forward");
        node.Attributes = node.Attributes.With("activations", ImmutableArray.Create("Sigmoid"));
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => Program.Compile(node.Graph())).Message, "names 1 functions, expected 2");
        node.Attributes = node.Attributes.With("activations", ImmutableArray.Create("Sigmoid", "Cosh"));
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => Program.Compile(node.Graph())).Message, "'Cosh' is none of Affine");
    }

    private static float[] Floats(Tensor t) => t.Type == ElementType.Int32 ? Array.ConvertAll(t.Span<int>().ToArray(), i => (float)i) : t.Span<float>().ToArray();

    private static Tensor Turned(Tensor x, int rows, int columns)
    {
        // [columns, rows, rest] to [rows, columns, rest].
        int rest = x.Count / (rows * columns);
        var to = new float[x.Count];
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) x.Span<float>().Slice(((c * rows) + r) * rest, rest).CopyTo(to.AsSpan(((r * columns) + c) * rest));
        return Tensor.Create(to, [rows, columns, .. x.Dims.Skip(2)]);
    }

    private static void Close(float[] expected, float[] found, double tolerance, string what)
    {
        Assert.AreEqual(expected.Length, found.Length, what);
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], tolerance * Math.Max(1, Math.Abs(expected[i])), $"{what}, element {i}");
    }

    /// <summary>The last group of rows may be smaller than the others, and must not take more memory than they do.</summary>
    [TestMethod]
    public unsafe void FewerRowsStayWithinTheMemoryOfMore()
    {
        const int Steps = 100, Inputs = 16, Hidden = 32, Guard = 1 << 16;
        var layer = new RecurrentNode("LSTM", 1, Steps, 53, Inputs, Hidden, direction: "forward", lengths: false) { H = null, C = null };
        var node = layer.Graph().Nodes[0];
        var form = new RecurrentForm(new OpContext(node, 14, []), "LSTM");
        var cell = RecurrentCell.CreateAll(form, new FloatRecurrentWeights(4, Inputs, Hidden, layer.W.Span<float>().ToArray(), layer.R.Span<float>().ToArray()), null, null)[0];
        float[] x = layer.X.Span<float>().ToArray();
        for (int capacity = 2; capacity <= 53; capacity++)
        {
            long bytes = RecurrentRun.Bytes(cell, Steps, capacity);
            var memory = new AlignedBuffer(bytes + Guard);
            fixed (float* px = x)
            {
                var run = new RecurrentRun { Layout = new(Steps, 53, 1, false), X = (byte*)px, XRowBytes = 4 * Inputs, HasCell = true };
                run.Run(cell, 0, false, 0, capacity - 1, capacity, memory.Pointer);
            }
            Assert.IsFalse(new ReadOnlySpan<byte>(memory.Pointer + bytes, Guard).ContainsAnyExcept((byte)0), $"{capacity} rows");
            GC.KeepAlive(memory);
        }
    }
}
