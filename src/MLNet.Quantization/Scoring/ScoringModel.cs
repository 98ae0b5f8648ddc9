using Microsoft.ML;
using MLNet.Quantization.Execution;

namespace MLNet.Quantization.Scoring;

/// <summary>A program with the columns it reads and writes. Immutable, shared by all cursors.</summary>
internal sealed class ScoringModel
{
    /// <param name="program">What computes.</param>
    /// <param name="inputColumns">The column of each input, in the program's order.</param>
    /// <param name="outputs">The columns to add.</param>
    /// <param name="annotations">Columns whose annotations the added columns of the same name carry; null: none.</param>
    public ScoringModel(Program program, IReadOnlyList<string> inputColumns, IReadOnlyList<OutputColumn> outputs, DataViewSchema? annotations = null)
    {
        Program = program;
        InputColumns = inputColumns;
        Outputs = outputs;
        Annotations = annotations;
        IsBatched = program.Inputs.All(i => i.Shape is { Rank: > 0 } shape && !shape[0].IsKnown) && OutputsFollowTheBatch(program, null);
    }

    public Program Program { get; }

    public IReadOnlyList<string> InputColumns { get; }

    public IReadOnlyList<OutputColumn> Outputs { get; }

    public DataViewSchema? Annotations { get; }

    /// <summary>
    /// True where the first axis of every input and output counts rows; false where a row is a run of its own. Open extents of a row are
    /// taken for 1 here: once they are known, ask <see cref="OutputsFollowTheBatch(int[][])"/>.
    /// </summary>
    public bool IsBatched { get; }

    /// <summary>True where rows of these extents can be stacked.</summary>
    public bool OutputsFollowTheBatch(int[][] rowDims) =>
        Program.Inputs.All(i => i.Shape!.Skip(1).All(d => d.IsKnown)) ? IsBatched : IsBatched && OutputsFollowTheBatch(Program, rowDims);

    public int OutputIndex(OutputColumn column)
    {
        for (int i = 0; i < Program.Outputs.Length; i++)
            if (Program.Outputs[i].Name == column.Tensor) return i;
        throw new ModelFormatException($"The model has no output '{column.Tensor}' for column '{column.Name}'.", null, column.Tensor);
    }

    /// <summary>Infers the outputs for batches of 1 and of 2, with 1 for every open extent of rows that are not known yet.</summary>
    private static bool OutputsFollowTheBatch(Program program, int[][]? rowDims)
    {
        try
        {
            int[][] one = ShapesOf(program, 1, rowDims), two = ShapesOf(program, 2, rowDims);
            return one.Zip(two).All(p => p.First.Length > 0 && p.First[0] == 1 && p.Second[0] == 2 && p.First.AsSpan(1).SequenceEqual(p.Second.AsSpan(1)));
        }
        catch (QuantizationException)
        {
            // An open extent cannot be 1, or rows cannot be stacked: row by row is always right.
            return false;
        }
    }

    private static int[][] ShapesOf(Program program, int batch, int[][]? rowDims)
    {
        int[][] rows = rowDims ?? [.. program.Inputs.Select(i => i.Shape!.Skip(1).Select(d => d.IsKnown ? (int)d.Value : 1).ToArray())];
        using var run = program.Rent([.. rows.Select(dims => (int[])[batch, .. dims])]);
        return [.. program.Outputs.Select((_, o) => run.OutputShape(o))];
    }
}
