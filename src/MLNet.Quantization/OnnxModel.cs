using System.Globalization;
using System.Text;
using Microsoft.ML;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Persistence;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization;

/// <summary>
/// An ONNX model, opset 7 to 22, with the columns that it reads and writes. Immutable; safe to use from any number of threads. A row of
/// data is one index of the first axis of every input; where the model has no such axis (a first extent other than 1 is fixed), a row is
/// a whole tensor.
/// </summary>
public sealed class OnnxModel
{
    private readonly Lazy<PreparedModel> _prepared;
    private readonly IReadOnlyDictionary<string, string> _columns;

    internal OnnxModel(ModelGraph graph)
        : this(graph, new(() => PreparedModel.Prepare(graph)), new Dictionary<string, string>(StringComparer.Ordinal)) { }

    private OnnxModel(ModelGraph graph, Lazy<PreparedModel> prepared, IReadOnlyDictionary<string, string> columns)
    {
        if (graph.Inputs.IsEmpty) throw new ModelFormatException("The model has no inputs: there is nothing to score.");
        Graph = graph;
        _prepared = prepared;
        _columns = columns;
        Inputs = [.. graph.Inputs.Select(Describe)];
        Outputs = [.. graph.Outputs.Select(Describe)];
    }

    internal ModelGraph Graph { get; }

    /// <summary>The model as it is calibrated and quantized; made when first asked for.</summary>
    internal PreparedModel Prepared => _prepared.Value;

    /// <summary>The inputs, in the model's order.</summary>
    public IReadOnlyList<TensorInfo> Inputs { get; }

    /// <summary>The outputs, in the model's order.</summary>
    public IReadOnlyList<TensorInfo> Outputs { get; }

    /// <summary>The operator types that the model uses, sorted.</summary>
    public IReadOnlyList<string> Operators => [.. Graph.Nodes.Select(n => n.OpType).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    /// <summary>Bytes of all constants.</summary>
    public long ConstantBytes => Graph.Initializers.Values.Sum(t => (long)t.Bytes.Length);

    /// <summary>Reads a model file, and the files of external data that it names.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ModelFormatException">It is not ONNX, truncated, cyclic, or contradicts itself.</exception>
    public static OnnxModel Load(string path) => new(OnnxReader.ReadFile(path));

    /// <summary>Reads a model from a stream, to its end.</summary>
    /// <param name="stream">The bytes of an ONNX file without external data.</param>
    /// <exception cref="ModelFormatException">It is not ONNX, truncated, cyclic, or contradicts itself.</exception>
    public static OnnxModel Load(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return Load(copy.ToArray());
    }

    /// <summary>Reads a model from memory.</summary>
    /// <param name="model">The bytes of an ONNX file without external data.</param>
    /// <exception cref="ModelFormatException">It is not ONNX, truncated, cyclic, or contradicts itself.</exception>
    public static OnnxModel Load(byte[] model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new(OnnxReader.Read(model));
    }

    /// <summary>Takes the model out of a fitted ONNX transformer, or out of a chain that holds one.</summary>
    /// <param name="transformer">What <c>ApplyOnnxModel(...).Fit(...)</c> gave, or a fitted chain around it.</param>
    /// <exception cref="ArgumentException">There is no ONNX transformer in it, or more than one.</exception>
    public static OnnxModel FromTransformer(ITransformer transformer)
    {
        ArgumentNullException.ThrowIfNull(transformer);
        return Load(OnnxTransformerBytes.Of(transformer));
    }

    /// <summary>Writes the model as an ONNX file, constants inside.</summary>
    /// <param name="path">The file; it appears whole or not at all, and replaces one that is there.</param>
    public void SaveAsOnnx(string path) => OnnxWriter.WriteFile(Graph, path);

    /// <summary>The same model with other columns. What is not named keeps its column, which at first has the tensor's own name.</summary>
    /// <param name="inputs">Pairs of an input and the column that it is read from.</param>
    /// <param name="outputs">Pairs of an output and the column that it is written to.</param>
    /// <exception cref="ArgumentException">The model has no such input or output, or two outputs share a column.</exception>
    public OnnxModel Bind(IEnumerable<(string Tensor, string Column)>? inputs = null, IEnumerable<(string Tensor, string Column)>? outputs = null)
    {
        var columns = new Dictionary<string, string>(_columns, StringComparer.Ordinal);
        Add(columns, inputs, Inputs, "input");
        Add(columns, outputs, Outputs, "output");
        var bound = new OnnxModel(Graph, _prepared, columns);
        if (bound.Outputs.GroupBy(o => o.ColumnName, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } shared)
            throw new ArgumentException($"Outputs {string.Join(", ", shared.Select(o => $"'{o.Name}'"))} are all bound to column '{shared.Key}'.", nameof(outputs));
        return bound;
    }

    /// <summary>
    /// The same model with open axes of an input fixed, as a model of images of any size needs it before it reads columns that do not tell
    /// height and width. An axis that the file names by a symbol is fixed wherever that symbol stands. Saved with what is made from the model.
    /// </summary>
    /// <param name="input">The input.</param>
    /// <param name="extents">One for each axis, the first included: -1 leaves an axis as it is, as it should the one that counts rows.</param>
    /// <exception cref="ArgumentException">The model has no such input, or the extents contradict its shape.</exception>
    public OnnxModel WithInputShape(string input, params ReadOnlySpan<long> extents)
    {
        ArgumentNullException.ThrowIfNull(input);
        Check(input, Inputs, "input");
        var graph = FixInputShape.Apply(Graph, input, extents);
        return With(graph);
    }

    /// <summary>A model of the same inputs and outputs, with the same columns.</summary>
    internal OnnxModel With(ModelGraph graph) => new(graph, new(() => PreparedModel.Prepare(graph)), _columns);

    private static void Add(Dictionary<string, string> columns, IEnumerable<(string Tensor, string Column)>? pairs, IReadOnlyList<TensorInfo> tensors, string what)
    {
        foreach (var (tensor, column) in pairs ?? [])
        {
            ArgumentException.ThrowIfNullOrEmpty(column);
            Check(tensor, tensors, what);
            columns[tensor] = column;
        }
    }

    private static void Check(string tensor, IReadOnlyList<TensorInfo> tensors, string what)
    {
        if (!tensors.Any(t => t.Name == tensor))
            throw new ArgumentException($"The model has no {what} '{tensor}'; it has {string.Join(", ", tensors.Select(t => $"'{t.Name}'"))}.");
    }

    private TensorInfo Describe(ValueInfo value) =>
        new(value.Name, value.Type.ToString(), value.Shape?.ToString() ?? "[...]", _columns.GetValueOrDefault(value.Name, value.Name));

    /// <summary>
    /// The structure as a table: a line for each node, with its name, its operator, its outputs, and the type and extents of its constants; then
    /// the bytes of all constants. Values are computed in the order of the lines.
    /// </summary>
    public string Summary()
    {
        string[][] rows =
        [
            ["node", "operator", "outputs", "constants"],
            .. Graph.Nodes.Select(n => new[]
            {
                n.DisplayName, n.Domain.Length == 0 ? n.OpType : $"{n.Domain}.{n.OpType}", string.Join(", ", n.Outputs.Where(o => o.Length > 0)),
                string.Join(", ", n.Inputs.Select(i => Graph.Initializers.GetValueOrDefault(i)).OfType<Tensor>()),
            }),
        ];
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(c => rows.Max(r => r[c].Length))];
        var text = new StringBuilder();
        foreach (string[] row in rows) text.AppendLine(string.Join("  ", row.Select((cell, c) => cell.PadRight(widths[c]))).TrimEnd());
        return text.Append(CultureInfo.InvariantCulture, $"{Graph.Nodes.Length} nodes, constants of {ConstantBytes:N0} bytes").ToString();
    }

    /// <summary>Inputs and outputs, as a line of text.</summary>
    public override string ToString() =>
        $"{string.Join(", ", Inputs.Select(i => $"{i.Name}: {i.ElementType}{i.Shape}"))} -> {string.Join(", ", Outputs.Select(o => $"{o.Name}: {o.ElementType}{o.Shape}"))}";
}
