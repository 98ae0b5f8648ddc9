using System.Collections.Immutable;

namespace MLNet.Quantization.Graph;

/// <summary>One operator call. Values are named by strings, as in ONNX; an empty input or output name is an omitted optional.</summary>
internal sealed record Node(string Name, string OpType, ImmutableArray<string> Inputs, ImmutableArray<string> Outputs)
{
    /// <summary>Empty for the ONNX standard's own operators.</summary>
    public string Domain { get; init; } = "";

    public AttributeMap Attributes { get; init; } = AttributeMap.Empty;

    public string DocString { get; init; } = "";

    /// <summary>Fields of the file format that this library does not know, kept for the writer.</summary>
    public ReadOnlyMemory<byte> OpaqueFields { get; init; }

    /// <summary>What errors and reports call this node: its name, or its first output where it has none.</summary>
    public string DisplayName => Name.Length > 0 ? Name : Outputs.FirstOrDefault(o => o.Length > 0) ?? OpType;

    /// <summary>The name of input <paramref name="index"/>, or null where it is omitted.</summary>
    public string? Input(int index) => index < Inputs.Length && Inputs[index].Length > 0 ? Inputs[index] : null;

    public static Node Create(string name, string opType, ReadOnlySpan<string> inputs, ReadOnlySpan<string> outputs) =>
        new(name, opType, [.. inputs], [.. outputs]);
}
