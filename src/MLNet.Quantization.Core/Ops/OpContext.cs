using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>A node and what is known of its inputs, with the checks that operators share.</summary>
internal class OpContext(Node node, int opset, ImmutableArray<ValueFact?> inputs)
{
    public Node Node { get; } = node;

    /// <summary>The model's version of the ONNX standard's operator set.</summary>
    public int Opset { get; } = opset;

    /// <summary>Facts by position, null where omitted; after the node's own inputs come the captures of its subgraphs.</summary>
    public ImmutableArray<ValueFact?> Inputs { get; } = inputs;

    public int OutputCount => Node.Outputs.Length;

    public ValueFact? Optional(int index) => index < Inputs.Length ? Inputs[index] : null;

    /// <exception cref="ModelFormatException">The input is omitted.</exception>
    public ValueFact Input(int index) => Optional(index) ?? throw Malformed($"input {index} is missing");

    /// <summary>An input of known element type.</summary>
    public ValueFact Input(int index, params ReadOnlySpan<ElementType> allowed)
    {
        var fact = Input(index);
        if (!allowed.Contains(fact.Type))
            throw Unsupported($"input {index} ('{Node.Inputs[index]}') is {fact.Type}, supported: {string.Join(", ", allowed.ToArray())}");
        return fact;
    }

    public T Attribute<T>(string name, T absent)
    {
        try
        {
            return Node.Attributes.Get(name, absent);
        }
        catch (ModelFormatException e)
        {
            throw Malformed(e.Message);
        }
    }

    /// <summary>An axis in 0 .. rank - 1 from one that may count from the end.</summary>
    public int Axis(long axis, int rank) =>
        axis >= -rank && axis < Math.Max(rank, 1) ? (int)(axis < 0 ? axis + rank : axis)
        : throw Malformed($"axis {axis} lies outside a tensor of rank {rank}");

    public ModelFormatException Malformed(string what) =>
        new($"Node '{Node.DisplayName}' ({Node.OpType}): {what}.", Node.DisplayName, Node.Outputs.FirstOrDefault());

    public UnsupportedOperatorException Unsupported(string what) =>
        new($"Node '{Node.DisplayName}' ({Node.OpType}): {what}.", Node.DisplayName, Node.OpType, Node.Domain);
}
