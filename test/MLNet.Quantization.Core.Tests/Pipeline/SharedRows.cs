using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Rows of a data set with labels, and a shared model to score them with.</summary>
/// <param name="Model">The model as prepared.</param>
/// <param name="Values">[rows, features].</param>
/// <param name="Labels">One a row.</param>
internal sealed record SharedRows(PreparedModel Model, float[] Values, int[] Labels)
{
    private const int Batch = 64;

    public int Count => Labels.Length;

    public int Features => Values.Length / Count;

    public static SharedRows Mnist()
    {
        var model = Load("mnist_mlp_256x2");
        byte[] images = Unzipped("mnist_test_0_4999", "images-idx3-ubyte.gz"), labels = Unzipped("mnist_test_0_4999", "labels-idx1-ubyte.gz");
        return new(model, Array.ConvertAll(images[16..], p => p / 255f), Array.ConvertAll(labels[8..], l => (int)l));
    }

    /// <summary>MNIST as bytes, 0 to 255.</summary>
    public static SharedRows MnistPixels(string model)
    {
        byte[] images = Unzipped("mnist_test_0_4999", "images-idx3-ubyte.gz"), labels = Unzipped("mnist_test_0_4999", "labels-idx1-ubyte.gz");
        return new(Load(model), Array.ConvertAll(images[16..], p => (float)p), Array.ConvertAll(labels[8..], l => (int)l));
    }

    /// <summary>Records of a label and 3,072 pixels, planes of red, green and blue.</summary>
    public static SharedRows Cifar(string model, string file)
    {
        var records = Unzipped("cifar10_jpeg_A", file).Chunk(3073).ToList();
        return new(Load(model), [.. records.SelectMany(r => r.Skip(1)).Select(p => (float)p)], [.. records.Select(r => (int)r[0])]);
    }

    /// <summary>The same, each color less its mean and by its standard deviation.</summary>
    public static SharedRows NormalizedCifar(string model, string file)
    {
        float[] means = [0.4914f, 0.4822f, 0.4465f], deviations = [0.2023f, 0.1994f, 0.2010f];
        var rows = Cifar(model, file);
        for (int i = 0; i < rows.Values.Length; i++) rows.Values[i] = ((rows.Values[i] / 255) - means[i / 1024 % 3]) / deviations[i / 1024 % 3];
        return rows;
    }

    /// <summary>Stored as int8 MFCC.</summary>
    public static SharedRows SpeechCommands(string model)
    {
        byte[] features = File.ReadAllBytes(SharedData.Path("datasets", "kws01_speech_commands", "features.i8"));
        var labels = File.ReadLines(SharedData.Path("datasets", "kws01_speech_commands", "labels.tsv")).Select(l => l.Split('\t'));
        return new(Load(model), Array.ConvertAll(features, q => ((sbyte)q - 83) * 0.5847029f), [.. labels.Skip(1).Select(l => int.Parse(l[2], CultureInfo.InvariantCulture))]);
    }

    /// <summary>Tokens of bytes, 0 to 256.</summary>
    public static SharedRows Files(string model)
    {
        byte[] features = File.ReadAllBytes(SharedData.Path("datasets", "magika_files_A", "features.u16"));
        var labels = File.ReadLines(SharedData.Path("datasets", "magika_files_A", "labels.tsv")).Select(l => l.Split('\t')).Where(l => l[1].All(char.IsAsciiDigit));
        return new(Load(model), Array.ConvertAll(MemoryMarshal.Cast<byte, ushort>(features).ToArray(), t => (float)t), [.. labels.Select(l => int.Parse(l[1], CultureInfo.InvariantCulture))]);
    }

    public static SharedRows HandKeypoints()
    {
        var model = Load("hand_keypoint_mlp");
        var rows = File.ReadLines(SharedData.Path("datasets", "hand_keypoints", "keypoint.csv")).Select(l => l.Split(',')).ToList();
        float[] values = [.. rows.SelectMany(r => r.Skip(1)).Select(v => float.Parse(v, CultureInfo.InvariantCulture))];
        return new(model, values, [.. rows.Select(r => int.Parse(r[0], CultureInfo.InvariantCulture))]);
    }

    public static PreparedModel Load(string name) => PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model(name)));

    public SharedRows Part(Range rows)
    {
        var (first, count) = rows.GetOffsetAndLength(Count);
        return this with { Values = Values.AsSpan(first * Features, count * Features).ToArray(), Labels = Labels[rows] };
    }

    /// <summary>Scores of all rows, [rows, outputs].</summary>
    public float[] Score(Program program)
    {
        var scores = new List<float>();
        for (int row = 0; row < Count; row += Batch)
        {
            int rows = Math.Min(Batch, Count - row);
            using var run = program.Rent(ShapeOf(program.Inputs[0], rows));
            Fill(run, program.Inputs[0], row, rows);
            run.Execute();
            scores.AddRange(run.Output<float>(0));
        }
        return [.. scores];
    }

    /// <summary>Ranges from some of the rows.</summary>
    public CalibrationTable Calibrate(Range part, CalibrationOptions? options = null)
    {
        var session = new CalibrationSession(Model, options ?? CalibrationOptions.Default);
        var (first, count) = part.GetOffsetAndLength(Count);
        for (int row = first; row < first + count; row += Batch)
        {
            int rows = Math.Min(Batch, first + count - row);
            using var run = session.Program.Rent(ShapeOf(session.Program.Inputs[0], rows));
            Fill(run, session.Program.Inputs[0], row, rows);
            session.Observe(run, row);
        }
        return session.Finish();
    }

    private void Fill(ProgramRun run, ValueInfo input, int row, int rows)
    {
        var values = Values.AsSpan(row * Features, rows * Features);
        if (input.Type == ElementType.Int32)
            for (int i = 0; i < values.Length; i++) run.Input<int>(0)[i] = (int)values[i];
        else values.CopyTo(run.Input<float>(0));
    }

    /// <summary>Rows whose greatest score is their label's, in percent.</summary>
    public double Accuracy(float[] scores) => 100d * Classes(scores).Zip(Labels).Count(p => p.First == p.Second) / Count;

    /// <summary>Says what other scores cost: accuracy before and after, rows that flipped each way, signal to noise.</summary>
    public string Compare(float[] real, float[] scores)
    {
        int[] before = Classes(real), after = Classes(scores);
        int lost = 0, won = 0, moved = 0;
        for (int r = 0; r < Count; r++)
        {
            if (before[r] == after[r]) continue;
            if (before[r] == Labels[r]) lost++;
            else if (after[r] == Labels[r]) won++;
            else moved++;
        }
        return FormattableString.Invariant(
            $"{Accuracy(real):F2} % -> {Accuracy(scores):F2} %; {lost} rows lost, {won} won, {moved} wrong otherwise; SQNR {SignalToNoise(real, scores):F1} dB");
    }

    /// <summary>10 · log10(Σ x² / Σ (x - y)²).</summary>
    public static double SignalToNoise(float[] real, float[] scores) =>
        10 * Math.Log10(real.Sum(x => (double)x * x) / real.Zip(scores, (a, b) => ((double)a - b) * ((double)a - b)).Sum());

    /// <summary>The position of each row's greatest score.</summary>
    public int[] Classes(float[] scores)
    {
        int n = scores.Length / Count;
        return [.. scores.Chunk(n).Select(row => Array.IndexOf(row, row.Max()))];
    }

    public static int[] ShapeOf(ValueInfo input, int rows) => [rows, .. input.Shape!.Skip(1).Select(d => (int)d.Value)];

    private static byte[] Unzipped(string dataset, string file)
    {
        using var zip = new GZipStream(File.OpenRead(SharedData.Path("datasets", dataset, file)), CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        zip.CopyTo(bytes);
        return bytes.ToArray();
    }
}
