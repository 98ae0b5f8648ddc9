using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Scoring;

namespace MLNet.Quantization;

/// <summary>
/// Scores rows with a quantized model and adds its outputs as columns. Batches of rows in a data view, single rows in a prediction
/// engine, with the same bits. Immutable; safe to use from any number of threads. Saved into ML.NET's model zips, from which it loads in
/// any process that can find this assembly.
/// </summary>
public sealed partial class QuantizedModelTransformer : ITransformer
{
    private readonly QuantizedModel _model;
    private readonly ScoringModel _scoring;

    /// <param name="model">The quantized model.</param>
    /// <param name="inputColumns">The column of each input, in the model's order.</param>
    /// <param name="outputs">The columns to add.</param>
    /// <param name="threads">Threads that one batch may keep busy; 0 for the process-wide maximum.</param>
    /// <param name="annotations">Columns whose annotations the added columns of the same name carry; null: none.</param>
    internal QuantizedModelTransformer(
        QuantizedModel model, IReadOnlyList<string> inputColumns, IReadOnlyList<OutputColumn> outputs, int threads = 0, DataViewSchema? annotations = null)
    {
        _model = model;
        _scoring = new(model.Compile(new() { MaxThreads = threads }), inputColumns, outputs, annotations);
    }

    /// <summary>What became of each layer, and why. After loading, what the saved model tells: without calibration's figures.</summary>
    public QuantizationReport Report => _model.Report;

    /// <inheritdoc/>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A column is missing, or of a type or length that the model cannot take.</exception>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return new BoundModel(_scoring, inputSchema).OutputSchema;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A column is missing, or of a type or length that the model cannot take.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new ScoredDataView(input, new(_scoring, input.Schema));
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A column is missing, or of a type or length that the model cannot take.</exception>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return new ScoredRowMapper(new(_scoring, inputSchema));
    }

    /// <summary>
    /// Bytes that activations and scratch memory take at their peak while some rows are scored together: one block of memory, in which values
    /// that do not live at the same time lie over each other. A thread that scores keeps one; the model's weights come on top, once. Where
    /// shapes follow from the data itself, what is known before there is data counts.
    /// </summary>
    /// <param name="inputSchema">Of the rows.</param>
    /// <param name="rows">How many are scored together, 1 or more: 1 in a prediction engine, up to 256 in a data view. A model whose rows cannot be stacked takes one at a time.</param>
    /// <exception cref="ArgumentException">A column is missing, or of a type or length that the model cannot take.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="rows"/> is less than 1.</exception>
    public long PeakActivationBytes(DataViewSchema inputSchema, int rows = 1)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        using var run = new BoundModel(_scoring, inputSchema).RentExactly(rows);
        return run.ArenaBytes;
    }

    /// <summary>
    /// Writes the quantized model as an ONNX file. In QDQ form QuantizeLinear and DequantizeLinear stand around what is computed in INT8;
    /// a model with dynamic activations holds INT8 weights behind DequantizeLinear and says so in its metadata, and other tools compute it
    /// in float, because ONNX has no operator with one scale a row. In QOperator form the operators themselves compute on codes, some of
    /// them in ONNX Runtime's domain com.microsoft; what has no such operator stays in QDQ form, and dynamic activations get one scale a
    /// tensor, so that scores there depend on the batch that a row is scored in.
    /// </summary>
    /// <param name="path">The file; it appears whole or not at all, and replaces one that is there.</param>
    /// <param name="format">Which operators it holds.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="format"/> is no member of its type.</exception>
    public void SaveAsOnnx(string path, OnnxQuantizationFormat format = OnnxQuantizationFormat.Qdq) => OnnxWriter.WriteFile(_model.As(format), path);

    void ICanSaveModel.Save(ModelSaveContext ctx) => Save(ctx);
}
