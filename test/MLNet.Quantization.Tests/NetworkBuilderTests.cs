using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Tests.Plugin;

namespace MLNet.Quantization.Tests;

[TestClass]
public sealed class NetworkBuilderTests
{
    [TestMethod]
    public void ANetworkOfEveryLayerIsQuantizedAndScored()
    {
        var mlContext = new MLContext(seed: 1);
        var model = new NetworkBuilder(TestModels.Width, "Features").Dense(16).Relu().Dense(16).LeakyRelu(0.1f).Dense(16).Sigmoid().Dense(8).Tanh()
            .Dense(8).Clip(-1, 1).Dense(4).Softmax().Build("Score");
        Assert.AreEqual("Features: Float[N,12] -> Score: Float[N,4]", model.ToString());
        var data = mlContext.View(TestModels.Rows(50));
        foreach (var activations in Enum.GetValues<ActivationQuantization>())
        {
            var int8 = mlContext.Quantization().CalibrateActivations(model).Append(mlContext.Quantization().QuantizeWeights(model, new() { Activations = activations })).Fit(data);
            Assert.AreEqual(6, int8.LastTransformer.Report.Layers.Count(l => l.IsInt8));
            foreach (float[] scores in int8.Transform(data).GetColumn<float[]>("Score")) Assert.AreEqual(1f, scores.Sum(), 1e-5f);
        }
    }

    [TestMethod]
    public void GivenWeightsAreUsedAsTheyAre()
    {
        var mlContext = new MLContext();
        var model = new NetworkBuilder(TestModels.Width, "Features").Dense([.. Enumerable.Repeat(1f, TestModels.Width)], [10f]).LogSoftmax().Build("Score");
        var data = mlContext.View(TestModels.Rows(3));
        Assert.IsTrue(mlContext.Quantization().QuantizeWeights(model).Fit(data).Transform(data).GetColumn<float[]>("Score").All(s => s is [0f]));
    }

    [TestMethod]
    public void TheSameSeedGivesTheSameNetwork()
    {
        static byte[] Bytes(int seed) => MLNet.Quantization.Onnx.OnnxWriter.Write(new NetworkBuilder(5, seed: seed).Dense(7).Relu().Build().Graph);
        CollectionAssert.AreEqual(Bytes(3), Bytes(3));
        CollectionAssert.AreNotEqual(Bytes(3), Bytes(4));
    }

    [TestMethod]
    public void WhatDoesNotFitIsRefused()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new NetworkBuilder(0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new NetworkBuilder(3).Dense(0));
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => new NetworkBuilder(3).Dense(new float[5], new float[2])).Message, "[3, 2]");
        Assert.ThrowsExactly<ArgumentException>(() => new NetworkBuilder(1).Dense([float.NaN], [0]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => new NetworkBuilder(3).Clip(1, 0));
        Assert.ThrowsExactly<InvalidOperationException>(() => new NetworkBuilder(3).Build());
        Assert.ThrowsExactly<ArgumentException>(() => new NetworkBuilder(3).Dense(2).Build("input"));
    }

    [TestMethod]
    [DataRow("Lstm", true, false, "Float[N,T,5]")]
    [DataRow("Lstm", false, true, "Float[N,5]")]
    [DataRow("Gru", true, true, "Float[N,T,5]")]
    [DataRow("Gru", false, false, "Float[N,5]")]
    public void SequencesAreQuantizedScoredAndSaved(string layer, bool returnSequence, bool bidirectional, string output)
    {
        const int Steps = 7, Features = 6;
        var mlContext = new MLContext(seed: 1);
        var network = NetworkBuilder.Sequence(Features, inputName: "Features");
        network = layer == "Lstm" ? network.Lstm(10, returnSequence, bidirectional) : network.Gru(10, returnSequence, bidirectional);
        var model = network.Dense(5).Tanh().Build("Score");
        Assert.AreEqual($"Features: Float[N,T,{Features}] -> Score: {output}", model.ToString());
        var data = mlContext.Data.LoadFromEnumerable(Sequences(20, Steps * Features), SequenceSchema(Steps * Features));
        var int8 = mlContext.Quantization().QuantizeWeights(model).Fit(data);
        Assert.IsTrue(int8.Report.Layers.All(l => l.IsInt8), int8.Report.ToString());
        var real = mlContext.Quantization().QuantizeWeights(model, new() { ExcludedNodes = [.. int8.Report.Layers.Select(l => l.Name)] }).Fit(data);
        float[][] scores = [.. int8.Transform(data).GetColumn<float[]>("Score")], expected = [.. real.Transform(data).GetColumn<float[]>("Score")];
        for (int i = 0; i < scores.Length; i++)
        {
            Assert.HasCount(returnSequence ? 5 * Steps : 5, scores[i]);
            for (int j = 0; j < scores[i].Length; j++) Assert.AreEqual(expected[i][j], scores[i][j], 0.03);
        }
        using var zip = new MemoryStream();
        mlContext.Model.Save(int8, data.Schema, zip);
        zip.Position = 0;
        var loaded = new MLContext().Model.Load(zip, out _).Transform(data).GetColumn<float[]>("Score").ToArray();
        for (int i = 0; i < scores.Length; i++) CollectionAssert.AreEqual(scores[i], loaded[i]);
    }

    [TestMethod]
    public void TokensBecomeRowsOfTheTable()
    {
        var mlContext = new MLContext(seed: 1);
        var model = NetworkBuilder.Tokens(3, "Ids").Embedding([0, 0, 1, 10, 2, 20], 2).Build("Score");
        Assert.AreEqual("Ids: Int64[N,3] -> Score: Float[N,3,2]", model.ToString());
        var data = mlContext.Data.LoadFromEnumerable([new Ids { Values = [2, 0, 1] }], IdsSchema());
        float[] found = mlContext.Quantization().QuantizeWeights(model).Fit(data).Transform(data).GetColumn<float[]>("Score").Single();
        float[] expected = [2, 20, 0, 0, 1, 10];
        for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 20 / 254f);
        var outside = mlContext.Data.LoadFromEnumerable([new Ids { Values = [2, 3, 1] }], IdsSchema());
        var int8 = mlContext.Quantization().QuantizeWeights(model).Fit(data);
        var error = Assert.ThrowsExactly<ModelFormatException>(() => int8.Transform(outside).GetColumn<float[]>("Score").ToList());
        StringAssert.Contains(error.Message, "3");
    }

    [TestMethod]
    public void ATableOfCodesIsSavedAndLoadedWithTheSameBits()
    {
        var mlContext = new MLContext(seed: 1);
        var model = NetworkBuilder.Tokens(3, "Ids").Embedding(200, 64).Build("Score");
        var data = mlContext.Data.LoadFromEnumerable([new Ids { Values = [2, 199, 0] }, new Ids { Values = [7, 7, 11] }], IdsSchema());
        var int8 = mlContext.Quantization().QuantizeWeights(model).Fit(data);
        Assert.IsTrue(int8.Report.Layers.Single().IsInt8, int8.Report.ToString());
        Assert.IsLessThanOrEqualTo(0.27 * int8.Report.WeightBytesBefore, int8.Report.WeightBytesAfter);
        float[][] scores = [.. int8.Transform(data).GetColumn<float[]>("Score")];
        using var zip = new MemoryStream();
        mlContext.Model.Save(int8, data.Schema, zip);
        Assert.IsLessThan(200 * 64 * sizeof(float), zip.Length);
        zip.Position = 0;
        var loaded = new MLContext().Model.Load(zip, out _).Transform(data).GetColumn<float[]>("Score").ToArray();
        for (int i = 0; i < scores.Length; i++) CollectionAssert.AreEqual(scores[i], loaded[i]);
    }

    [TestMethod]
    public void LayersThatDoNotFitSequencesAreRefused()
    {
        Assert.ThrowsExactly<InvalidOperationException>(() => new NetworkBuilder(3).Lstm(4));
        Assert.ThrowsExactly<InvalidOperationException>(() => new NetworkBuilder(3).Embedding(4, 4));
        Assert.ThrowsExactly<InvalidOperationException>(() => NetworkBuilder.Tokens().Dense(4));
        Assert.ThrowsExactly<InvalidOperationException>(() => NetworkBuilder.Tokens().Gru(4));
        Assert.ThrowsExactly<InvalidOperationException>(() => NetworkBuilder.Sequence(3).Gru(4, returnSequence: false, bidirectional: false).Gru(4));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => NetworkBuilder.Sequence(0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => NetworkBuilder.Sequence(3, steps: 0));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => NetworkBuilder.Sequence(3).Lstm(0));
        Assert.ThrowsExactly<ArgumentException>(() => NetworkBuilder.Tokens().Embedding(new float[5], 2));
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => NetworkBuilder.Sequence(3).Lstm(new float[47], new float[64], new float[32], true, false)).Message, "[1, 16, 3]");
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => NetworkBuilder.Sequence(3).Gru(new float[36], new float[4], new float[24], true, false)).Message, "[1, 12, 4]");
    }

    private static IEnumerable<Steps> Sequences(int count, int size)
    {
        var random = new Random(1);
        for (int i = 0; i < count; i++) yield return new() { Features = [.. Enumerable.Range(0, size).Select(_ => (random.NextSingle() * 2) - 1)] };
    }

    private static SchemaDefinition SequenceSchema(int size)
    {
        var schema = SchemaDefinition.Create(typeof(Steps));
        schema["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, size);
        return schema;
    }

    private static SchemaDefinition IdsSchema()
    {
        var schema = SchemaDefinition.Create(typeof(Ids));
        schema[nameof(Ids.Values)].ColumnType = new VectorDataViewType(NumberDataViewType.Int64, 3);
        schema[nameof(Ids.Values)].ColumnName = "Ids";
        return schema;
    }

    private sealed class Steps
    {
        public float[] Features { get; set; } = [];
    }

    private sealed class Ids
    {
        public long[] Values { get; set; } = [];
    }
}
