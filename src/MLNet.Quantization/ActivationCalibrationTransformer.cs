using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Calibration;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization;

/// <summary>
/// Passes rows through and republishes one column with the calibrated ranges as an annotation. Needed while the pipeline is fitted;
/// in a saved model it costs nothing.
/// </summary>
public sealed partial class ActivationCalibrationTransformer : ITransformer
{
    private readonly string _column;
    private readonly byte[] _table;

    internal ActivationCalibrationTransformer(string column, byte[] table)
    {
        _column = column;
        _table = table;
    }

    internal CalibrationTable ReadTable() => CalibrationTable.FromBytes(_table);

    /// <inheritdoc/>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The calibrated column is missing.</exception>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        var column = Find(inputSchema);
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(inputSchema);
        builder.AddColumn(_column, column.Type, CalibrationAnnotation.With(column.Annotations, _table));
        return builder.ToSchema();
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The calibrated column is missing.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new RepublishedDataView(input, GetOutputSchema(input.Schema), Find(input.Schema).Index);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The calibrated column is missing.</exception>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => new RepublishedRowMapper(inputSchema, GetOutputSchema(inputSchema), Find(inputSchema).Index);

    private DataViewSchema.Column Find(DataViewSchema schema) => schema.GetColumnOrNull(_column)
        ?? throw new ArgumentException($"Column '{_column}', which was calibrated, is missing. The data has: {string.Join(", ", schema.Select(c => c.Name).Distinct())}.");

    void ICanSaveModel.Save(ModelSaveContext ctx) => Save(ctx);
}
