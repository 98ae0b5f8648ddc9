namespace QuickStart;

/// <summary>What the pipeline says about a sentence.</summary>
internal sealed class Verdict
{
    public string PredictedLanguage { get; set; } = "";
}
