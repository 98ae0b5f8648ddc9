using Microsoft.ML.Data;
using QuickStart;

namespace DynamicLstm;

/// <summary>The first characters of a translated message, each as its 16 bits, 1 or -1, and the language, the same after each character.</summary>
internal sealed class CharacterRow
{
    public const int Steps = 100, Bits = 16;

    private static readonly string[] Languages = ["de", "es", "fr", "pl", "tr"];

    [ColumnName("input"), VectorType(Steps * Bits)]
    public float[] Input { get; set; } = [];

    [VectorType(Steps)]
    public float[] Label { get; set; } = [];

    /// <summary>Messages of five languages that are long enough.</summary>
    public static List<CharacterRow> Of(IEnumerable<Sentence> messages) => [.. messages.Where(m => m.Text.Length >= Steps && Languages.Contains(m.Language)).Select(m => new CharacterRow
    {
        Input = [.. m.Text.Take(Steps).SelectMany(c => Enumerable.Range(0, Bits).Select(bit => (c >> bit & 1) == 1 ? 1f : -1f))],
        Label = [.. Enumerable.Repeat((float)Array.IndexOf(Languages, m.Language), Steps)],
    })];
}
