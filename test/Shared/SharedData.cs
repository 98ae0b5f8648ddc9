namespace MLNet.Quantization.Tests;

/// <summary>Finds the models and data that stand beside the project on some machines. Tests that need them are skipped elsewhere.</summary>
internal static class SharedData
{
    /// <summary>The folder of the project's own checkout.</summary>
    public static string ProjectRoot { get; } = FindUp(d => File.Exists(System.IO.Path.Combine(d, "MLNet.Quantization.sln")))
        ?? throw new InvalidOperationException("The tests must run inside a checkout.");

    // After ProjectRoot, which it starts from.
    private static readonly string? Root = Find();

    /// <summary>The path of a file or folder below the shared data; skips the test where it is absent.</summary>
    public static string Path(params string[] parts)
    {
        string relative = System.IO.Path.Combine(parts);
        string? path = Root is null ? null : System.IO.Path.Combine(Root, relative);
        if (path is null || !(File.Exists(path) || Directory.Exists(path)))
            Assert.Inconclusive($"Needs the shared data '{relative}' beside the project ('../shared/data'), which is not here.");
        return path!;
    }

    /// <summary>The ONNX file of a shared model.</summary>
    public static string Model(string name) => Path("models", name, "model.onnx");

    private static string? Find()
    {
        string candidate = System.IO.Path.Combine(ProjectRoot, "..", "shared", "data");
        return Directory.Exists(candidate) ? System.IO.Path.GetFullPath(candidate) : null;
    }

    private static string? FindUp(Func<string, bool> found)
    {
        for (var d = new DirectoryInfo(AppContext.BaseDirectory); d is not null; d = d.Parent)
            if (found(d.FullName)) return d.FullName;
        return null;
    }
}
