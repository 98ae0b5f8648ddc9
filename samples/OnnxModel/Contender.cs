using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace OnnxModelSample;

/// <summary>One form of the model: its size, its output for every row, and how fast it is.</summary>
internal sealed class Contender(string name, long zipBytes, float[][] scores)
{
    private readonly List<double> _rates = [];

    public string Name => name;

    public long ZipBytes => zipBytes;

    public float[][] Scores => scores;

    public double RowsPerSecond => _rates.Order().ElementAt(_rates.Count / 2);

    public static float[][] Read(ITransformer model, IDataView rows, string column)
    {
        IDataView scored = model.Transform(rows);
        return [.. scored.GetColumn<VBuffer<float>>(column).Select(score => score.DenseValues().ToArray())];
    }

    /// <summary>Scores the rows once and keeps the rate; call it in turns with the other contenders.</summary>
    public void Time(ITransformer model, IDataView rows, string column, int count)
    {
        IDataView scored = model.Transform(rows);
        DataViewSchema.Column score = scored.Schema[column];
        long start = Stopwatch.GetTimestamp();
        using (DataViewRowCursor cursor = scored.GetRowCursor([score]))
        {
            ValueGetter<VBuffer<float>> get = cursor.GetGetter<VBuffer<float>>(score);
            VBuffer<float> values = default;
            while (cursor.MoveNext()) get(ref values);
        }
        _rates.Add(count / Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    /// <summary>The share of rows, in percent, whose highest output is the label's.</summary>
    public double Accuracy(LabelledRows data) =>
        100.0 * Enumerable.Range(0, scores.Length).Count(i => Decision(i) == data.Rows[i].Label) / scores.Length;

    /// <summary>Rows for which another output is highest than in the reference.</summary>
    public int Flips(Contender reference) => Enumerable.Range(0, scores.Length).Count(i => Decision(i) != reference.Decision(i));

    /// <summary>The power of the reference's output over the power of the difference, in decibels.</summary>
    public double SignalToNoise(Contender reference)
    {
        double signal = 0, noise = 0;
        foreach ((float[] expected, float[] found) in reference.Scores.Zip(scores))
        {
            foreach ((float e, float f) in expected.Zip(found))
            {
                signal += (double)e * e;
                noise += ((double)e - f) * ((double)e - f);
            }
        }
        return 10 * Math.Log10(signal / noise);
    }

    public static void Print(LabelledRows data, IReadOnlyList<Contender> contenders)
    {
        Contender reference = contenders[0];
        Console.WriteLine();
        Console.WriteLine(string.Concat(contenders.Select(c => $"{c.Name,16}").Prepend($"{"",-24}")));
        Row("zip, bytes", c => c.ZipBytes, "N0");
        if (data.HasLabels) Row("accuracy, %", c => c.Accuracy(data), "0.00");
        Row("other decisions", c => c.Flips(reference), "N0");
        Row("output SQNR, dB", c => c == reference ? null : c.SignalToNoise(reference), "0.0");
        Row("rows/s", c => c.RowsPerSecond, "N0");

        void Row(string what, Func<Contender, double?> figure, string format) => Console.WriteLine(string.Concat(
            contenders.Select(c => $"{figure(c)?.ToString(format, CultureInfo.InvariantCulture) ?? "-",16}").Prepend($"{what,-24}")));
    }

    private int Decision(int row) => Array.IndexOf(scores[row], scores[row].Max());
}
