using System.Numerics;
using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Execution;

namespace MLNet.Quantization.Scoring;

/// <summary>A <see cref="ScoringModel"/> over data of one schema: columns resolved, types of the added columns known. Immutable.</summary>
internal sealed class BoundModel
{
    /// <summary>Rows that are scored together at most.</summary>
    private const int MostRows = 256;

    /// <summary>Values of the widest input that a batch holds at most.</summary>
    private const int MostValues = 1 << 22;

    private readonly int[][] _outputDims;

    /// <exception cref="ArgumentException">A column is missing, or of a type or length that the model cannot take.</exception>
    public BoundModel(ScoringModel model, DataViewSchema schema)
    {
        Model = model;
        InputSchema = schema;
        Inputs = BindAll(model.IsBatched);
        IsBatched = model.IsBatched && model.OutputsFollowTheBatch([.. Inputs.Select(i => i.RowDims)]);
        if (IsBatched != model.IsBatched) Inputs = BindAll(false);
        MaxBatch = IsBatched ? Math.Clamp(MostValues / Math.Max(1, Inputs.Max(i => i.RowSize)), 1, MostRows) : 1;
        using (var run = Rent(1)) _outputDims = [.. model.Program.Outputs.Select((_, o) => RowDims(run.OutputShape(o)))];
        OutputSchema = MakeSchema();
    }

    public ScoringModel Model { get; }

    public DataViewSchema InputSchema { get; }

    /// <summary>The input's columns, at the same indices, then the added ones.</summary>
    public DataViewSchema OutputSchema { get; }

    public IReadOnlyList<BoundInput> Inputs { get; }

    /// <summary>True where the first axis of every input and output counts rows; false where a row is a run of its own.</summary>
    public bool IsBatched { get; }

    public int MaxBatch { get; }

    /// <summary>Memory for at least <paramref name="rows"/> rows; the number of rows is a power of two, so that few plans are made.</summary>
    public ProgramRun Rent(int rows) => RentExactly((int)BitOperations.RoundUpToPowerOf2((uint)rows));

    public ProgramRun RentExactly(int rows) => Model.Program.Rent([.. Inputs.Select(i => i.Shape(rows, IsBatched))]);

    /// <summary>Elements of one row of an output.</summary>
    public int OutputSize(int output) => _outputDims[output].Aggregate(1, (product, d) => product * d);

    public bool IsAdded(int column) => column >= InputSchema.Count;

    public OutputColumn Added(int column) => Model.Outputs[column - InputSchema.Count];

    /// <summary>The input columns that are needed for some columns of <see cref="OutputSchema"/>.</summary>
    public IEnumerable<DataViewSchema.Column> Dependencies(IEnumerable<DataViewSchema.Column> columns)
    {
        var active = new bool[InputSchema.Count];
        foreach (var column in columns)
        {
            if (!IsAdded(column.Index)) active[column.Index] = true;
            else
                foreach (var input in Inputs) active[input.Column.Index] = true;
        }
        return InputSchema.Where(c => active[c.Index]);
    }

    private List<BoundInput> BindAll(bool isBatched) =>
        [.. Model.Program.Inputs.Select((tensor, i) => BoundInput.Bind(tensor, Model.InputColumns[i], InputSchema, isBatched))];

    private int[] RowDims(int[] dims) => dims.Length > 0 && (IsBatched || dims[0] == 1) ? dims[1..] : dims;

    private DataViewSchema MakeSchema()
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(InputSchema);
        foreach (var column in Model.Outputs)
            builder.AddColumn(column.Name, TypeOf(column), Model.Annotations?.GetColumnOrNull(column.Name)?.Annotations);
        return builder.ToSchema();
    }

    private DataViewType TypeOf(OutputColumn column)
    {
        int index = Model.OutputIndex(column);
        int[] dims = _outputDims[index];
        var item = ColumnTypes.ItemOf(Model.Program.OutputType(index), column.Tensor);
        return column.Kind switch
        {
            OutputKind.ArgMaxKey => new KeyDataViewType(typeof(uint), OutputSize(index)),
            OutputKind.Threshold => BooleanDataViewType.Instance,
            _ => dims.Length == 0 ? item : OutputSize(index) == 0 ? new VectorDataViewType(item) : new VectorDataViewType(item, dims),
        };
    }
}
