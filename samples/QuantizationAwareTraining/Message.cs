using Microsoft.ML.Data;
using QuickStart;

namespace QuantizationAwareTraining;

/// <summary>A translated message as a row: the ids of its first characters, behind zeros where it is short, and its language.</summary>
internal sealed class Message
{
    /// <summary>Characters of a row.</summary>
    public const int Length = 48;

    /// <summary>Ids of characters are below this: 0 stands for none, and the many of Chinese, Japanese and Korean share ids.</summary>
    public const int Ids = 2048;

    [VectorType(Length)]
    public long[] Characters { get; set; } = [];

    /// <summary>From 0, as ML.NET wants keys in objects; in the data view they count from 1.</summary>
    [KeyType(13)]
    public uint Label { get; set; }

    public static Message Of(Sentence sentence)
    {
        var ids = new long[Length];
        int count = Math.Min(Length, sentence.Text.Length);
        for (int i = 0; i < count; i++) ids[Length - count + i] = 1 + (sentence.Text[i] % (Ids - 1));
        return new() { Characters = ids, Label = (uint)Array.IndexOf(SdkStrings.Languages, sentence.Language) };
    }
}
