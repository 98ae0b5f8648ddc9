using System.Collections.Immutable;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;

namespace MLNet.Quantization.Tests.Plugin;

/// <summary>Small models and data, made up from seeds.</summary>
internal static class TestModels
{
    public const int Width = 12, Hidden = 20, Classes = 5;

    /// <summary>"data" [N, 12] -> Gemm, Relu, Gemm -> "scores" [N, 5].</summary>
    public static ModelGraph MlpGraph(int seed = 1) => new()
    {
        Name = "mlp",
        Inputs = [new("data", ElementType.Float, new(new Dimension("N"), Width))],
        Outputs = [new("scores", ElementType.Float, new(new Dimension("N"), Classes))],
        Nodes =
        [
            Node.Create("dense1", "Gemm", ["data", "w1", "b1"], ["h"]),
            Node.Create("relu1", "Relu", ["h"], ["r"]),
            Node.Create("dense2", "Gemm", ["r", "w2", "b2"], ["scores"]),
        ],
        Initializers = ImmutableDictionary.CreateRange(StringComparer.Ordinal,
        [
            Weights("w1", seed, Width, Hidden), Weights("b1", seed + 1, Hidden), Weights("w2", seed + 2, Hidden, Classes), Weights("b2", seed + 3, Classes),
        ]),
        OpsetImports = ImmutableSortedDictionary<string, int>.Empty.Add("", 17),
    };

    public static byte[] MlpBytes(int seed = 1) => OnnxWriter.Write(MlpGraph(seed));

    /// <summary>Reads column Features, writes column Score.</summary>
    public static OnnxModel Mlp(int seed = 1) => OnnxModel.Load(MlpBytes(seed)).Bind(inputs: [("data", "Features")], outputs: [("scores", "Score")]);

    public static KeyValuePair<string, Tensor> Weights(string name, int seed, params int[] dims)
    {
        var random = new Random(seed);
        int count = dims.Aggregate(1, (p, d) => p * d);
        return new(name, Tensor.Create([.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))], dims));
    }

    public sealed class Row
    {
        [VectorType(Width)]
        public float[] Features { get; set; } = [];

        public string Name { get; set; } = "";

        public float Label { get; set; }
    }

    public sealed class Scored
    {
        public float[] Score { get; set; } = [];

        public string Name { get; set; } = "";
    }

    public static List<Row> Rows(int count, int seed = 9)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(i => new Row { Features = [.. Enumerable.Range(0, Width).Select(_ => (float)(random.NextDouble() * 4 - 2))], Name = $"row{i}", Label = i % 3 })];
    }

    public static IDataView View(this MLContext mlContext, IEnumerable<Row> rows) => mlContext.Data.LoadFromEnumerable(rows);

    /// <summary>The float model's scores by ONNX Runtime.</summary>
    public static float[][] Oracle(byte[] onnx, IReadOnlyList<Row> rows, string output)
    {
        using var session = new Microsoft.ML.OnnxRuntime.InferenceSession(onnx);
        using var input = Microsoft.ML.OnnxRuntime.OrtValue.CreateTensorValueFromMemory([.. rows.SelectMany(r => r.Features)], [rows.Count, Width]);
        using var options = new Microsoft.ML.OnnxRuntime.RunOptions();
        using var outputs = session.Run(options, new Dictionary<string, Microsoft.ML.OnnxRuntime.OrtValue> { ["data"] = input }, [output]);
        return [.. outputs[0].GetTensorDataAsSpan<float>().ToArray().Chunk(Classes)];
    }

    public static float[][] Scores(ITransformer model, IDataView data) => [.. model.Transform(data).GetColumn<float[]>("Score")];

    /// <summary>The greatest difference between two tables of scores.</summary>
    public static float Difference(float[][] a, float[][] b)
    {
        Assert.HasCount(a.Length, b);
        return a.Zip(b).Max(p => p.First.Zip(p.Second, (x, y) => MathF.Abs(x - y)).Max());
    }

    public static void AssertSame(float[][] expected, float[][] found)
    {
        Assert.HasCount(expected.Length, found);
        for (int i = 0; i < expected.Length; i++) Assert.IsTrue(expected[i].AsSpan().SequenceEqual(found[i]), $"row {i}");
    }
}
