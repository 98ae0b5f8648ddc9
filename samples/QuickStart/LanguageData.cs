using System.Text;

namespace QuickStart;

/// <summary>A row of the data: what is read, and the language it is written in.</summary>
internal sealed class Sentence
{
    public string Text { get; set; } = "";

    public string Language { get; set; } = "";
}

/// <summary>The SDK's messages as a labelled data set, cut into a training and a test part.</summary>
internal sealed record LanguageData(IReadOnlyList<Sentence> Training, IReadOnlyList<Sentence> Test)
{
    /// <summary>Below this many letters a message is a product name or a unit, and its language anyone's guess.</summary>
    private const int FewestLetters = 6;

    /// <summary>One message in five is held back.</summary>
    private const uint TestShare = 5;

    /// <summary>
    /// Messages whose letters are the same count once: "Error {0}." and "error: {1}" are one message. A message that several languages
    /// share was never translated and is left out. The part a message falls into and the order of rows follow from a hash of its
    /// letters, so that every run on an SDK sees the same data, and near-identical messages never stand on both sides.
    /// </summary>
    public static LanguageData Read(string sdk)
    {
        var messages = new Dictionary<string, Sentence?>(StringComparer.Ordinal);
        foreach (string language in SdkStrings.Languages)
        {
            foreach (string text in SdkStrings.Read(sdk, language))
            {
                string letters = Letters(text);
                if (letters.Length < FewestLetters) continue;
                if (!messages.TryGetValue(letters, out Sentence? known))
                    messages.Add(letters, new Sentence { Text = text, Language = language });
                else if (known is not null && known.Language != language)
                    messages[letters] = null;
            }
        }

        var rows = messages.Where(m => m.Value is not null)
            .Select(m => (Hash: Hash(m.Key), m.Key, Row: m.Value!))
            .OrderBy(m => m.Hash).ThenBy(m => m.Key, StringComparer.Ordinal)
            .ToList();
        return new LanguageData(
            [.. rows.Where(r => r.Hash % TestShare != 0).Select(r => r.Row)],
            [.. rows.Where(r => r.Hash % TestShare == 0).Select(r => r.Row)]);
    }

    /// <summary>The letters of a text in lower case, without format placeholders such as {0:N2}.</summary>
    private static string Letters(string text)
    {
        var letters = new StringBuilder(text.Length);
        int braces = 0;
        foreach (char c in text)
        {
            if (c == '{') braces++;
            else if (c == '}') braces = Math.Max(0, braces - 1);
            else if (braces == 0 && char.IsLetter(c)) letters.Append(char.ToLowerInvariant(c));
        }
        return letters.ToString();
    }

    /// <summary>FNV-1a over the UTF-16 bytes, then the finalizer of MurmurHash3, whose low bits are usable.</summary>
    private static uint Hash(string text)
    {
        uint hash = 2166136261;
        foreach (char c in text)
        {
            hash = (hash ^ (byte)c) * 16777619;
            hash = (hash ^ (byte)(c >> 8)) * 16777619;
        }
        hash = (hash ^ (hash >> 16)) * 0x85EBCA6B;
        hash = (hash ^ (hash >> 13)) * 0xC2B2AE35;
        return hash ^ (hash >> 16);
    }
}
