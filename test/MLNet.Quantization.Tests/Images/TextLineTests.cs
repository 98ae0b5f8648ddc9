using MLNet.Quantization.Execution;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;
using SkiaSharp;

namespace MLNet.Quantization.Tests;

/// <summary>Lines of text that the test draws, upright and upside down: INT8 decides on each as the float model does.</summary>
[TestClass]
public sealed class TextLineTests
{
    private const int Height = 48, Width = 192, Count = 3 * Height * Width;

    public required TestContext TestContext { get; set; }

    [TestMethod]
    public void TheDirectionOfALineIsDecidedAsInFloat()
    {
        var model = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model("ppocr_cls_mobilenetv3")));
        if (Draw("Sample", 20, false, false).Distinct().Count() < 3) Assert.Inconclusive("There is no font here: the lines would be empty.");
        var session = new CalibrationSession(model, CalibrationOptions.Default);
        string[] words = ["Invoice", "Total", "amount due", "Hello world", "Station 12", "2026-11-24", "No. 48151623", "quantize", "The quick brown fox", "Kilometre", "Exit", "platform 9"];
        int row = 0;
        foreach (var (text, size, bold) in Lines(words)) foreach (bool turned in new[] { false, true }) Observe(session, Draw(text, size, bold, turned), row++);
        Program int8 = QuantizationRecipe.QuantizeStatic(model, session.Finish()).Compile(), real = Program.Compile(model.Graph);

        int upright = 0, apart = 0, lines = 0;
        double signal = 0, noise = 0;
        foreach (var (text, size, bold) in Lines(["Receipt", "Tuesday", "price 12.50", "Good morning", "Gate B7", "31 December", "serial 007", "vectorized", "jumps over the dog", "Millilitre", "Entrance", "track 4"]))
            foreach (bool turned in new[] { false, true })
            {
                float[] pixels = Draw(text, size, bold, turned), expected = Score(real, pixels), found = Score(int8, pixels);
                lines++;
                if (expected[0] > expected[1]) upright++;
                if (expected[0] > expected[1] != found[0] > found[1])
                {
                    apart++;
                    TestContext.WriteLine($"'{text}', {size}, bold: {bold}, turned: {turned}: {expected[0]:F3} in float, {found[0]:F3} in INT8");
                }
                for (int i = 0; i < 2; i++)
                {
                    signal += (double)expected[i] * expected[i];
                    noise += ((double)expected[i] - found[i]) * ((double)expected[i] - found[i]);
                }
            }
        TestContext.WriteLine(FormattableString.Invariant($"{lines} lines, {upright} upright in float; {apart} decided otherwise; SQNR {10 * Math.Log10(signal / noise):F1} dB"));
        Assert.AreEqual(0, apart);
    }

    private static IEnumerable<(string Text, int Size, bool Bold)> Lines(string[] texts) =>
        texts.SelectMany((text, i) => new[] { (text, 18 + (i % 4 * 4), false), (text, 30 - (i % 3 * 4), true) });

    /// <summary>Planes of blue, green and red, (v / 255 - 0.5) / 0.5.</summary>
    private static float[] Draw(string text, int size, bool bold, bool turned)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(Width, Height, SKColorType.Bgra8888, SKAlphaType.Opaque));
        using var canvas = new SKCanvas(bitmap);
        using var typeface = SKTypeface.FromFamilyName(null, bold ? SKFontStyle.Bold : SKFontStyle.Normal);
        using var paint = new SKPaint { Color = new SKColor(20, 20, 60), TextSize = size, IsAntialias = true, Typeface = typeface };
        canvas.Clear(new SKColor(245, 240, 230));
        if (turned) canvas.RotateDegrees(180, Width / 2f, Height / 2f);
        canvas.DrawText(text, 6, (Height + size) / 2f - 4, paint);
        canvas.Flush();
        var bytes = bitmap.GetPixelSpan();
        var planes = new float[Count];
        for (int i = 0; i < Height * Width; i++)
            for (int c = 0; c < 3; c++) planes[(c * Height * Width) + i] = ((bytes[(4 * i) + c] / 255f) - 0.5f) / 0.5f;
        return planes;
    }

    private static void Observe(CalibrationSession session, float[] pixels, int row)
    {
        using var run = session.Program.Rent([1, 3, Height, Width]);
        pixels.CopyTo(run.Input<float>(0));
        session.Observe(run, row);
    }

    private static float[] Score(Program program, float[] pixels)
    {
        using var run = program.Rent([1, 3, Height, Width]);
        pixels.CopyTo(run.Input<float>(0));
        run.Execute();
        return run.Output<float>(0).ToArray();
    }
}
