using System.Globalization;
using Google.Protobuf.Collections;
using Microsoft.Win32.SafeHandles;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Onnx;

/// <summary>
/// Files beside a model that hold the bytes of its constants. A location is relative to the model's folder and may not lead out of it.
/// Keeps the files open until disposed.
/// </summary>
internal sealed class ExternalData(string? folder) : IDisposable
{
    private readonly Dictionary<string, SafeFileHandle> _files = new(StringComparer.Ordinal);

    /// <summary>The <paramref name="bytes"/> bytes of a tensor.</summary>
    /// <param name="entries">The tensor's external_data: location, offset (0 if absent), length (as the shape says if absent).</param>
    /// <param name="tensor">What errors call the tensor.</param>
    /// <param name="bytes">What its type and shape take.</param>
    public byte[] Read(RepeatedField<StringStringEntryProto> entries, string tensor, long bytes)
    {
        string location = Find(entries, "location") ?? throw Malformed(tensor, "has external data, but does not say in which file");
        long offset = Number(entries, "offset", tensor) ?? 0;
        long length = Number(entries, "length", tensor) ?? bytes;
        if (length != bytes) throw Malformed(tensor, $"has {length} bytes in '{location}'; its shape takes {bytes}");
        var file = Open(location, tensor);
        long available = RandomAccess.GetLength(file);
        if (offset > available || available - offset < bytes)
            throw Malformed(tensor, $"takes {bytes} bytes from position {offset} of '{location}', which has {available}");
        var data = new byte[bytes];
        for (int read = 0; read < data.Length;)
        {
            int more = RandomAccess.Read(file, data.AsSpan(read), offset + read);
            if (more == 0) throw Malformed(tensor, $"takes {bytes} bytes from position {offset} of '{location}', which ended early");
            read += more;
        }
        return data;
    }

    public void Dispose()
    {
        foreach (var file in _files.Values) file.Dispose();
    }

    private SafeFileHandle Open(string location, string tensor)
    {
        if (_files.TryGetValue(location, out var open)) return open;
        if (folder is null) throw Malformed(tensor, $"has its data in the file '{location}', but the model was not read from a folder");
        string root = Path.GetFullPath(folder);
        if (location.Length == 0 || location.Contains('\0') || Path.IsPathRooted(location)) throw Outside();
        string path = Path.GetFullPath(Path.Combine(root, location));
        if (!path.StartsWith(Path.TrimEndingDirectorySeparator(root) + Path.DirectorySeparatorChar, StringComparison.Ordinal)) throw Outside();
        try
        {
            return _files[location] = File.OpenHandle(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException($"Tensor '{tensor}' has its data in the file '{location}', which cannot be opened: {e.Message}", null, tensor, e);
        }

        ModelFormatException Outside() => Malformed(tensor, $"has its data in '{location}', which is not a file below the model's folder");
    }

    private static string? Find(RepeatedField<StringStringEntryProto> entries, string key) => entries.FirstOrDefault(e => e.Key == key)?.Value;

    private static long? Number(RepeatedField<StringStringEntryProto> entries, string key, string tensor)
    {
        if (Find(entries, key) is not { } text) return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number
            : throw Malformed(tensor, $"has external data with {key} '{text}', which is not a number");
    }

    private static ModelFormatException Malformed(string tensor, string what) => new($"Tensor '{tensor}' {what}.", null, tensor);
}
