using Microsoft.ML.Data;

namespace MLNet.Quantization.Tests;

/// <summary>Pictures as planes of float32, channels first.</summary>
internal static class Photographs
{
    /// <summary>A row for ML.NET: the pixels of one picture.</summary>
    internal sealed class Row
    {
        public float[] Pixels { get; set; } = [];
    }

    /// <summary>Planes of blue, green and red, 0 to 255 less the mean of each; the picture has the size already.</summary>
    public static float[] BlueGreenRed(string path, float blue, float green, float red)
    {
        using var image = MLImage.CreateFromFile(path);
        int plane = image.Width * image.Height;
        var values = new float[3 * plane];
        var (b, g, r) = Offsets(image);
        for (int i = 0; i < plane; i++)
        {
            values[i] = image.Pixels[(4 * i) + b] - blue;
            values[plane + i] = image.Pixels[(4 * i) + g] - green;
            values[(2 * plane) + i] = image.Pixels[(4 * i) + r] - red;
        }
        return values;
    }

    /// <summary>Planes of red, green and blue, (x - 127) / 128, of the picture drawn to another size: the mean of the pixels that fall to each.</summary>
    public static float[] RedGreenBlue(string path, int width, int height)
    {
        using var image = MLImage.CreateFromFile(path);
        var values = new float[3 * width * height];
        var (b, g, r) = Offsets(image);
        int[] channels = [r, g, b];
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
            {
                int left = x * image.Width / width, right = Math.Max(left + 1, (x + 1) * image.Width / width);
                int top = y * image.Height / height, bottom = Math.Max(top + 1, (y + 1) * image.Height / height);
                for (int c = 0; c < 3; c++)
                {
                    long sum = 0;
                    for (int v = top; v < bottom; v++)
                        for (int u = left; u < right; u++) sum += image.Pixels[(4 * ((v * image.Width) + u)) + channels[c]];
                    values[(((c * height) + y) * width) + x] = (((float)sum / ((right - left) * (bottom - top))) - 127) / 128;
                }
            }
        return values;
    }

    private static (int Blue, int Green, int Red) Offsets(MLImage image) => image.PixelFormat switch
    {
        MLPixelFormat.Bgra32 => (0, 1, 2),
        MLPixelFormat.Rgba32 => (2, 1, 0),
        _ => throw new NotSupportedException($"{image.PixelFormat}"),
    };
}
