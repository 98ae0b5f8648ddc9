using System.Globalization;

namespace MLNet.Quantization.Benchmarks;

/// <summary>m, n, k of a product.</summary>
internal readonly record struct GemmShape(int M, int N, int K)
{
    public double Work => (double)M * N * K;

    public static GemmShape Parse(string text) => text.Split(',').Select(p => int.Parse(p, CultureInfo.InvariantCulture)).ToArray() is [var m, var n, var k]
        ? new(m, n, k)
        : throw new FormatException($"'{text}' is not a shape M,N,K.");

    public override string ToString() => $"{M},{N},{K}";
}

/// <summary>The command line of `gemm`.</summary>
internal sealed record GemmOptions
{
    public int Threads { get; private init; } = 1;

    public bool Quick { get; private init; }

    public string? Json { get; private init; }

    public IReadOnlyList<GemmShape> Shapes { get; private init; } =
    [
        new(1, 1024, 1024), new(1, 4096, 4096), new(8, 1024, 1024), new(32, 768, 3072), new(128, 768, 768), new(128, 3072, 768), new(512, 512, 512),
        new(1024, 1024, 1024), new(3136, 64, 576), new(784, 128, 1152), new(196, 256, 2304), new(1, 32, 16),
    ];

    public int Rounds => Quick ? 5 : 11;

    public double Seconds => Quick ? 0.012 : 0.04;

    public static GemmOptions Parse(string[] args)
    {
        var options = new GemmOptions();
        for (int i = 0; i < args.Length; i++)
        {
            string Value() => ++i < args.Length ? args[i] : throw new FormatException($"{args[i - 1]} wants a value.");
            options = args[i] switch
            {
                "--threads" => options with { Threads = int.Parse(Value(), CultureInfo.InvariantCulture) },
                "--quick" => options with { Quick = true },
                "--json" => options with { Json = Value() },
                "--shape" => options with { Shapes = [GemmShape.Parse(Value())] },
                _ => throw new FormatException($"Unknown argument '{args[i]}'."),
            };
        }
        return options;
    }
}
