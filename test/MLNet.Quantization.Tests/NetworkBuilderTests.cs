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
}
