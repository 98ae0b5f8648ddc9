using Microsoft.ML;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Scoring;

namespace MLNet.Quantization.Training;

/// <summary>Rows of a data view, read anew in each epoch.</summary>
/// <param name="model">The columns that the model reads.</param>
/// <param name="view">The rows.</param>
/// <param name="options">Of the label, the batches and the order.</param>
/// <param name="teacher">Makes the labels, or null where a column has them.</param>
/// <param name="shuffles">False: rows come as they are.</param>
internal sealed class ViewData(BoundModel model, IDataView view, TrainingOptions options, Program? teacher, bool shuffles) : ITrainingData
{
    public long? Rows => view.GetRowCount();

    public IEnumerable<TrainingBatch> Read(int epoch)
    {
        var source = shuffles && options.Seed is { } seed ? new MLContext(0).Data.ShuffleRows(view, unchecked((seed * 7919) + epoch), options.ShufflePoolSize) : view;
        var columns = model.Inputs.Select(i => source.Schema[i.Column.Name]).ToList();
        DataViewSchema.Column? label = teacher is null ? LabelReader.ColumnOf(source.Schema, options.LabelColumnName) : null;
        using var cursor = source.GetRowCursor(columns.Concat(label is { } l ? [l] : []).DistinctBy(c => c.Index));
        InputReader[] readers = [.. model.Inputs.Select((input, i) => InputReader.Create(input with { Column = columns[i] }, cursor, acceptsSparse: false))];
        var labels = label is { } column ? LabelReader.Create(column, cursor) : null;
        for (bool isMore = true; isMore;)
        {
            int count = 0;
            while (count < options.BatchSize && (isMore = cursor.MoveNext()))
            {
                foreach (var reader in readers) reader.Read(count);
                labels?.Read(count);
                count++;
            }
            if (count == 0) break;
            int[][] dims = [.. model.Inputs.Select(i => i.Shape(count, isBatched: true))];
            yield return new(count, [.. readers.Select(r => AsTapeHasThem(r.Rows))], dims, labels?.Values ?? Taught(readers, dims, count));
        }
    }

    /// <summary>A tape has integers as long.</summary>
    private static Array AsTapeHasThem(Array rows) => rows switch
    {
        int[] integers => Array.ConvertAll(integers, v => (long)v),
        bool[] flags => Array.ConvertAll(flags, v => v ? 1L : 0L),
        _ => rows,
    };

    private float[] Taught(InputReader[] readers, int[][] dims, int count)
    {
        using var run = teacher!.Rent(dims);
        for (int i = 0; i < readers.Length; i++) readers[i].Load(run, i, count);
        run.Execute();
        return run.Output<float>(0).ToArray();
    }
}
