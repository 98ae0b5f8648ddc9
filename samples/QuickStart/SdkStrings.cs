using System.Collections;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Resources;
using System.Runtime.InteropServices;

namespace QuickStart;

/// <summary>
/// The translated messages of the installed .NET SDK: string resources of its satellite assemblies (fr/NuGet.Commands.resources.dll),
/// read as data with System.Reflection.Metadata; no assembly is loaded.
/// </summary>
internal static class SdkStrings
{
    /// <summary>The languages that the SDK is translated into, by the names of the satellite folders.</summary>
    public static readonly string[] Languages =
        ["cs", "de", "es", "fr", "it", "ja", "ko", "pl", "pt-BR", "ru", "tr", "zh-Hans", "zh-Hant"];

    /// <summary>The newest SDK folder that holds satellite assemblies; null when there is none.</summary>
    public static string? FindSdk() => Installations()
        .Select(installation => Path.Combine(installation, "sdk"))
        .Where(Directory.Exists)
        .SelectMany(Directory.EnumerateDirectories)
        .Where(sdk => Directory.Exists(Path.Combine(sdk, Languages[0])))
        .OrderByDescending(VersionOf)
        .ThenByDescending(sdk => sdk, StringComparer.Ordinal)
        .FirstOrDefault();

    /// <summary>The strings of one language, in an order that does not depend on the file system; duplicates included.</summary>
    public static IEnumerable<string> Read(string sdk, string language) => Directory
        .EnumerateFiles(sdk, "*.resources.dll", SearchOption.AllDirectories)
        .Where(file => Path.GetFileName(Path.GetDirectoryName(file)) == language)
        .Order(StringComparer.Ordinal)
        .SelectMany(ReadSatellite);

    /// <summary>Where .NET may be installed: around the running runtime (root/shared/NAME/VERSION), around the host, at DOTNET_ROOT.</summary>
    private static IEnumerable<string> Installations()
    {
        yield return Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        if (Path.GetDirectoryName(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH")) is { Length: > 0 } host) yield return host;
        if (Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } root) yield return root;
    }

    private static Version VersionOf(string sdk) =>
        Version.TryParse(Path.GetFileName(sdk).Split('-')[0], out Version? version) ? version : new Version();

    private static List<string> ReadSatellite(string file)
    {
        var strings = new List<string>();
        using var assembly = new PEReader(File.OpenRead(file));
        if (!assembly.HasMetadata || assembly.PEHeaders.CorHeader is not { } header) return strings;
        PEMemoryBlock resources = assembly.GetSectionData(header.ResourcesDirectory.RelativeVirtualAddress);
        MetadataReader metadata = assembly.GetMetadataReader();
        foreach (ManifestResource resource in metadata.ManifestResources.Select(metadata.GetManifestResource))
        {
            bool isStringTable = metadata.GetString(resource.Name).EndsWith(".resources", StringComparison.Ordinal);
            if (!isStringTable || !resource.Implementation.IsNil) continue;

            // An embedded resource is its length in four bytes, then its content.
            int offset = checked((int)resource.Offset);
            BlobReader blob = resources.GetReader(offset, resources.Length - offset);
            AddStrings(blob.ReadBytes(blob.ReadInt32()), strings);
        }
        return strings;
    }

    private static void AddStrings(byte[] table, List<string> strings)
    {
        using var reader = new ResourceReader(new MemoryStream(table));
        for (IDictionaryEnumerator entry = reader.GetEnumerator(); entry.MoveNext();)
            if (entry.Value is string text) strings.Add(text);
    }
}
