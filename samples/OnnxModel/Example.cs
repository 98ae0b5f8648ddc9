using MLNet.Quantization;

namespace OnnxModelSample;

/// <summary>What the sample compares when it is given nothing.</summary>
internal static class Example
{
    private const int Width = 64, Classes = 10, Rows = 4000;

    /// <summary>The MNIST network and its test digits where they stand beside the project, else a made-up network on made-up data.</summary>
    /// <param name="folder">Where the made-up network is written.</param>
    public static (string File, LabelledRows Data) Find(string folder)
    {
        for (var up = new DirectoryInfo(AppContext.BaseDirectory); up is not null; up = up.Parent)
        {
            string shared = Path.Combine(up.FullName, "shared", "data");
            string model = Path.Combine(shared, "models", "mnist_mlp_256x2", "model.onnx"), digits = Path.Combine(shared, "datasets", "mnist_test_0_4999");
            if (File.Exists(model) && Directory.Exists(digits))
                return (model, LabelledRows.FromIdx(Path.Combine(digits, "images-idx3-ubyte.gz"), Path.Combine(digits, "labels-idx1-ubyte.gz")));
        }
        Console.WriteLine("The MNIST network is not here: a network with random weights and made-up rows stand in.");
        return (WriteNetwork(folder), LabelledRows.Generate(Rows, Width, Classes));
    }

    private static string WriteNetwork(string folder)
    {
        string file = Path.Combine(folder, "network.onnx");
        OnnxModel network = new NetworkBuilder(Width).Dense(256).Relu().Dense(256).Relu().Dense(Classes).Build();
        network.SaveAsOnnx(file);
        return file;
    }
}
