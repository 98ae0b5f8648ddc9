using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace QuickStart;

/// <summary>What the table compares: one figure for the float model and the same figure for the quantized one.</summary>
internal sealed record Figure(string Name, double Float, double Int8, string Format);

/// <summary>Measures both models and prints the figures side by side.</summary>
internal static class Scoreboard
{
    /// <summary>
    /// Units a second of each contender, median over rounds in which the contenders take turns, so that other load on the machine
    /// falls on both. One round before the first warms up.
    /// </summary>
    public static double[] Rates(int units, int rounds, params Action[] contenders)
    {
        double[][] seconds = [.. contenders.Select(_ => new double[rounds])];
        for (int round = -1; round < rounds; round++)
        {
            for (int i = 0; i < contenders.Length; i++)
            {
                long start = Stopwatch.GetTimestamp();
                contenders[i]();
                if (round >= 0) seconds[i][round] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
        }
        return [.. seconds.Select(s => units / s.Order().ElementAt(rounds / 2))];
    }

    /// <summary>The stage of a pipeline that makes scores of features.</summary>
    public static ITransformer ScoringStage(ITransformer model, DataViewSchema features) =>
        Stages(model).First(stage => stage.GetOutputSchema(features).GetColumnOrNull("Score") is not null);

    /// <summary>Asks a scoring stage for the scores of every row, and for nothing else.</summary>
    public static void ReadScores(ITransformer scorer, IDataView features)
    {
        IDataView scored = scorer.Transform(features);
        DataViewSchema.Column score = scored.Schema["Score"];
        using DataViewRowCursor cursor = scored.GetRowCursor([score]);
        ValueGetter<VBuffer<float>> get = cursor.GetGetter<VBuffer<float>>(score);
        VBuffer<float> scores = default;
        while (cursor.MoveNext()) get(ref scores);
    }

    /// <summary>
    /// F1 over all decisions: 2 TP / (2 TP + FP + FN), summed over the classes. Where each row has one language and gets one, a false
    /// positive of one class is a false negative of another, and this equals the accuracy.
    /// </summary>
    public static double MicroF1(ConfusionMatrix confusion)
    {
        double truePositives = 0, falsePositives = 0, falseNegatives = 0;
        for (int actual = 0; actual < confusion.NumberOfClasses; actual++)
        {
            for (int predicted = 0; predicted < confusion.NumberOfClasses; predicted++)
            {
                double count = confusion.GetCountForClassPair(predicted, actual);
                if (actual == predicted) truePositives += count;
                else
                {
                    falseNegatives += count;
                    falsePositives += count;
                }
            }
        }
        return 2 * truePositives / (2 * truePositives + falsePositives + falseNegatives);
    }

    /// <summary>The stages of a chain, those of chains within it one by one.</summary>
    private static IEnumerable<ITransformer> Stages(ITransformer model) =>
        model is IEnumerable<ITransformer> chain ? chain.SelectMany(Stages) : [model];

    public static void Print(IEnumerable<Figure> figures)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        Console.WriteLine($"{"",-34}{"FP32",14}{"INT8",14}{"INT8 / FP32",14}");
        foreach (Figure f in figures)
        {
            string quotient = (f.Int8 / f.Float).ToString("0.000", culture);
            Console.WriteLine($"{f.Name,-34}{f.Float.ToString(f.Format, culture),14}{f.Int8.ToString(f.Format, culture),14}{quotient,14}");
        }
    }
}
