using SkiaSharp;

namespace ImageClassificationSample;

/// <summary>One picture of many, each with what FP32 and INT8 say it shows; where they disagree first, green where right, red where not.</summary>
internal static class ContactSheet
{
    private const int Columns = 8, Rows = 5, Cell = 170, Photo = 150, Line = 15;

    public static void Write(string path, string folder, List<Picture> pictures, int[] before, int[] after, Dictionary<int, string> names)
    {
        int height = Photo + (3 * Line) + 12;
        using var surface = SKSurface.Create(new SKImageInfo(Columns * Cell, Rows * height));
        var canvas = surface.Canvas;
        canvas.Clear(SKColors.White);
        int[] order = [.. Enumerable.Range(0, pictures.Count).OrderByDescending(i => before[i] != after[i]).Take(Columns * Rows)];
        for (int place = 0; place < order.Length; place++)
        {
            int i = order[place], x = (place % Columns * Cell) + 10, y = (place / Columns * height) + 6;
            using var photo = SKBitmap.Decode(Path.Combine(folder, pictures[i].File));
            canvas.DrawBitmap(photo, new SKRect(x, y, x + Photo, y + Photo));
            Text(canvas, pictures[i].Name, x, y + Photo + Line, SKColors.Black);
            Text(canvas, $"FP32: {Name(before[i])}", x, y + Photo + (2 * Line), before[i] == pictures[i].Class ? SKColors.Green : SKColors.Firebrick);
            Text(canvas, $"INT8: {Name(after[i])}", x, y + Photo + (3 * Line), after[i] == pictures[i].Class ? SKColors.Green : SKColors.Firebrick);
        }
        using var image = surface.Snapshot();
        using var bytes = image.Encode(SKEncodedImageFormat.Png, 90);
        File.WriteAllBytes(path, bytes.ToArray());

        string Name(int number) => names.TryGetValue(number, out string? name) ? name : $"class {number}";
    }

    private static void Text(SKCanvas canvas, string text, int x, int y, SKColor colour)
    {
        using var paint = new SKPaint { Color = colour, TextSize = 12, IsAntialias = true };
        while (text.Length > 1 && paint.MeasureText(text) > Photo) text = text[..^1];
        canvas.DrawText(text, x, y, paint);
    }
}
