using System.Globalization;

namespace MLNet.Quantization.Benchmarks;

/// <summary>The command line of `models`.</summary>
internal sealed record ModelOptions
{
    public static IReadOnlyList<string> All { get; } =
    [
        "mnist_cntk_cnn", "kws_dscnn", "resnet8_cifar10", "squeezenet1_1_imagenet", "ultraface_rfb320", "ppocr_cls_mobilenetv3", "magika_v3_3", "mnist_mlp_256x2", "ad_autoencoder_mlp",
        "hand_keypoint_mlp", "vit_ibp_3_3_8_cifar10", "structure_only_cct_opset20", "g2p_en_lstm", "silero_vad_16k", .. GeneratedModels.Names,
    ];

    public string Folder { get; private init; } = Path.Combine("..", "shared", "data", "models");

    public IReadOnlyList<string> Names { get; private init; } = All;

    public IReadOnlyList<int> Threads { get; private init; } = [1, 2];

    public IReadOnlyList<int> Batches { get; private init; } = [1, 16];

    public bool Quick { get; private init; }

    /// <summary>Products of two activations in INT8 too.</summary>
    public bool Products { get; private init; }

    public string? Json { get; private init; }

    /// <summary>Times the steps of our own program instead.</summary>
    public bool Profile { get; private init; }

    /// <summary>Only loads, quantizes and scores, for the peak memory of the process.</summary>
    public string? Footprint { get; private init; }

    public int Rounds => Quick ? 7 : 15;

    public double Seconds => Quick ? 0.02 : 0.06;

    public static ModelOptions Parse(string[] args)
    {
        var options = new ModelOptions();
        for (int i = 0; i < args.Length; i++)
        {
            string Value() => ++i < args.Length ? args[i] : throw new FormatException($"{args[i - 1]} wants a value.");
            int[] Numbers() => [.. Value().Split(',').Select(v => int.Parse(v, CultureInfo.InvariantCulture))];
            options = args[i] switch
            {
                "--folder" => options with { Folder = Value() },
                "--model" => options with { Names = Value().Split(',') },
                "--threads" => options with { Threads = Numbers() },
                "--batch" => options with { Batches = Numbers() },
                "--quick" => options with { Quick = true },
                "--products" => options with { Products = true },
                "--profile" => options with { Profile = true },
                "--footprint" => options with { Footprint = Value() },
                "--json" => options with { Json = Value() },
                _ => throw new FormatException($"Unknown argument '{args[i]}'."),
            };
        }
        return options;
    }
}
