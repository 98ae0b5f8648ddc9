using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Scoring;

/// <summary>An input of the program and the column of one schema that it is read from.</summary>
/// <param name="Column">The column.</param>
/// <param name="Tensor">The input.</param>
/// <param name="RowDims">Extents that one row fills: without the first axis where rows are batched.</param>
internal sealed record BoundInput(DataViewSchema.Column Column, ValueInfo Tensor, int[] RowDims)
{
    /// <summary>Elements of a row.</summary>
    public int RowSize { get; } = RowDims.Aggregate(1, (product, d) => checked(product * d));

    /// <summary>The shape of a run over <paramref name="batch"/> rows.</summary>
    public int[] Shape(int batch, bool isBatched) => isBatched ? [batch, .. RowDims] : RowDims;

    /// <exception cref="ArgumentException">The column is missing, or of a type or length that the input cannot take.</exception>
    public static BoundInput Bind(ValueInfo tensor, string columnName, DataViewSchema schema, bool isBatched)
    {
        if (schema.GetColumnOrNull(columnName) is not { } column)
            throw new ArgumentException($"Column '{columnName}', which input '{tensor.Name}' of the model reads, is missing. The data has: {string.Join(", ", schema.Select(c => c.Name).Distinct())}.");
        var vector = column.Type as VectorDataViewType;
        var item = vector?.ItemType ?? column.Type;
        ColumnTypes.CheckSource(columnName, item, item is KeyDataViewType, tensor.Type, tensor.Name);
        if (tensor.Shape is not { } shape) throw new ModelFormatException($"Input '{tensor.Name}' of the model declares no shape.", null, tensor.Name);
        Dimension[] dims = isBatched ? shape.Dims[1..].ToArray() : shape.Dims.ToArray();
        // Not batched: what stands for the batch is 1.
        if (!isBatched && dims.Length > 0 && !dims[0].IsKnown && dims.Count(d => !d.IsKnown) > 1) dims[0] = 1;
        int size = vector is null ? 1 : vector.Size;
        if (vector is { Dimensions.Length: > 1 }) TakeAxes(vector, dims);
        long known = dims.Where(d => d.IsKnown).Aggregate(1L, (product, d) => product * d.Value);
        int open = dims.Count(d => !d.IsKnown);
        if (open > 1 || open == 1 && (size == 0 || known == 0 || size % known != 0) || open == 0 && size != 0 && size != known)
            throw new ArgumentException(
                $"Column '{columnName}' holds {Found(vector)}; a row of input '{tensor.Name}' of the model has shape [{string.Join(',', dims)}]."
                + (open > 1 ? $" {nameof(OnnxModel)}.{nameof(OnnxModel.WithInputShape)} fixes open axes, axes of the column do too, and one may follow from the length." : ""));
        return new(column, tensor, [.. dims.Select(d => checked((int)(d.IsKnown ? d.Value : size / known)))]);

        // A column such as ExtractPixels makes, [channels, height, width], tells open extents; one whose axes are others is not read as if they were these.
        void TakeAxes(VectorDataViewType type, Dimension[] dims)
        {
            int batch = dims.Length - type.Dimensions.Length;
            if (batch is not (0 or 1) || batch == 1 && (isBatched || dims[0].IsKnown && dims[0].Value != 1)) return;
            if (batch == 1) dims[0] = 1;
            for (int axis = batch; axis < dims.Length; axis++)
            {
                int extent = type.Dimensions[axis - batch];
                if (extent == 0) continue;
                if (dims[axis].IsKnown && dims[axis].Value != extent)
                    throw new ArgumentException($"Column '{columnName}' holds {Found(type)}; a row of input '{tensor.Name}' of the model has shape [{string.Join(',', dims)}].");
                dims[axis] = extent;
            }
        }
    }

    private static string Found(VectorDataViewType? vector) => vector switch
    {
        null => "one value",
        { Size: 0 } => "vectors of any length",
        { Dimensions.Length: > 1 } => $"vectors of shape [{string.Join(',', vector.Dimensions)}]",
        _ => FormattableString.Invariant($"vectors of length {vector.Size}"),
    };
}
