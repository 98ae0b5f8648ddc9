using System.Collections.Immutable;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Graph;
using static MLNet.Quantization.Tests.Plugin.TestModels;

namespace MLNet.Quantization.Tests.Plugin;

/// <summary>Several inputs and outputs, vectors and scalars, float and integer columns.</summary>
[TestClass]
public sealed class ColumnTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private sealed class Mixed
    {
        [VectorType(3)]
        public float[] Vector { get; set; } = [];

        public float Scalar { get; set; }

        public int Index { get; set; }

        public bool Flag { get; set; }
    }

    /// <summary>v [N, 3] and s [N, 1] joined, a Gemm to "out" [N, 2]; "row" [N] int64 is the row of a table that "index" [N] int32 picks; "flag" [N] to float.</summary>
    private static OnnxModel Model() => new(new ModelGraph
    {
        Inputs =
        [
            new("v", ElementType.Float, new(new Dimension("N"), 3)), new("s", ElementType.Float, new(new Dimension("N"), 1)),
            new("index", ElementType.Int32, new(new Dimension("N"))), new("flag", ElementType.Bool, new(new Dimension("N"))),
        ],
        Outputs = [new("out", ElementType.Float, null), new("row", ElementType.Int64, null), new("number", ElementType.Float, null)],
        Nodes =
        [
            Node.Create("join", "Concat", ["v", "s"], ["x"]) with { Attributes = AttributeMap.Empty.With("axis", 1L) },
            Node.Create("dense", "Gemm", ["x", "w"], ["out"]),
            Node.Create("pick", "Gather", ["table", "index"], ["row"]),
            Node.Create("cast", "Cast", ["flag"], ["number"]) with { Attributes = AttributeMap.Empty.With("to", (long)ElementType.Float) },
        ],
        Initializers = ImmutableDictionary.CreateRange(StringComparer.Ordinal,
            [KeyValuePair.Create("w", Tensor.Create<float>([1, 0, 0, 1, 1, 0, 0, 1], 4, 2)), KeyValuePair.Create("table", Tensor.Create<long>([100, 200, 300, 400], 4))]),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    });

    private static OnnxModel Bound() => Model().Bind(inputs: [("v", "Vector"), ("s", "Scalar"), ("index", "Index"), ("flag", "Flag")], outputs: [("number", "Number")]);

    private IDataView Data(int count) => _mlContext.Data.LoadFromEnumerable(
        Enumerable.Range(0, count).Select(i => new Mixed { Vector = [i, -i, 0.5f], Scalar = i / 2f, Index = i % 4, Flag = i % 2 == 1 }).ToList());

    [TestMethod]
    public void EveryKindOfColumnIsReadAndWritten()
    {
        var data = Data(40);
        var scored = _mlContext.Quantization().QuantizeWeights(Bound()).Fit(data).Transform(data);
        Assert.AreEqual(new VectorDataViewType(NumberDataViewType.Single, 2), scored.Schema["out"].Type);
        Assert.AreEqual(NumberDataViewType.Int64, scored.Schema["row"].Type);
        Assert.AreEqual(NumberDataViewType.Single, scored.Schema["Number"].Type);
        float[][] o = [.. scored.GetColumn<float[]>("out")];
        long[] row = [.. scored.GetColumn<long>("row")];
        float[] number = [.. scored.GetColumn<float>("Number")];
        for (int i = 0; i < 40; i++)
        {
            Assert.AreEqual(i + 0.5f, o[i][0], 0.01f * (1 + i));
            Assert.AreEqual(-i + i / 2f, o[i][1], 0.01f * (1 + i));
            Assert.AreEqual(100 * (i % 4 + 1), row[i]);
            Assert.AreEqual(i % 2, number[i]);
        }
    }

    [TestMethod]
    [DataRow(4)]
    [DataRow(-5)]
    public void AnIndexOutsideItsTableIsAnErrorThatNamesBoth(int index)
    {
        var model = _mlContext.Quantization().QuantizeWeights(Bound()).Fit(Data(1));
        var data = _mlContext.Data.LoadFromEnumerable(new[] { 0, 3, index }.Select(i => new Mixed { Vector = [1, 2, 3], Index = i }).ToList());
        var e = Assert.Throws<Exception>(() => model.Transform(data).GetColumn<long>("row").ToList());
        StringAssert.Contains(e.GetBaseException().Message, $"'pick' (Gather): index {index} lies outside the 4 entries");
    }

    [TestMethod]
    public void StaticCalibrationWorksWithSeveralInputs()
    {
        var data = Data(40);
        var model = _mlContext.Quantization().CalibrateActivations(Bound())
            .Append(_mlContext.Quantization().QuantizeWeights(Bound(), new() { Activations = ActivationQuantization.Static })).Fit(data);
        float[][] o = [.. model.Transform(data).GetColumn<float[]>("out")];
        for (int i = 0; i < 40; i++) Assert.AreEqual(i + 0.5f, o[i][0], 0.5f);
    }

    [TestMethod]
    public void ColumnsThatWouldLoseValuesAreRefusedByName()
    {
        var data = _mlContext.Data.LoadFromEnumerable([new { Features = 1.0 }]);
        var e = Assert.Throws<ArgumentException>(() => _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(data));
        StringAssert.Contains(e.Message, "Features");
        StringAssert.Contains(e.Message, "Double");
    }

    [TestMethod]
    public void TextAndKeysAreRefusedByName()
    {
        var text = _mlContext.Data.LoadFromEnumerable([new { Features = "one" }]);
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(text)).Message, "Features");
        var keys = _mlContext.Transforms.Conversion.MapValueToKey("Features").Fit(text).Transform(text);
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(keys)).Message, "key");
    }

    private sealed class Narrow
    {
        [VectorType(3)]
        public short[] Vector { get; set; } = [];

        public byte Scalar { get; set; }

        public bool Index { get; set; }

        public bool Flag { get; set; }
    }

    [TestMethod]
    public void NarrowerNumbersAndFlagsAreWidened()
    {
        var wide = _mlContext.Data.LoadFromEnumerable([new Mixed { Vector = [-300, 2, 7], Scalar = 250, Index = 1, Flag = true }]);
        var narrow = _mlContext.Data.LoadFromEnumerable([new Narrow { Vector = [-300, 2, 7], Scalar = 250, Index = true, Flag = true }]);
        var model = _mlContext.Quantization().QuantizeWeights(Bound()).Fit(wide);
        CollectionAssert.AreEqual(model.Transform(wide).GetColumn<float[]>("out").Single(), model.Transform(narrow).GetColumn<float[]>("out").Single());
        Assert.AreEqual(200, model.Transform(narrow).GetColumn<long>("row").Single());
    }

    [TestMethod]
    public void AFaultOfOneInputKeepsTheRowsBeforeIt()
    {
        // The first input is taken sparse before the second one is found to be too long.
        var first = SchemaDefinition.Create(typeof(TwoVectors));
        first["A"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 3);
        var model = new OnnxModel(new ModelGraph
        {
            Inputs = [new("A", ElementType.Float, new(new Dimension("N"), 3)), new("B", ElementType.Float, new(new Dimension("N"), 2))],
            Outputs = [new("Score", ElementType.Float, null)],
            Nodes =
            [
                Node.Create("a", "Gemm", ["A", "w"], ["x"]), Node.Create("b", "Gemm", ["B", "v"], ["y"]), Node.Create("sum", "Add", ["x", "y"], ["Score"]),
            ],
            Initializers = ImmutableDictionary.CreateRange(StringComparer.Ordinal, [Weights("w", 1, 3, 2), Weights("v", 2, 2, 2)]),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        });
        var data = _mlContext.Data.LoadFromEnumerable(
            Enumerable.Range(0, 30).Select(i => new TwoVectors { A = new VBuffer<float>(3, 1, [i], [1]), B = new float[i == 20 ? 5 : 2] }), first);
        var scored = _mlContext.Quantization().QuantizeWeights(model).Fit(data).Transform(data);
        int count = 0;
        var e = Assert.Throws<Exception>(() =>
        {
            foreach (float[] _ in scored.GetColumn<float[]>("Score")) count++;
        });
        Assert.AreEqual(20, count);
        StringAssert.Contains(e.GetBaseException().Message, "'B'");
    }

    private sealed class TwoVectors
    {
        public VBuffer<float> A { get; set; }

        public float[] B { get; set; } = [];
    }

    [TestMethod]
    public void BindingNamesWhatTheModelDoesNotHave()
    {
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => Model().Bind(inputs: [("w", "W")])).Message, "'v', 's'");
        Assert.ThrowsExactly<ArgumentException>(() => Model().Bind(outputs: [("out", "Same"), ("row", "Same")]));
    }

    [TestMethod]
    public void AModelThatIsNoBatchIsScoredRowByRow()
    {
        // The first extent is fixed: a row of data is a whole tensor.
        var graph = new ModelGraph
        {
            Inputs = [new("data", ElementType.Float, new(3, 4))],
            Outputs = [new("scores", ElementType.Float, null)],
            Nodes = [Node.Create("dense", "Gemm", ["data", "w"], ["scores"])],
            Initializers = ImmutableDictionary.CreateRange(StringComparer.Ordinal, [Weights("w", 1, 4, 2)]),
            OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
        };
        var model = new OnnxModel(graph).Bind(inputs: [("data", "Features")], outputs: [("scores", "Score")]);
        var data = _mlContext.View(Rows(5));
        var scored = _mlContext.Quantization().QuantizeWeights(model).Fit(data).Transform(data);
        Assert.AreEqual(new VectorDataViewType(NumberDataViewType.Single, 3, 2), scored.Schema["Score"].Type);
        Assert.AreEqual(5, scored.GetColumn<float[]>("Score").Count(s => s.Length == 6));
    }
}
