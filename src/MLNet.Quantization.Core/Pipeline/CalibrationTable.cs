using System.Security.Cryptography;
using System.Text;
using MLNet.Quantization.Calibration;

namespace MLNet.Quantization.Pipeline;

/// <summary>
/// What calibration found, by value name, for one prepared graph. Its bytes (little-endian): magic, format version, hash of the graph,
/// scheme, then name and statistics of each value by ordinal name, then the SHA-256 of all that.
/// </summary>
internal sealed class CalibrationTable
{
    private const int FormatVersion = 1;
    private static ReadOnlySpan<byte> Magic => "MLNQCALT"u8;

    private readonly SortedDictionary<string, ActivationObserver> _statistics;

    internal CalibrationTable(string modelHash, QuantizationScheme scheme, SortedDictionary<string, ActivationObserver> statistics)
    {
        ModelHash = modelHash;
        Scheme = scheme;
        _statistics = statistics;
    }

    /// <summary><see cref="PreparedModel.Hash"/> of the model that was calibrated.</summary>
    public string ModelHash { get; }

    public QuantizationScheme Scheme { get; }

    public IReadOnlyDictionary<string, ActivationObserver> Statistics => _statistics;

    public byte[] ToBytes()
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(Magic);
        writer.Write(FormatVersion);
        writer.Write(ModelHash);
        writer.Write((byte)Scheme);
        writer.Write(_statistics.Count);
        foreach (var (name, observer) in _statistics)
        {
            writer.Write(name);
            observer.Write(writer);
        }
        writer.Flush();
        byte[] body = stream.ToArray();
        return [.. body, .. SHA256.HashData(body)];
    }

    /// <exception cref="CalibrationException">The bytes are not a calibration, are damaged, or of a newer format.</exception>
    public static CalibrationTable FromBytes(ReadOnlySpan<byte> bytes)
    {
        int length = bytes.Length - SHA256.HashSizeInBytes;
        if (length < Magic.Length + sizeof(int) || !bytes.StartsWith(Magic)) throw new CalibrationException("The bytes are not a calibration of this library.");
        if (!SHA256.HashData(bytes[..length]).AsSpan().SequenceEqual(bytes[length..])) throw new CalibrationException("The calibration is damaged: its checksum does not match.");
        using var reader = new BinaryReader(new MemoryStream(bytes[Magic.Length..length].ToArray()), Encoding.UTF8);
        int version = reader.ReadInt32();
        if (version != FormatVersion) throw new CalibrationException($"The calibration has format version {version}, this library reads version {FormatVersion}.");
        try
        {
            string hash = reader.ReadString();
            var scheme = (QuantizationScheme)reader.ReadByte();
            var statistics = new SortedDictionary<string, ActivationObserver>(StringComparer.Ordinal);
            for (int count = reader.ReadInt32(); count > 0; count--) statistics.Add(reader.ReadString(), ActivationObserver.Read(reader));
            return new(hash, scheme, statistics);
        }
        catch (Exception e) when (e is EndOfStreamException or FormatException or ArgumentException)
        {
            throw new CalibrationException($"The calibration is damaged: {e.Message}");
        }
    }

    /// <summary>The table over both parts of the data, <paramref name="later"/>'s following this one's. Neither is changed.</summary>
    /// <exception cref="CalibrationException">They are of different models, schemes or methods.</exception>
    public CalibrationTable Merge(CalibrationTable later)
    {
        if (later.ModelHash != ModelHash) throw new CalibrationException("Calibrations of different models cannot be merged.");
        if (later.Scheme != Scheme) throw new CalibrationException($"Calibrations with the schemes {Scheme} and {later.Scheme} cannot be merged.");
        var merged = FromBytes(ToBytes());
        if (_statistics.Keys.FirstOrDefault(n => !later._statistics.ContainsKey(n)) is { } missing)
            throw new CalibrationException($"Only one of the calibrations knows tensor '{missing}'.", missing);
        foreach (var (name, observer) in later._statistics)
        {
            if (!merged._statistics.TryGetValue(name, out var ours)) throw new CalibrationException($"Only one of the calibrations knows tensor '{name}'.", name);
            ours.Merge(observer);
        }
        return merged;
    }
}
