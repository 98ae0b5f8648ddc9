using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Training;

/// <summary>Rows to learn from, or to validate with.</summary>
internal interface ITrainingData
{
    /// <summary>Rows of an epoch, where known.</summary>
    long? Rows { get; }

    /// <summary>The rows in the order of an epoch, lazily. The same epoch has the same order every time. A batch is used up before the next one is asked for.</summary>
    IEnumerable<TrainingBatch> Read(int epoch);
}

/// <summary>Some rows.</summary>
/// <param name="Rows">1 or more.</param>
/// <param name="Inputs">Numbers for each input of the model, row-major: float[] or long[]; may be longer than the shape.</param>
/// <param name="InputDims">Their shapes.</param>
/// <param name="Labels">One a row: the class, counted from 0, or the value; several a row where the loss is of several outputs. May be longer.</param>
internal sealed record TrainingBatch(int Rows, Array[] Inputs, int[][] InputDims, float[] Labels)
{
    /// <summary>Fills the inputs of a tape.</summary>
    public void CopyTo(Tape<float> tape)
    {
        for (int i = 0; i < Inputs.Length; i++)
        {
            if (tape.Input(i) is { } reals) Array.Copy(Inputs[i], reals.Data, reals.Count);
            else if (tape.IntegerInput(i) is { } integers) Array.Copy(Inputs[i], integers.Data, integers.Count);
        }
    }
}

/// <summary>Rows in memory, shuffled for each epoch.</summary>
/// <param name="inputs">Rows of each input: float[] or long[], row-major.</param>
/// <param name="rowDims">Shape of a row of each input.</param>
/// <param name="labels">One or several a row.</param>
/// <param name="batchSize">Rows of a batch; the last one has what is left.</param>
/// <param name="seed">Of the order; null: as they are.</param>
internal sealed class ArrayData(Array[] inputs, int[][] rowDims, float[] labels, int batchSize, int? seed) : ITrainingData
{
    private readonly int[] _widths = [.. rowDims.Select(d => d.Aggregate(1, (a, b) => a * b))];

    private readonly int _rows = inputs[0].Length / rowDims[0].Aggregate(1, (a, b) => a * b);

    public long? Rows => _rows;

    public IEnumerable<TrainingBatch> Read(int epoch)
    {
        int[] order = [.. Enumerable.Range(0, _rows)];
        if (seed is { } start) new SplitMix64((ulong)start + ((ulong)epoch << 32)).Shuffle(order);
        int labelWidth = _rows == 0 ? 1 : labels.Length / _rows;
        Array[] parts = [.. inputs.Select((a, i) => Array.CreateInstance(a.GetType().GetElementType()!, batchSize * _widths[i]))];
        var targets = new float[batchSize * labelWidth];
        for (int first = 0; first < _rows; first += batchSize)
        {
            int rows = Math.Min(batchSize, _rows - first);
            for (int r = 0; r < rows; r++)
            {
                int from = order[first + r];
                for (int i = 0; i < parts.Length; i++) Array.Copy(inputs[i], from * _widths[i], parts[i], r * _widths[i], _widths[i]);
                Array.Copy(labels, from * labelWidth, targets, r * labelWidth, labelWidth);
            }
            yield return new(rows, parts, [.. rowDims.Select(d => (int[])[rows, .. d])], targets);
        }
    }
}
