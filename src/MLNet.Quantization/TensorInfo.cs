namespace MLNet.Quantization;

/// <summary>An input or an output of an <see cref="OnnxModel"/>, and the column that it is bound to.</summary>
/// <param name="Name">Its name in the model.</param>
/// <param name="ElementType">Its element type, spelled as in ONNX: Float, Int64 ...</param>
/// <param name="Shape">Its extents, symbols and unknown ones included: [N,784].</param>
/// <param name="ColumnName">The column that it is read from or written to.</param>
public sealed record TensorInfo(string Name, string ElementType, string Shape, string ColumnName);
