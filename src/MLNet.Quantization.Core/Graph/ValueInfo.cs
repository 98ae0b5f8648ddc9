namespace MLNet.Quantization.Graph;

/// <summary>The declared type and shape of a graph input or output. A null shape means that not even the rank is declared.</summary>
internal sealed record ValueInfo(string Name, ElementType Type, TensorShape? Shape)
{
    public string DocString { get; init; } = "";

    /// <summary>Fields of the file format that this library does not know, kept for the writer.</summary>
    public ReadOnlyMemory<byte> OpaqueFields { get; init; }

    public override string ToString() => $"{Name}: {Type}{Shape?.ToString() ?? "[...]"}";
}
