using System.Security.Cryptography;
using Microsoft.ML;

namespace MLNet.Quantization.Persistence;

/// <summary>Entries of ML.NET's model zip, each after its SHA-256, so that damage is told as damage.</summary>
internal static class ZipEntries
{
    private const uint FormatVersion = 0x00010001;

    /// <param name="modelSignature">8 characters.</param>
    /// <param name="loaderSignature">At most 24 characters of ASCII.</param>
    /// <remarks>The assembly's simple name is written, so that a zip loads with whatever version the application has.</remarks>
    public static VersionInfo Version(string modelSignature, string loaderSignature) =>
        new(modelSignature, FormatVersion, FormatVersion, FormatVersion, typeof(ZipEntries).Assembly.GetName().Name!, loaderSignature);

    /// <exception cref="ModelFormatException">The zip was written by a newer version of this library, or is not what the loader expects.</exception>
    public static void Check(ModelLoadContext context, VersionInfo version, string what)
    {
        if (context.Header.ModelVerReadable > version.VerWrittenCur)
            throw new ModelFormatException(
                FormattableString.Invariant($"The {what} in the zip was written by a newer version of this library: it asks for format {context.Header.ModelVerReadable:x8}, this version reads up to {version.VerWrittenCur:x8}."));
        try
        {
            context.CheckAtModel(version);
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException or InvalidDataException)
        {
            throw new ModelFormatException($"The zip holds no {what} that this version of the library reads: {e.Message}", null, null, e);
        }
    }

    public static void Write(ModelSaveContext context, string name, byte[] bytes) => context.SaveBinaryStream(name, writer =>
    {
        writer.Write(SHA256.HashData(bytes));
        writer.Write(bytes);
    });

    /// <exception cref="ModelFormatException">The entry is missing or damaged.</exception>
    public static byte[] Read(ModelLoadContext context, string name) =>
        TryRead(context, name) ?? throw new ModelFormatException($"The zip is damaged: entry '{name}' is missing.");

    /// <summary>Null where there is no such entry.</summary>
    /// <exception cref="ModelFormatException">The entry is damaged.</exception>
    public static byte[]? TryRead(ModelLoadContext context, string name)
    {
        byte[]? bytes = null;
        try
        {
            context.TryLoadBinaryStream(name, reader =>
            {
                using var copy = new MemoryStream();
                reader.BaseStream.CopyTo(copy);
                bytes = copy.ToArray();
            });
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new ModelFormatException($"The zip is damaged: entry '{name}' cannot be unpacked.", null, null, e);
        }
        if (bytes is null) return null;
        const int Hash = SHA256.HashSizeInBytes;
        bool isWhole = bytes.Length >= Hash && SHA256.HashData(bytes.AsSpan(Hash)).AsSpan().SequenceEqual(bytes.AsSpan(0, Hash));
        return isWhole ? bytes[Hash..] : throw new ModelFormatException($"The zip is damaged: the checksum of entry '{name}' does not match.");
    }
}
