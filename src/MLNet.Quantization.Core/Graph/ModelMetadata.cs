using System.Collections.Immutable;

namespace MLNet.Quantization.Graph;

/// <summary>What a model file says about itself beside its graph.</summary>
internal sealed record ModelMetadata
{
    public static ModelMetadata Empty { get; } = new();

    public long IrVersion { get; init; } = 8;

    public string ProducerName { get; init; } = "";

    public string ProducerVersion { get; init; } = "";

    public string Domain { get; init; } = "";

    public long ModelVersion { get; init; }

    public string DocString { get; init; } = "";

    /// <summary>metadata_props of the model.</summary>
    public ImmutableSortedDictionary<string, string> Properties { get; init; } = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>Fields of the file format that this library does not know (model level, then graph level), kept for the writer.</summary>
    public ReadOnlyMemory<byte> OpaqueModelFields { get; init; }

    public ReadOnlyMemory<byte> OpaqueGraphFields { get; init; }
}
