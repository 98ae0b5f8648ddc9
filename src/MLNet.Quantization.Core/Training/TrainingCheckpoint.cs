using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace MLNet.Quantization.Training;

/// <summary>
/// What training needs to go on as if it had not stopped. Bytes (little-endian): magic, format version, hash of the network, epochs done,
/// parameters by name, the optimizer's state, then the SHA-256 of all that. The file appears whole or not at all.
/// </summary>
internal static class TrainingCheckpoint
{
    private const int FormatVersion = 1;

    private static ReadOnlySpan<byte> Magic => "MLNQTRNG"u8;

    /// <summary>Tells networks apart: names and shapes of what is trained before the first epoch, and the options that decide what training does.</summary>
    public static string HashOf(Network network, string options)
    {
        var text = new StringBuilder(options);
        foreach (var p in network.Parameters) text.Append('\n').Append(p.Name).Append(' ').AppendJoin(',', p.Value.Dims);
        foreach (var node in network.Graph.Graph.Nodes) text.Append('\n').Append(node.OpType).Append(' ').AppendJoin(',', node.Inputs).Append(' ').AppendJoin(',', node.Outputs);
        return System.Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    public static void Save(string path, string hash, int epochsDone, Network network, Optimizer optimizer)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(Magic);
        writer.Write(FormatVersion);
        writer.Write(hash);
        writer.Write(epochsDone);
        writer.Write(network.Parameters.Count);
        foreach (var p in network.Parameters)
        {
            writer.Write(p.Name);
            Write(writer, p.Value.Data);
        }
        optimizer.Write(writer);
        writer.Flush();
        byte[] body = stream.ToArray();
        AtomicFile.WriteAllBytes(path, [.. body, .. SHA256.HashData(body)]);
    }

    /// <summary>Takes a checkpoint up. The network is brought to the phase of its epoch first.</summary>
    /// <param name="path">An existing file.</param>
    /// <param name="hash">Of the network as it is before the first epoch.</param>
    /// <param name="epochs">Of the whole training.</param>
    /// <param name="network">Whose parameters are overwritten.</param>
    /// <param name="optimizer">Whose state is overwritten.</param>
    /// <returns>Epochs done.</returns>
    /// <exception cref="TrainingException">The file is damaged, of a newer format, or of another model.</exception>
    public static int Load(string path, string hash, int epochs, Network network, Optimizer optimizer)
    {
        byte[] bytes = File.ReadAllBytes(path);
        int length = bytes.Length - SHA256.HashSizeInBytes;
        if (length < Magic.Length + sizeof(int) || !bytes.AsSpan().StartsWith(Magic)) throw new TrainingException($"'{path}' is not a checkpoint of this library.");
        if (!SHA256.HashData(bytes.AsSpan(0, length)).AsSpan().SequenceEqual(bytes.AsSpan(length))) throw new TrainingException($"The checkpoint '{path}' is damaged: its checksum does not match.");
        using var reader = new BinaryReader(new MemoryStream(bytes, Magic.Length, length - Magic.Length), Encoding.UTF8);
        int version = reader.ReadInt32();
        if (version != FormatVersion) throw new TrainingException($"The checkpoint '{path}' has format version {version}, this library reads version {FormatVersion}.");
        string found = reader.ReadString();
        if (found != hash)
            throw new TrainingException($"The checkpoint '{path}' is of another model or of other options (its hash {found[..12]}..., here {hash[..12]}...). Delete it to start anew.");
        int done = reader.ReadInt32();
        for (int epoch = 0; epoch < done; epoch++) network.BeginEpoch(epoch, epochs);
        var parameters = network.Parameters.ToDictionary(p => p.Name, StringComparer.Ordinal);
        for (int count = reader.ReadInt32(); count > 0; count--)
        {
            string name = reader.ReadString();
            float[] values = ReadFloats(reader);
            if (!parameters.TryGetValue(name, out var p) || p.Value.Count != values.Length) throw new TrainingException($"The checkpoint '{path}' holds tensor '{name}' of {values.Length} numbers, which the model does not have.", tensorName: name);
            values.CopyTo(p.Value.Data, 0);
        }
        optimizer.Read(reader);
        return done;
    }

    public static void Write(BinaryWriter writer, float[] values)
    {
        writer.Write(values.Length);
        writer.Write(MemoryMarshal.AsBytes(values.AsSpan()));
    }

    public static float[] ReadFloats(BinaryReader reader)
    {
        var values = new float[reader.ReadInt32()];
        reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
