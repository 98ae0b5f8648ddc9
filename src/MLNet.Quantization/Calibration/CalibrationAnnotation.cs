using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Calibration;

/// <summary>
/// How ranges travel from one stage to the next: an estimator is given only a data view, so a calibration is an annotation of the column
/// of the model's first input.
/// </summary>
internal static class CalibrationAnnotation
{
    public const string Name = "MLNet.Quantization.Calibration";

    /// <summary>The same annotations with this calibration, in place of an earlier one.</summary>
    public static DataViewSchema.Annotations With(DataViewSchema.Annotations annotations, byte[] table)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add(annotations, name => name != Name);
        builder.Add(Name, new VectorDataViewType(NumberDataViewType.Byte, table.Length), (ref VBuffer<byte> value) =>
        {
            var editor = VBufferEditor.Create(ref value, table.Length);
            table.CopyTo(editor.Values);
            value = editor.Commit();
        });
        return builder.ToAnnotations();
    }

    /// <exception cref="CalibrationException">The column carries none, or one that is damaged.</exception>
    public static CalibrationTable Read(DataViewSchema schema, string columnName)
    {
        var annotations = schema[columnName].Annotations;
        if (annotations.Schema.GetColumnOrNull(Name) is null) throw Missing(columnName);
        VBuffer<byte> value = default;
        annotations.GetValue(Name, ref value);
        return CalibrationTable.FromBytes([.. value.DenseValues()]);
    }

    public static CalibrationException Missing(string columnName) =>
        new($"Column '{columnName}' carries no calibration. Static quantization needs CalibrateActivations(model) in the pipeline before QuantizeWeights(model), and no stage between that replaces the column.");
}
