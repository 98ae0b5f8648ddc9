using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Onnx;
using MLNet.Quantization;

namespace DynamicLstm;

/// <summary>One network in FP32 and in dynamic INT8, both behind ML.NET's prediction engine, on the same rows; times are those of the first.</summary>
internal sealed class Comparison : IDisposable
{
    private const int Rounds = 15;

    private static readonly TimeSpan RoundLength = TimeSpan.FromMilliseconds(40);

    private readonly string _name, _floatFile;
    private readonly PredictionEngine<Row, Scores> _float, _int8;
    private readonly Row _row;
    private readonly float[][] _rows;

    public Comparison(string name, OnnxModel model, float[][] rows, string folder)
    {
        _name = name;
        _floatFile = Path.Combine(folder, "float.onnx");
        QuantizedFile = Path.Combine(folder, "int8.onnx");
        model.SaveAsOnnx(_floatFile);

        var mlContext = new MLContext(seed: 1);
        _rows = rows;
        _row = new() { Input = rows[0] };
        var schema = SchemaDefinition.Create(typeof(Row));
        schema["input"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, _row.Input.Length);
        IDataView first = mlContext.Data.LoadFromEnumerable([_row], schema);

        // The one call: dynamic activations need no data, rows only tell the schema.
        QuantizedModelTransformer int8 = mlContext.Quantization().QuantizeWeights(model, new() { NumberOfThreads = 1 }).Fit(first);
        int8.SaveAsOnnx(QuantizedFile);
        Report = int8.Report;
        ITransformer single = mlContext.Transforms.ApplyOnnxModel(new OnnxOptions
        {
            ModelFile = _floatFile,
            InputColumns = ["input"],
            OutputColumns = ["output"],
            IntraOpNumThreads = 1,
            InterOpNumThreads = 1,
        }).Fit(first);
        _float = mlContext.Model.CreatePredictionEngine<Row, Scores>(single, inputSchemaDefinition: schema);
        _int8 = mlContext.Model.CreatePredictionEngine<Row, Scores>(int8, inputSchemaDefinition: schema);
    }

    public string QuantizedFile { get; }

    public QuantizationReport Report { get; }

    public void Dispose()
    {
        _float.Dispose();
        _int8.Dispose();
    }

    /// <summary>Both results side by side for the first steps.</summary>
    public void PrintScores(int width)
    {
        float[] expected = _float.Predict(_row).Output, found = _int8.Predict(_row).Output;
        for (int step = 0; step < 3; step++)
        {
            Console.WriteLine($"step {step}  FP32  {Line(expected, step)}");
            Console.WriteLine($"        INT8  {Line(found, step)}");
        }
        Console.WriteLine();

        string Line(float[] scores, int step) => string.Join("  ", scores.Skip(step * width).Take(width).Select(s => $"{s,8:F4}"));
    }

    /// <summary>How often the class with the greatest score at the last step is the row's, and how often both say the same.</summary>
    public void PrintRight(int[] labels, int width)
    {
        int real = 0, codes = 0, same = 0;
        for (int i = 0; i < _rows.Length; i++)
        {
            var row = new Row { Input = _rows[i] };
            int before = Last(_float.Predict(row).Output), after = Last(_int8.Predict(row).Output);
            real += before == labels[i] ? 1 : 0;
            codes += after == labels[i] ? 1 : 0;
            same += before == after ? 1 : 0;
        }
        Console.WriteLine($"{_rows.Length:N0} messages held back, language after the last character: FP32 {100.0 * real / _rows.Length:F2} % right, INT8 {100.0 * codes / _rows.Length:F2} %, the same for {100.0 * same / _rows.Length:F2} %{Environment.NewLine}");

        int Last(float[] scores) => Enumerable.Range(0, width).MaxBy(c => scores[^(width - c)]);
    }

    /// <summary>Times, in turns so that both meet the same machine, medians; sizes; and the norm of the difference over the norm of the result.</summary>
    public void PrintLine()
    {
        List<double> real = [], codes = [];
        for (int round = -2; round < Rounds; round++)
        {
            double one = Time(_float), other = Time(_int8);
            if (round < 0) continue; // The first rounds run code that is still being compiled.
            real.Add(one);
            codes.Add(other);
        }
        double before = Median(real), after = Median(codes);
        Console.WriteLine($"{_name,-28}{before,10:F1}{after,10:F1}{before / after,7:F1}x{new FileInfo(_floatFile).Length,13:N0}{new FileInfo(QuantizedFile).Length,13:N0}{Error(),8:F4}");
    }

    private double Error()
    {
        float[] expected = _float.Predict(_row).Output, found = _int8.Predict(_row).Output;
        double noise = expected.Zip(found).Sum(p => Math.Pow((double)p.First - p.Second, 2)), signal = expected.Sum(e => (double)e * e);
        return Math.Sqrt(noise / signal);
    }

    /// <summary>Microseconds of one prediction.</summary>
    private double Time(PredictionEngine<Row, Scores> engine)
    {
        var scores = new Scores();
        int count = 0;
        var watch = Stopwatch.StartNew();
        for (; watch.Elapsed < RoundLength; count++) engine.Predict(_row, ref scores);
        return watch.Elapsed.TotalMicroseconds / count;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private sealed class Row
    {
        [ColumnName("input")]
        public float[] Input { get; set; } = [];
    }

    private sealed class Scores
    {
        [ColumnName("output")]
        public float[] Output { get; set; } = [];
    }
}
