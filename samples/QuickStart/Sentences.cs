namespace QuickStart;

/// <summary>A few sentences, one for each language, that no SDK message is.</summary>
internal static class Sentences
{
    public static readonly string[] All =
    [
        "Vlak do Brna odjíždí z druhého nástupiště.",
        "Der Zug nach Hamburg fährt heute von Gleis sieben ab.",
        "Mañana vamos a la playa si deja de llover.",
        "Je voudrais deux croissants et un café, s'il vous plaît.",
        "La biblioteca chiude alle sei di sera.",
        "明日の朝、駅の前で会いましょう。",
        "오늘 저녁에는 비가 올 것 같아요.",
        "Babcia upiekła ciasto ze śliwkami.",
        "A menina esqueceu o guarda-chuva na escola.",
        "Завтра мы поедем на дачу к друзьям.",
        "Çocuklar bahçede top oynuyor.",
        "我们下个星期去北京看朋友。",
        "我們下個星期去臺北看朋友。",
    ];
}
