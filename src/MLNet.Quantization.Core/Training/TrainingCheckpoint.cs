using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace MLNet.Quantization.Training;

/// <summary>
/// A file with what training needs to go on as if it had not stopped. Bytes (little-endian): magic, format version, what tells this training
/// from others, epochs done, parameters and statistics by name, the optimizer's state, the best epoch, then the SHA-256 of all that. The file
/// appears whole or not at all. The order of rows needs no state: it follows from seed and epoch.
/// </summary>
internal sealed class TrainingCheckpoint
{
    private const int FormatVersion = 1;

    private readonly string _path;
    private readonly Network _network;
    private readonly int _epochs;
    private readonly (string What, string Value)[] _identity;

    /// <param name="path">Of the file.</param>
    /// <param name="network">As it is before the first epoch.</param>
    /// <param name="loss">What is made small.</param>
    /// <param name="options">How.</param>
    public TrainingCheckpoint(string path, Network network, Loss loss, TrainerOptions options)
    {
        (_path, _network, _epochs) = (path, network, options.Epochs);
        _identity =
        [
            ("nodes of the model", HashOf(writer => WriteNodes(writer, network))),
            ("shapes of what is trained", HashOf(writer => writer.Write(string.Join('\n', network.Parameters.Select(p => $"{p.Name} {string.Join(',', p.Value.Dims)}"))))),
            ("numbers that training starts from", HashOf(writer => WriteStart(writer, network))),
            ("options", string.Create(CultureInfo.InvariantCulture,
                $"{loss.GetType().Name}, {options.Optimizer}, rate {options.LearningRate} {options.Schedule}, warm-up {options.WarmUpSteps}, momentum {options.Momentum}, betas {options.Beta1} {options.Beta2}, epsilon {options.Epsilon}, decay {options.WeightDecay}, clipping {options.GradientClipping}, {options.Epochs} epochs, patience {options.Patience}")),
        ];
    }

    private static ReadOnlySpan<byte> Magic => "MLNQTRNG"u8;

    public bool Exists => File.Exists(_path);

    public void Save(int epochsDone, Optimizer optimizer, BestEpoch best)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(Magic);
        writer.Write(FormatVersion);
        foreach (var (_, value) in _identity) writer.Write(value);
        writer.Write(epochsDone);
        var parameters = new ParameterSnapshot();
        parameters.Take(_network.Parameters);
        parameters.Write(writer);
        optimizer.Write(writer);
        best.Write(writer);
        writer.Flush();
        byte[] body = stream.ToArray();
        AtomicFile.WriteAllBytes(_path, [.. body, .. SHA256.HashData(body)]);
    }

    /// <summary>Takes the checkpoint up: the network is brought to the phase of its epoch, then gets its parameters. Unchanged where that fails.</summary>
    /// <param name="optimizer">Whose state is overwritten.</param>
    /// <param name="best">Overwritten.</param>
    /// <returns>Epochs done.</returns>
    /// <exception cref="TrainingException">The file is damaged, of a newer format, or of another model or other options.</exception>
    public int Load(Optimizer optimizer, BestEpoch best)
    {
        byte[] bytes = File.ReadAllBytes(_path);
        int length = bytes.Length - SHA256.HashSizeInBytes;
        if (length < Magic.Length + sizeof(int) || !bytes.AsSpan().StartsWith(Magic)) throw new TrainingException($"'{_path}' is not a checkpoint of this library.");
        if (!SHA256.HashData(bytes.AsSpan(0, length)).AsSpan().SequenceEqual(bytes.AsSpan(length))) throw new TrainingException($"The checkpoint '{_path}' is damaged: its checksum does not match.");
        using var reader = new BinaryReader(new MemoryStream(bytes, Magic.Length, length - Magic.Length), Encoding.UTF8);
        int version = reader.ReadInt32();
        if (version != FormatVersion) throw new TrainingException($"The checkpoint '{_path}' has format version {version}, this library reads version {FormatVersion}.");
        var parameters = new ParameterSnapshot();
        int done;
        try
        {
            foreach (var (what, value) in _identity)
                if (reader.ReadString() is var found && found != value) throw new TrainingException($"The checkpoint '{_path}' is of another model, or of another training: other {what} ({found} there, {value} here). Delete it to start anew.");
            done = reader.ReadInt32();
            parameters.Read(reader);
            optimizer.Read(reader);
            best.Read(reader);
        }
        catch (Exception e) when (e is EndOfStreamException or FormatException or ArgumentException)
        {
            throw new TrainingException($"The checkpoint '{_path}' is damaged: {e.Message}");
        }
        for (int epoch = 0; epoch < done; epoch++) _network.BeginEpoch(epoch, _epochs);
        if (parameters.FirstMissing(_network.Parameters) is { } missing) throw new TrainingException($"The checkpoint '{_path}' lacks tensor '{missing.Name}' of {missing.Value.Count} numbers.", tensorName: missing.Name);
        parameters.Restore(_network.Parameters);
        return done;
    }

    public static void Write(BinaryWriter writer, float[] values)
    {
        writer.Write(values.Length);
        writer.Write(MemoryMarshal.AsBytes(values.AsSpan()));
    }

    /// <exception cref="EndOfStreamException">There are not so many.</exception>
    public static float[] ReadFloats(BinaryReader reader)
    {
        int count = reader.ReadInt32();
        if (count < 0 || count > (reader.BaseStream.Length - reader.BaseStream.Position) / sizeof(float)) throw new EndOfStreamException($"{count} numbers are not there.");
        var values = new float[count];
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private static void WriteNodes(BinaryWriter writer, Network network)
    {
        writer.Write(network.Graph.Output);
        foreach (var node in network.Graph.Graph.Nodes)
        {
            writer.Write($"{node.Domain} {node.OpType} {string.Join(',', node.Inputs)} {string.Join(',', node.Outputs)}");
            foreach (var (name, value) in node.Attributes)
                writer.Write(name + " " + (value is System.Collections.IEnumerable list and not string ? string.Join(',', list.Cast<object>().Select(Text)) : Text(value)));
        }

        static string Text(object value) => System.Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
    }

    private static void WriteStart(BinaryWriter writer, Network network)
    {
        foreach (var p in network.Parameters) Write(writer, p.Value.Data);
        var learned = network.Parameters.Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, tensor) in network.Graph.Graph.Initializers.Where(i => !learned.Contains(i.Key)).OrderBy(i => i.Key, StringComparer.Ordinal))
        {
            writer.Write(name);
            writer.Write(tensor.Bytes.Span);
        }
    }

    private static string HashOf(Action<BinaryWriter> write)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        write(writer);
        writer.Flush();
        return System.Convert.ToHexStringLower(SHA256.HashData(stream.GetBuffer().AsSpan(0, (int)stream.Length)));
    }
}
