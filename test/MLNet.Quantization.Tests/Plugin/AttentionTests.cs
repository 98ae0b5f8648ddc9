using System.Collections.Immutable;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Plugin;

/// <summary>Products of two activations in INT8, from the option to the zip.</summary>
[TestClass]
public sealed class AttentionTests
{
    private const int Tokens = 6, Width = 12;

    private readonly MLContext _mlContext = new(seed: 1);

    private sealed class Sequence
    {
        [VectorType(Tokens * Width)]
        public float[] Features { get; set; } = [];
    }

    /// <summary>softmax(x · Wq · (x · Wk)ᵀ) · (x · Wv), one head.</summary>
    private static OnnxModel Model() => new OnnxModel(new ModelGraph
    {
        Name = "attention",
        Inputs = [new("x", ElementType.Float, new(new Dimension("N"), Tokens, Width))],
        Outputs = [new("y", ElementType.Float, new(new Dimension("N"), Tokens, Width))],
        Nodes =
        [
            Node.Create("q", "MatMul", ["x", "wq"], ["queries"]), Node.Create("k", "MatMul", ["x", "wk"], ["keys"]), Node.Create("v", "MatMul", ["x", "wv"], ["values"]),
            Node.Create("turn", "Transpose", ["keys"], ["turned"]) with { Attributes = AttributeMap.Empty.With("perm", ImmutableArray.Create(0L, 2, 1)) },
            Node.Create("scores", "MatMul", ["queries", "turned"], ["s"]), Node.Create("weigh", "Softmax", ["s"], ["p"]), Node.Create("context", "MatMul", ["p", "values"], ["y"]),
        ],
        Initializers = ImmutableDictionary.CreateRange(StringComparer.Ordinal, [TestModels.Weights("wq", 1, Width, Width), TestModels.Weights("wk", 2, Width, Width), TestModels.Weights("wv", 3, Width, Width)]),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    }).Bind(inputs: [("x", "Features")], outputs: [("y", "Score")]);

    private IDataView Data(int rows)
    {
        var random = new Random(4);
        return _mlContext.Data.LoadFromEnumerable(Enumerable.Range(0, rows).Select(_ => new Sequence { Features = [.. Enumerable.Range(0, Tokens * Width).Select(_ => (random.NextSingle() * 2) - 1)] }).ToList());
    }

    private ITransformer Fit(bool isStatic, bool products, IDataView data)
    {
        var catalog = _mlContext.Quantization();
        var options = new QuantizeWeightsEstimator.Options { ActivationProducts = products, Activations = isStatic ? ActivationQuantization.Static : ActivationQuantization.Dynamic };
        return isStatic ? catalog.CalibrateActivations(Model()).Append(catalog.QuantizeWeights(Model(), options)).Fit(data).LastTransformer : catalog.QuantizeWeights(Model(), options).Fit(data);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void TheOptionReachesTheReportTheScoresAndTheZip(bool isStatic)
    {
        var data = Data(40);
        float[][] real = TestModels.Scores(Fit(isStatic, products: false, data), data);
        var model = (QuantizedModelTransformer)Fit(isStatic, products: true, data);
        string[] products = ["scores", "context"];
        CollectionAssert.AreEquivalent(products, model.Report.Layers.Where(l => l.Reason == "a product of two activations" && l.IsInt8).Select(l => l.Name).ToArray(), model.Report.ToString());
        float[][] scores = TestModels.Scores(model, data);
        Assert.IsLessThan(0.1f, TestModels.Difference(real, scores));
        Assert.IsGreaterThan(0, TestModels.Difference(real, scores));

        using var folder = new TemporaryFolder();
        string zip = Path.Combine(folder.Path, "model.zip");
        _mlContext.Model.Save(model, data.Schema, zip);
        var read = new MLContext().Model.Load(zip, out _);
        var loaded = read as QuantizedModelTransformer ?? ((IEnumerable<ITransformer>)read).OfType<QuantizedModelTransformer>().Single();
        CollectionAssert.AreEquivalent(products, loaded.Report.Layers.Where(l => l.Reason == "a product of two activations" && l.IsInt8).Select(l => l.Name).ToArray(), loaded.Report.ToString());
        TestModels.AssertSame(scores, TestModels.Scores(loaded, data));
    }

    [TestMethod]
    public void WithoutTheOptionTheReportNamesIt()
    {
        var model = (QuantizedModelTransformer)Fit(isStatic: false, products: false, Data(3));
        StringAssert.Contains(model.Report.Layers.Single(l => l.Name == "scores").Reason, nameof(QuantizeWeightsEstimator.Options.ActivationProducts));
    }
}
