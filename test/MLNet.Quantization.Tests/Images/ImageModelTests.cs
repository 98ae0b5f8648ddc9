using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests;

/// <summary>Image models on photographs: calibrated and scored through ML.NET in static INT8, held against the float model.</summary>
[TestClass]
public sealed class ImageModelTests
{
    private const int CalibrationRows = 500;

    public required TestContext TestContext { get; set; }

    [TestMethod]
    public void SqueezenetKeepsItsAccuracy()
    {
        const int side = 224, classes = 1000;
        string folder = SharedData.Path("datasets", "imagenet_sample_1000"), file = SharedData.Model("squeezenet1_1_imagenet");
        var labels = File.ReadLines(Path.Combine(folder, "labels.tsv")).Select(l => l.Split('\t')).Where(l => l[1].All(char.IsAsciiDigit))
            .Select(l => (File: Path.Combine(folder, l[0]), Class: int.Parse(l[1], System.Globalization.CultureInfo.InvariantCulture))).ToList();
        Assert.HasCount(classes, labels);
        // Classes are in order: every second picture, so that both halves hold all kinds.
        var halves = Enumerable.Range(0, 2).Select(h => labels.Where((_, i) => i % 2 == h).ToList()).ToArray();
        float[] Pixels((string File, int Class) picture) => Photographs.BlueGreenRed(picture.File, 103.94f, 116.78f, 123.68f);

        int right = 0, rightInFloat = 0, lost = 0, won = 0;
        double signal = 0, noise = 0;
        foreach (int half in new[] { 0, 1 })
        {
            var int8 = Static(file, "data_0", 3 * side * side, halves[half].Take(CalibrationRows).Select(Pixels));
            float[][] scores = Score(int8, 3 * side * side, halves[1 - half].Select(Pixels)), real = [.. ScoreInFloat(file, halves[1 - half].Select(Pixels)).Select(s => s[0])];
            for (int i = 0; i < scores.Length; i++)
            {
                int label = halves[1 - half][i].Class, found = Array.IndexOf(scores[i], scores[i].Max()), before = Array.IndexOf(real[i], real[i].Max());
                if (found == label) right++;
                if (before == label) rightInFloat++;
                if (before == label && found != label) lost++;
                if (before != label && found == label) won++;
                signal += real[i].Sum(x => (double)x * x);
                noise += real[i].Zip(scores[i], (a, b) => ((double)a - b) * ((double)a - b)).Sum();
            }
        }
        TestContext.WriteLine(FormattableString.Invariant($"top-1 {rightInFloat / 10.0:F1} % -> {right / 10.0:F1} %; {lost} lost, {won} won; SQNR {10 * Math.Log10(signal / noise):F1} dB"));
        Assert.AreEqual(61.5, rightInFloat / 10.0, 0.21, "decoders differ in a pixel here and there");
        Assert.IsGreaterThanOrEqualTo(rightInFloat - 5, right, "at most 0.5 points of 1,000 pictures");
    }

    [TestMethod]
    public void UltrafaceFindsTheSameFaces()
    {
        const int width = 320, height = 240;
        string file = SharedData.Model("ultraface_rfb320");
        string[] faces = [.. Directory.GetFiles(SharedData.Path("datasets", "face_images"), "*.jpg").Order(StringComparer.Ordinal)];
        string[] others = [.. Directory.GetFiles(SharedData.Path("datasets", "imagenet_sample_1000"), "*.jpg").Order(StringComparer.Ordinal).Where((_, i) => i % 4 == 0)];
        float[] Pixels(string path) => Photographs.RedGreenBlue(path, width, height);
        var int8 = Static(file, "input", 3 * width * height, others.Select(Pixels), "boxes");
        float[][] scores = Score(int8, 3 * width * height, faces.Select(Pixels)), boxes = Score(int8, 3 * width * height, faces.Select(Pixels), "boxes");
        float[][][] real = [.. ScoreInFloat(file, faces.Select(Pixels))];
        double worst = 1;
        for (int i = 0; i < faces.Length; i++)
        {
            var expected = Detection.All(real[i][0], real[i][1]);
            var found = Detection.All(scores[i], boxes[i]);
            Assert.AreNotEqual(0, expected.Count, $"{faces[i]}: no face in float");
            Assert.AreNotEqual(0, found.Count, $"{faces[i]}: no face");
            double best = found.Max(f => f.Overlap(expected[0]));
            worst = Math.Min(worst, best);
            TestContext.WriteLine(FormattableString.Invariant($"{Path.GetFileName(faces[i])}: {expected.Count} faces in float, {found.Count} in INT8, the surest overlaps by {best:F3}, least of all {expected.Min(e => found.Max(f => f.Overlap(e))):F3}"));
        }
        Assert.IsGreaterThanOrEqualTo(0.9, worst);
    }

    /// <summary>A face: corners as parts of the picture, and how sure.</summary>
    private sealed record Detection(float Score, float Left, float Top, float Right, float Bottom)
    {
        private const float LeastScore = 0.7f, MostOverlap = 0.3f;

        /// <summary>From scores [n, 2] and boxes [n, 4], the surest first, of overlapping ones only that.</summary>
        public static List<Detection> All(float[] scores, float[] boxes)
        {
            var kept = new List<Detection>();
            foreach (int i in Enumerable.Range(0, scores.Length / 2).Where(i => scores[(2 * i) + 1] > LeastScore).OrderByDescending(i => scores[(2 * i) + 1]))
            {
                var face = new Detection(scores[(2 * i) + 1], boxes[4 * i], boxes[(4 * i) + 1], boxes[(4 * i) + 2], boxes[(4 * i) + 3]);
                if (kept.All(k => k.Overlap(face) <= MostOverlap)) kept.Add(face);
            }
            return kept;
        }

        /// <summary>Intersection over union.</summary>
        public double Overlap(Detection other)
        {
            double width = Math.Min(Right, other.Right) - Math.Max(Left, other.Left), height = Math.Min(Bottom, other.Bottom) - Math.Max(Top, other.Top);
            if (width <= 0 || height <= 0) return 0;
            double both = width * height;
            return both / (((Right - Left) * (Bottom - Top)) + ((other.Right - other.Left) * (other.Bottom - other.Top)) - both);
        }
    }

    /// <summary>Static INT8 with nothing set.</summary>
    private static ITransformer Static(string file, string input, int count, IEnumerable<float[]> pixels, string? second = null)
    {
        var mlContext = new MLContext(1);
        var source = OnnxModel.Load(file);
        var outputs = new List<(string, string)> { (source.Outputs[0].Name, "Score") };
        if (second is not null) outputs.Add((second, second));
        var model = source.Bind(inputs: [(input, nameof(Photographs.Row.Pixels))], outputs: outputs);
        var q = mlContext.Quantization();
        return q.CalibrateActivations(model).Append(q.QuantizeWeights(model, new() { Activations = ActivationQuantization.Static })).Fit(View(mlContext, pixels, count));
    }

    private static float[][] Score(ITransformer transformer, int count, IEnumerable<float[]> pixels, string column = "Score") =>
        [.. transformer.Transform(View(new MLContext(1), pixels, count)).GetColumn<float[]>(column)];

    private static IDataView View(MLContext mlContext, IEnumerable<float[]> pixels, int count)
    {
        var schema = SchemaDefinition.Create(typeof(Photographs.Row));
        schema[nameof(Photographs.Row.Pixels)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, count);
        return mlContext.Data.LoadFromEnumerable(pixels.Select(p => new Photographs.Row { Pixels = p }), schema);
    }

    /// <summary>All outputs of each picture by the float model.</summary>
    private static IEnumerable<float[][]> ScoreInFloat(string file, IEnumerable<float[]> pixels)
    {
        var program = Program.Compile(PreparedModel.Prepare(OnnxReader.ReadFile(file)).Graph);
        int[] dims = [1, .. program.Inputs[0].Shape!.Skip(1).Select(d => (int)d.Value)];
        foreach (float[] picture in pixels)
        {
            using var run = program.Rent(dims);
            picture.CopyTo(run.Input<float>(0));
            run.Execute();
            yield return [.. Enumerable.Range(0, program.Outputs.Length).Select(o => run.Output<float>(o).ToArray())];
        }
    }
}
