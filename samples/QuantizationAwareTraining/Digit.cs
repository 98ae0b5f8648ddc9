using System.Buffers.Binary;
using System.IO.Compression;
using Microsoft.ML.Data;

namespace QuantizationAwareTraining;

/// <summary>A row of MNIST: the pixels of a handwritten digit, line by line, 0 to 1, and which it is.</summary>
internal sealed class Digit
{
    public const int Side = 28;

    [VectorType(Side * Side)]
    public float[] Pixels { get; set; } = [];

    [KeyType(10)]
    public uint Label { get; set; }

    /// <summary>The files of the shared data, where that lies above the program.</summary>
    public static (string Images, string Labels)? Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string set = Path.Combine(folder.FullName, "shared", "data", "datasets", "mnist_test_0_4999");
            if (Directory.Exists(set)) return (Path.Combine(set, "images-idx3-ubyte.gz"), Path.Combine(set, "labels-idx1-ubyte.gz"));
        }
        return null;
    }

    /// <summary>Reads images and labels in MNIST's idx format, gzipped: a magic number and the extents, big endian, then bytes.</summary>
    /// <exception cref="InvalidDataException">A file is not of that format, or they do not go together.</exception>
    public static List<Digit> Read(string imageFile, string labelFile)
    {
        byte[] images = Unzipped(imageFile), labels = Unzipped(labelFile);
        int count = Extent(labels, labelFile, 0x801, 0);
        if (Extent(images, imageFile, 0x803, 0) != count || Extent(images, imageFile, 0x803, 1) != Side || Extent(images, imageFile, 0x803, 2) != Side
            || images.LongLength != 16 + ((long)count * Side * Side) || labels.LongLength != 8 + (long)count)
            throw new InvalidDataException($"'{imageFile}' does not hold {count} pictures of {Side} x {Side}, one for each label of '{labelFile}'.");
        return [.. Enumerable.Range(0, count).Select(i => new Digit
        {
            Pixels = Array.ConvertAll(images[(16 + (i * Side * Side))..(16 + ((i + 1) * Side * Side))], p => p / 255f),
            Label = labels[8 + i],
        })];
    }

    private static int Extent(byte[] file, string name, int magic, int axis)
    {
        int at = 4 + (4 * axis);
        if (file.Length < at + 4 || BinaryPrimitives.ReadInt32BigEndian(file) != magic) throw new InvalidDataException($"'{name}' is no idx file of MNIST.");
        return BinaryPrimitives.ReadInt32BigEndian(file.AsSpan(at));
    }

    private static byte[] Unzipped(string path)
    {
        using var zipped = new GZipStream(File.OpenRead(path), CompressionMode.Decompress);
        using var memory = new MemoryStream();
        zipped.CopyTo(memory);
        return memory.ToArray();
    }
}
