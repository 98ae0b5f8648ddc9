using System.Collections.Immutable;
using System.Globalization;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Ops.Quantized;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Passes;

[TestClass]
public class EmbeddingTests
{
    private const int Rows = 211, Columns = 67, Classes = 5;

    private static Tensor Table(int rows = Rows, int columns = Columns)
    {
        var random = new Random(3);
        // Rows of very different size, one of zeros.
        float[] values = [.. Enumerable.Range(0, rows * columns).Select(i => (random.NextSingle() - 0.5f) * MathF.Pow(10, i / columns % 7 - 3))];
        values.AsSpan(columns, columns).Clear();
        return Tensor.Create(values, rows, columns);
    }

    /// <summary>Ids [N,T] to vectors, and what else is asked for.</summary>
    private static ModelGraph Model(ElementType ids = ElementType.Int32, Node[]? more = null, string output = "v", params (string Name, Tensor Value)[] constants) => new()
    {
        Inputs = [new("ids", ids, new TensorShape(new Dimension("N"), new Dimension("T")))],
        Outputs = [new(output, ElementType.Float, null)],
        Nodes = [Node.Create("embed", "Gather", ["table", "ids"], ["v"]), .. more ?? []],
        Initializers = constants.Aggregate(ImmutableDictionary<string, Tensor>.Empty.Add("table", Table()), (all, c) => all.SetItem(c.Name, c.Value)),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        Metadata = ModelMetadata.Empty with { IrVersion = 8 },
    };

    private static QuantizedModel Dynamic(ModelGraph graph, params string[] excluded) => QuantizationRecipe.QuantizeDynamic(PreparedModel.Prepare(graph), new() { ExcludedNodes = excluded });

    private static float[] Score(Program program, int[] ids, params int[] dims)
    {
        using var run = program.Rent(dims);
        if (program.Inputs[0].Type == ElementType.Int32) ids.CopyTo(run.Input<int>(0));
        else Array.ConvertAll(ids, i => (long)i).CopyTo(run.Input<long>(0));
        run.Execute();
        return run.Output<float>(0).ToArray();
    }

    /// <summary>The rows by their definition: the greatest magnitude of a row is 127.</summary>
    private static float[] Naive(Tensor table, int[] ids)
    {
        int columns = table.Dims[1];
        var result = new List<float>();
        foreach (int id in ids)
        {
            var row = table.Span<float>().Slice((id < 0 ? id + table.Dims[0] : id) * columns, columns).ToArray();
            float scale = (float)(row.Max(MathF.Abs) / 127.0);
            if (scale < MathF.Pow(2, -60)) scale = row.Any(v => v != 0) ? MathF.Pow(2, -60) : 1;
            result.AddRange(row.Select(v => scale * (int)MathF.Round(Math.Clamp(v / scale, -127, 127), MidpointRounding.ToEven)));
        }
        return [.. result];
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void RowsAreTheDefinitionBitForBitAndTheReportSaysSo(bool longs)
    {
        var graph = Model(longs ? ElementType.Int64 : ElementType.Int32);
        var quantized = Dynamic(graph);
        Assert.IsTrue(LowerQuantized.Apply(quantized.Graph).Nodes.Any(n => n.OpType == nameof(QuantizedGather)));
        var program = quantized.Compile();
        foreach (int[] dims in new int[][] { [1, 1], [3, 7], [0, 4], [5, 0] })
        {
            var random = new Random(dims[0]);
            int[] ids = [.. Enumerable.Range(0, dims[0] * dims[1]).Select(i => i == 0 ? -Rows : i == 1 ? Rows - 1 : random.Next(-Rows, Rows))];
            CollectionAssert.AreEqual(Array.ConvertAll(Naive(Table(), ids), v => v + 0f), Array.ConvertAll(Score(program, ids, dims), v => v + 0f));
        }
        var layer = quantized.Report.Layers.Single();
        Assert.AreEqual(("embed", "Gather", true), (layer.Name, layer.Operator, layer.IsInt8));
        Assert.AreEqual((4L * Rows * Columns, (Rows * Columns) + (4L * Rows)), (layer.WeightBytesBefore, layer.WeightBytesAfter));
        Assert.IsGreaterThan(30, layer.WeightSignalToNoise!.Value);
        var read = QuantizedModel.FromGraph(OnnxReader.Read(OnnxWriter.Write(quantized.Graph))).Report.Layers.Single();
        Assert.AreEqual((layer.Name, layer.IsInt8, layer.WeightBytesBefore, layer.WeightBytesAfter), (read.Name, read.IsInt8, read.WeightBytesBefore, read.WeightBytesAfter));
    }

    [TestMethod]
    public void AFileIsAQuarterOfItsSize()
    {
        var graph = Model(constants: ("table", Table(1000, 256)));
        Assert.IsLessThanOrEqualTo(0.27 * OnnxWriter.Write(graph).Length, OnnxWriter.Write(Dynamic(graph).Graph).Length);
    }

    [TestMethod]
    public void ATableThatIsReadTwiceAndTiedToAProjectionIsKeptOnce()
    {
        Node[] more =
        [
            Node.Create("embed2", "Gather", ["table", "ids"], ["u"]), Node.Create("sum", "Add", ["v", "u"], ["s"]), Node.Create("flat", "Reshape", ["s", "rows"], ["f"]),
            Node.Create("project", "Gemm", ["f", "table"], ["y"]) with { Attributes = AttributeMap.Empty.With("transB", 1) },
        ];
        var graph = Model(ElementType.Int32, more, "y", ("rows", Tensor.Create([-1L, Columns], 2)));
        var quantized = Dynamic(graph);
        Assert.AreEqual(1, quantized.Graph.Initializers.Values.Count(t => t.Type == ElementType.Int8 && t.Rank == 2));
        Assert.IsFalse(quantized.Graph.Initializers.ContainsKey("table"));
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8), quantized.Report.ToString());
        StringAssert.Contains(quantized.Report.Layers[1].Reason, "'embed'");
        int[] ids = [4, 5, 6, 0, 210, -1];
        float[] found = Score(quantized.Compile(), ids, 2, 3), real = Score(Program.Compile(graph), ids, 2, 3);
        double signal = real.Sum(r => (double)r * r), noise = real.Zip(found, (a, b) => Math.Pow(a - b, 2)).Sum();
        Assert.IsGreaterThan(30, 10 * Math.Log10(signal / noise));
        var report = QuantizedModel.FromGraph(quantized.Graph).Report;
        Assert.AreEqual(3, report.Layers.Count(l => l.IsInt8), report.ToString());
        Assert.AreEqual(quantized.Report.WeightBytesAfter, report.WeightBytesAfter);
    }

    [TestMethod]
    public void WhatIsExcludedOrTooSmallStaysFloat()
    {
        var graph = Model(more: [Node.Create("embed2", "Gather", ["table", "ids"], ["u"]), Node.Create("sum", "Add", ["v", "u"], ["s"])], output: "s");
        var quantized = Dynamic(graph, "embed");
        Assert.AreEqual((false, "excluded"), (quantized.Report.Layers[0].IsInt8, quantized.Report.Layers[0].Reason));
        Assert.IsTrue(quantized.Report.Layers[1].IsInt8);
        int[] ids = [1, 2, 3];
        float[] exact = [.. ids.SelectMany(i => Table().Span<float>().Slice(i * Columns, Columns).ToArray())];
        CollectionAssert.AreEqual(exact.Zip(Naive(Table(), ids), (a, b) => a + b).ToArray(), Score(quantized.Compile(), ids, 1, 3));
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Dynamic(graph, "other")).Message, "'embed2'");
        Assert.IsEmpty(Dynamic(Model(constants: ("table", Table(15, Columns)))).Report.Layers);
        Assert.IsEmpty(Dynamic(Model(constants: ("table", Table(4000, 7)))).Report.Layers);
    }

    [TestMethod]
    [DataRow(Rows)]
    [DataRow(-Rows - 1)]
    [DataRow(int.MinValue)]
    public void AnIdOutsideTheTableIsNamed(int id)
    {
        foreach (var type in new[] { ElementType.Int32, ElementType.Int64 })
        {
            var e = Assert.ThrowsExactly<ModelFormatException>(() => Score(Dynamic(Model(type)).Compile(), [0, id], 1, 2));
            Assert.AreEqual("embed", e.NodeName);
            StringAssert.Contains(e.Message, id.ToString(CultureInfo.InvariantCulture));
            StringAssert.Contains(e.Message, $"{Rows} rows");
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void OnnxRuntimeReadsWhatIsExported(bool dynamic)
    {
        Node[] more = [Node.Create("head", "MatMul", ["v", "w"], ["y"])];
        var random = new Random(8);
        var graph = Model(ElementType.Int32, more, "y", ("w", Tensor.Create([.. Enumerable.Range(0, Columns * Classes).Select(_ => random.NextSingle() - 0.5f)], Columns, Classes)));
        var model = PreparedModel.Prepare(graph);
        int[] ids = [.. Enumerable.Range(0, 40).Select(_ => random.Next(Rows))];
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        using (var run = session.Program.Rent([8, 5]))
        {
            ids.CopyTo(run.Input<int>(0));
            session.Observe(run, 0);
        }
        var quantized = dynamic ? QuantizationRecipe.QuantizeDynamic(model) : QuantizationRecipe.QuantizeStatic(model, session.Finish());
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8) && quantized.Report.Layers.Count == 2, quantized.Report.ToString());
        Assert.IsTrue(QuantizedModel.FromGraph(quantized.Graph).Report.Layers.All(l => l.IsInt8));
        Assert.IsTrue(LowerQuantized.Apply(quantized.Graph).Nodes.Any(n => n.OpType == nameof(QuantizedGather)));
        float[] found = Score(quantized.Compile(), ids, 8, 5);
        foreach (var format in new[] { OnnxQuantizationFormat.Qdq, OnnxQuantizationFormat.QOperator })
        {
            // A dynamic model's QDQ form has float activations, its other form one scale a tensor.
            float[] expected = OnnxRuntimeOracle.Score(quantized.As(format), false, ("ids", Array.ConvertAll(ids, i => (float)i), [8, 5]))[0];
            FloatGraph.AssertClose(expected, found, dynamic ? 2e-2 : 1e-5);
        }
    }
}
