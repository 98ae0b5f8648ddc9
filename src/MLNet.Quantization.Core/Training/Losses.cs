using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>A loss: its mean over the rows of a batch, and the gradient at the model's output.</summary>
internal abstract class Loss
{
    /// <summary>The loss of a kind that compares with labels.</summary>
    public static Loss For(TrainingLoss loss) => loss switch
    {
        TrainingLoss.CrossEntropy => new CrossEntropy(),
        TrainingLoss.BinaryCrossEntropy => new BinaryCrossEntropy(),
        _ => new MeanSquaredError(),
    };

    /// <summary>Mean over rows.</summary>
    /// <param name="output">[rows, outputs...]; scores before Softmax or Sigmoid for the entropies.</param>
    /// <param name="labels">One a row, or, where a row has steps, one a step; or one an output.</param>
    /// <param name="gradient">∂ mean / ∂ output, overwritten; or null.</param>
    /// <param name="firstRow">Number of the first row in the data, for errors.</param>
    /// <exception cref="TrainingException">A label does not fit the output.</exception>
    public abstract double Evaluate(Values<float> output, ReadOnlySpan<float> labels, Values<float>? gradient, long firstRow);

    /// <summary>How many labels are those of the greatest outputs, and how many there are; null where there are no classes.</summary>
    public virtual (int Right, int All)? CountRight(Values<float> output, ReadOnlySpan<float> labels) => null;

    /// <param name="labels">May be longer.</param>
    /// <param name="needed">For the batch.</param>
    /// <param name="firstRow">Of the batch.</param>
    protected static void RequireLabels(ReadOnlySpan<float> labels, int needed, long firstRow)
    {
        if (labels.Length < needed) throw new TrainingException($"The batch from row {firstRow} on has {labels.Length} labels, the loss needs {needed}.", row: firstRow);
    }

    /// <summary>Rows, and outputs of a row.</summary>
    protected static (int Rows, int Width) Extents(Values<float> output) => (output.Dims[0], output.Count / Math.Max(1, output.Dims[0]));

    /// <summary>
    /// Where a class is chosen, and among how many. They lie on the last axis, [rows, steps, classes]; where only one axis beside the rows is
    /// longer than 1, as in [rows, classes, 1, 1], on that.
    /// </summary>
    protected static (int Places, int Classes) Choices(Values<float> output)
    {
        int classes = output.Dims.Skip(1).Count(d => d != 1) <= 1 ? Extents(output).Width : output.Dims[^1];
        return (classes == 0 ? 0 : output.Count / classes, classes);
    }
}

/// <summary>-log softmax(y)[label], the mean over rows, and over steps where rows have any; the gradient is softmax(y) less 1 at the label, over their number.</summary>
internal sealed class CrossEntropy : Loss
{
    public override double Evaluate(Values<float> output, ReadOnlySpan<float> labels, Values<float>? gradient, long firstRow)
    {
        var (places, classes) = Choices(output);
        RequireLabels(labels, places, firstRow);
        double sum = 0;
        for (int r = 0; r < places; r++)
        {
            int label = ClassOf(labels[r], classes, firstRow + ((long)r * output.Dims[0] / places));
            var y = output.Data.AsSpan(r * classes, classes);
            double greatest = double.NegativeInfinity, total = 0;
            foreach (float v in y) greatest = Math.Max(greatest, v);
            foreach (float v in y) total += Math.Exp(v - greatest);
            sum += Math.Log(total) - (y[label] - greatest);
            if (gradient is null) continue;
            var g = gradient.Data.AsSpan(r * classes, classes);
            for (int c = 0; c < classes; c++) g[c] = (float)(((Math.Exp(y[c] - greatest) / total) - (c == label ? 1 : 0)) / places);
        }
        return sum / places;
    }

    public override (int Right, int All)? CountRight(Values<float> output, ReadOnlySpan<float> labels)
    {
        var (places, classes) = Choices(output);
        int right = 0;
        for (int r = 0; r < places; r++)
        {
            var y = output.Data.AsSpan(r * classes, classes);
            int best = 0;
            for (int c = 1; c < classes; c++)
                if (y[c] > y[best]) best = c;
            if (best == (int)labels[r]) right++;
        }
        return (right, places);
    }

    private static int ClassOf(float label, int classes, long row) =>
        label >= 0 && label < classes && label == MathF.Floor(label) ? (int)label
        : throw new TrainingException(FormattableString.Invariant($"Row {row} has label {label}; the model has {classes} outputs, so labels are whole numbers from 0 to {classes - 1}."), row: row);
}

/// <summary>log(1 + e^y) - label · y, the mean over outputs; the gradient is sigmoid(y) - label.</summary>
internal sealed class BinaryCrossEntropy : Loss
{
    public override double Evaluate(Values<float> output, ReadOnlySpan<float> labels, Values<float>? gradient, long firstRow)
    {
        var (rows, width) = Extents(output);
        RequireLabels(labels, output.Count, firstRow);
        double sum = 0;
        for (int i = 0; i < output.Count; i++)
        {
            float label = labels[i];
            if (label is not (0 or 1)) throw new TrainingException(FormattableString.Invariant($"Row {firstRow + (i / width)} has label {label}, expected 0 or 1."), row: firstRow + (i / width));
            double y = output.Data[i];
            sum += Math.Max(y, 0) + Math.Log(1 + Math.Exp(-Math.Abs(y))) - (label * y);
            if (gradient is not null) gradient.Data[i] = (float)(((1 / (1 + Math.Exp(-y))) - label) / output.Count);
        }
        return sum / output.Count;
    }

    public override (int Right, int All)? CountRight(Values<float> output, ReadOnlySpan<float> labels)
    {
        if (Extents(output).Width != 1) return null;
        int right = 0;
        for (int i = 0; i < output.Count; i++)
            if (output.Data[i] > 0 == labels[i] > 0) right++;
        return (right, output.Count);
    }
}

/// <summary>The mean over outputs of (y - label)².</summary>
internal sealed class MeanSquaredError : Loss
{
    public override double Evaluate(Values<float> output, ReadOnlySpan<float> labels, Values<float>? gradient, long firstRow)
    {
        RequireLabels(labels, output.Count, firstRow);
        double sum = 0;
        for (int i = 0; i < output.Count; i++)
        {
            double difference = output.Data[i] - (double)labels[i];
            sum += difference * difference;
            if (gradient is not null) gradient.Data[i] = (float)(2 * difference / output.Count);
        }
        return sum / output.Count;
    }
}

/// <summary>
/// T² · cross-entropy of softmax(teacher / T) and softmax(y / T), T the temperature (Hinton, Vinyals and Dean, 2015, section 2), less the teacher's
/// own entropy, so that the best is 0. Labels are the teacher's scores, one an output.
/// </summary>
internal sealed class Distillation(double temperature) : Loss
{
    public override double Evaluate(Values<float> output, ReadOnlySpan<float> labels, Values<float>? gradient, long firstRow)
    {
        var (places, classes) = Choices(output);
        var (student, teacher) = (new double[classes], new double[classes]);
        RequireLabels(labels, output.Count, firstRow);
        double sum = 0;
        for (int r = 0; r < places; r++)
        {
            LogSoftmax(output.Data.AsSpan(r * classes, classes), student);
            LogSoftmax(labels.Slice(r * classes, classes), teacher);
            for (int c = 0; c < classes; c++)
            {
                double p = Math.Exp(teacher[c]);
                sum += p * (teacher[c] - student[c]);
                if (gradient is not null) gradient.Data[(r * classes) + c] = (float)(temperature * (Math.Exp(student[c]) - p) / places);
            }
        }
        return sum * temperature * temperature / places;
    }

    private void LogSoftmax(ReadOnlySpan<float> scores, double[] result)
    {
        double greatest = double.NegativeInfinity, total = 0;
        foreach (float v in scores) greatest = Math.Max(greatest, v / temperature);
        foreach (float v in scores) total += Math.Exp((v / temperature) - greatest);
        for (int c = 0; c < result.Length; c++) result[c] = (scores[c] / temperature) - greatest - Math.Log(total);
    }
}
