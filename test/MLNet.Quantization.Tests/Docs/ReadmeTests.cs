using System.Text.RegularExpressions;

namespace MLNet.Quantization.Tests.Docs;

/// <summary>What the README and the other documents show must exist.</summary>
[TestClass]
public sealed partial class ReadmeTests
{
    private static readonly string[] Documents =
    [
        .. Directory.EnumerateFiles(SharedData.ProjectRoot, "*.md"),
        .. Directory.EnumerateFiles(Path.Combine(SharedData.ProjectRoot, "docs"), "*.md", SearchOption.AllDirectories),
    ];

    /// <summary>Samples are compiled, so code that stands in one compiles.</summary>
    [TestMethod]
    public void EveryCodeBlockStandsInASample()
    {
        string[] samples =
        [
            .. Directory.EnumerateFiles(Path.Combine(SharedData.ProjectRoot, "samples"), "*.cs", SearchOption.AllDirectories)
                .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
                .Select(file => Lines(Text(file))),
        ];
        string[] blocks = [.. CodeBlock().Matches(Text(Path.Combine(SharedData.ProjectRoot, "README.md"))).Select(m => Lines(m.Groups[1].Value))];
        Assert.IsNotEmpty(blocks, "README.md shows no code.");
        foreach (string block in blocks)
            Assert.IsTrue(samples.Any(sample => sample.Contains(block, StringComparison.Ordinal)), $"No sample holds this code of README.md:\n{block}");
    }

    [TestMethod]
    public void EveryRelativeLinkLeadsToAFile()
    {
        foreach (string document in Documents)
        {
            foreach (Match link in Link().Matches(Text(document)))
            {
                string target = link.Groups[1].Value.Split('#')[0];
                if (target.Length == 0 || target.Contains("://", StringComparison.Ordinal)) continue;
                string path = Path.Combine(Path.GetDirectoryName(document)!, target);
                Assert.IsTrue(File.Exists(path) || Directory.Exists(path), $"{Path.GetFileName(document)} links to '{target}', which is not there.");
            }
        }
    }

    [TestMethod]
    public void TheReadmeLeadsToEveryDocument()
    {
        string readme = Text(Path.Combine(SharedData.ProjectRoot, "README.md"));
        foreach (string document in Directory.EnumerateFiles(Path.Combine(SharedData.ProjectRoot, "docs"), "*.md"))
            Assert.Contains($"docs/{Path.GetFileName(document)}", readme, $"README.md does not link to docs/{Path.GetFileName(document)}.");
    }

    private static string Text(string file) => File.ReadAllText(file).ReplaceLineEndings("\n");

    /// <summary>The lines of some code without their indentation, which differs between a README and a method's body.</summary>
    private static string Lines(string code) => string.Join('\n', code.Trim().Split('\n').Select(line => line.Trim()));

    [GeneratedRegex("^```csharp\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex CodeBlock();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}
