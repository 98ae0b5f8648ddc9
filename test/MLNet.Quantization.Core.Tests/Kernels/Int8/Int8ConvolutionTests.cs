using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Tests.Kernels;

[TestClass]
public sealed class Int8ConvolutionTests
{
    /// <summary>Hostile extents: windows wider than the image, one channel, channels off the group, lines shorter than a tile, none at all.</summary>
    internal static IEnumerable<ConvolutionShape> Shapes()
    {
        foreach (var (channels, outputs, groups) in new[] { (1, 1, 1), (3, 17, 1), (4, 64, 1), (5, 33, 1), (16, 50, 1), (6, 9, 3), (8, 8, 8), (64, 130, 2), (512, 20, 1) })
        {
            yield return Of(1, channels, outputs, groups, [7, 9], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]);
            yield return Of(2, channels, outputs, groups, [6, 5], [2, 3], [2, 1], [1, 2], [0, 1], [1, 3]);
            yield return Of(3, channels, outputs, groups, [4, 4], [1, 1], [2, 2], [1, 1], [0, 0], [0, 0]);
            yield return Of(1, channels, outputs, groups, [70], [5], [1], [1], [4], [0]);
            yield return Of(2, channels, outputs, groups, [3, 4, 5], [2, 2, 2], [1, 2, 1], [1, 1, 2], [1, 0, 1], [0, 1, 0]);
            yield return Of(5, channels, outputs, groups, [1, 1], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]);
            yield return Of(0, channels, outputs, groups, [2, 2], [1, 2], [1, 1], [1, 1], [0, 0], [0, 0]);
        }
        yield return Of(1, 32, 96, 1, [40, 40], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]);
        yield return Of(1, 256, 256, 1, [7, 7], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]);
        yield return Of(2, 16, 20, 1, [30, 1], [5, 1], [2, 1], [1, 1], [2, 0], [1, 0]);
        yield return Of(1, 8, 20, 1, [9, 8, 1], [3, 3, 1], [1, 2, 1], [2, 1, 1], [1, 1, 0], [1, 2, 0]);
        yield return Of(1, 64, 48, 1, [900], [5], [1], [1], [2], [2]);
    }

    [TestMethod]
    public void EveryKernelGivesTheBytesOfTheDefinition()
    {
        foreach (var shape in Shapes())
        {
            var random = new Random(shape.Channels + shape.Input.Width);
            int zero = random.Next(256), count = shape.Images * shape.Input.Count * shape.Channels;
            using var input = new GuardedMemory<byte>(count);
            random.NextBytes(input.Span);
            var weights = new sbyte[shape.Outputs * shape.GroupChannels * shape.Window.Count];
            random.NextBytes(MemoryMarshal.AsBytes(weights.AsSpan()));
            float[] multipliers = [.. Enumerable.Range(0, shape.Outputs).Select(_ => 0.003f * random.NextSingle())];
            int[] bias = [.. Enumerable.Range(0, shape.Outputs).Select(_ => random.Next(-9999, 9999))];
            long[] sums = NaiveConvolution.Sums(shape, input.Span, zero, weights);
            byte[] codes = [.. sums.Select((s, i) => NaiveInt8.Requantize(s + bias[i % shape.Outputs], multipliers[i % shape.Outputs], 3, -3, 200))];
            float[] floats = [.. sums.Select((s, i) => NaiveInt8.Scale(s, 0.7f, multipliers[i % shape.Outputs], bias[i % shape.Outputs]))];
            foreach (var kernel in KernelsFor(shape))
            {
                foreach (bool inPlace in shape.IsWithinInput && Int8Convolution.CanReadInPlace(kernel, PixelForm.Codes, shape.Channels, shape.Groups) ? new[] { false, true } : [false])
                {
                    var source = new PixelSource(PixelForm.Codes, new(0.7f, zero));
                    var found = Run<byte>(Make(kernel, shape, weights, source, inPlace, (w, at) => new RequantizedProduct(w, zero, bias.AsSpan(at, w.N), multipliers.AsSpan(at, w.N), 3, 0, 203, false)), shape, input.Span, 1);
                    Assert.IsTrue(codes.AsSpan().SequenceEqual(found), $"{kernel}, in place: {inPlace}, {shape}");
                    found = Run<byte>(Make(kernel, shape, weights, source, inPlace, (w, at) => new RequantizedProduct(w, zero, bias.AsSpan(at, w.N), multipliers.AsSpan(at, w.N), 3, 0, 203, false)), shape, input.Span, 0);
                    Assert.IsTrue(codes.AsSpan().SequenceEqual(found), $"{kernel}, in place: {inPlace}, threads, {shape}");
                    var real = Run<float>(Make(kernel, shape, weights, source, inPlace, (w, at) => new FloatProduct(w, multipliers.AsSpan(at, w.N), Array.ConvertAll(bias, b => (float)b).AsSpan(at, w.N))), shape, input.Span, 1, 0.7f, zero);
                    Assert.IsTrue(MemoryMarshal.AsBytes(floats.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(real.AsSpan())), $"{kernel}, float, {shape}");
                }
            }
        }
    }

    [TestMethod]
    public void SignedCodesAndFloatChannelsAreReadAsTheirCodes()
    {
        foreach (var shape in Shapes().Where(s => s.Images > 0))
        {
            var random = new Random(shape.Channels);
            var parameters = new AffineParameters(0.01f, 130);
            int pixels = shape.Images * shape.Input.Count;
            var floats = new float[pixels * shape.Channels];
            for (int i = 0; i < floats.Length; i++) floats[i] = (random.NextSingle() - 0.5f) * 3;
            byte[] codes = new byte[floats.Length], signed = new byte[floats.Length];
            for (int image = 0; image < shape.Images; image++)
                for (int c = 0; c < shape.Channels; c++)
                    for (int p = 0; p < shape.Input.Count; p++)
                    {
                        int to = (((image * shape.Input.Count) + p) * shape.Channels) + c;
                        codes[to] = (byte)Quantizer.Code(floats[(((image * shape.Channels) + c) * shape.Input.Count) + p], parameters, CodeGrid.UInt8);
                        signed[to] = (byte)(codes[to] ^ 0x80);
                    }
            var weights = new sbyte[shape.Outputs * shape.GroupChannels * shape.Window.Count];
            random.NextBytes(MemoryMarshal.AsBytes(weights.AsSpan()));
            int[] expected = [.. NaiveConvolution.Sums(shape, codes, parameters.ZeroPoint, weights).Select(s => (int)s)];
            foreach (var kernel in KernelsFor(shape))
                foreach (int threads in new[] { 1, 2 })
                {
                    Int8Convolution Convolution(PixelForm form) => Make(kernel, shape, weights, new(form, parameters), false, (w, _) => new Int32Product(w, parameters.ZeroPoint, []));
                    CollectionAssert.AreEqual(expected, Run<int>(Convolution(PixelForm.SignedCodes), shape, signed, threads), $"{kernel}, s8, {shape}");
                    CollectionAssert.AreEqual(expected, Run<int>(Convolution(PixelForm.FloatChannelsFirst), shape, MemoryMarshal.AsBytes(floats.AsSpan()), threads), $"{kernel}, float, {shape}");
                }
        }
    }

    private static IEnumerable<ConvolutionShape> DepthwiseShapes(int channels)
    {
        ConvolutionShape Deep(int images, int[] input, int[] window, int[] strides, int[] dilations, int[] pads, int[] padsEnd) => Of(images, channels, channels, channels, input, window, strides, dilations, pads, padsEnd);
        return
        [
            Deep(1, [9, 11], [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]), Deep(3, [6, 5], [2, 3], [2, 2], [1, 2], [0, 1], [1, 3]),
            Deep(1, [40], [5], [1], [2], [4], [0]), Deep(2, [1, 1], [5, 5], [1, 1], [1, 1], [2, 2], [2, 2]),
            Deep(0, [4, 4], [1, 1], [1, 1], [1, 1], [0, 0], [0, 0]), Deep(2, [60, 50], [3, 3], [2, 2], [1, 1], [0, 0], [1, 1]),
            Deep(2, [2, 40], [5, 5], [1, 1], [1, 1], [2, 2], [2, 2]), Deep(1, [13, 30], [5, 3], [1, 2], [2, 1], [4, 1], [4, 1]),
            // A window of the padding alone, one wider than registers hold, one that takes only every third column.
            Deep(1, [3, 4], [2, 1], [1, 1], [1, 1], [3, 0], [2, 0]), Deep(1, [5, 33], [4, 16], [1, 1], [3, 1], [9, 8], [0, 7]), Deep(1, [4, 50], [4, 2], [3, 3], [1, 1], [0, 0], [0, 0]),
        ];
    }

    [TestMethod]
    public void DepthwiseOnEveryWidthGivesTheBytesOfTheDefinition()
    {
        foreach (int channels in new[] { 1, 2, 3, 4, 8, 16, 17, 24, 32, 33, 64, 100 })
            foreach (var shape in DepthwiseShapes(channels))
            {
                var random = new Random(channels);
                int zero = random.Next(256), count = shape.Images * shape.Input.Count * channels;
                using var input = new GuardedMemory<byte>(count);
                random.NextBytes(input.Span);
                var weights = new sbyte[channels * shape.Window.Count];
                random.NextBytes(MemoryMarshal.AsBytes(weights.AsSpan()));
                float[] multipliers = [.. Enumerable.Range(0, channels).Select(_ => 0.03f * random.NextSingle())];
                int[] bias = [.. Enumerable.Range(0, channels).Select(_ => random.Next(-9999, 9999))];
                byte[] expected = [.. NaiveConvolution.Sums(shape, input.Span, zero, weights).Select((s, i) => NaiveInt8.Requantize(s + bias[i % channels], multipliers[i % channels], -5, -120, 125))];
                var kernels = Int8KernelTests.AllKernels.Where(k => QuadDepthwise.Fits(k, PixelForm.Codes, shape.Window, shape.Dilations.Height));
                foreach (var (bits, tiles) in new[] { 0, 128, 256, 512 }.Select(b => (b, (Int8Kernel?)null)).Concat(kernels.Select(k => (512, (Int8Kernel?)k))))
                    foreach (int threads in new[] { 1, 2 })
                    {
                        var convolution = new DepthwiseConvolution(weights, channels, new(PixelForm.Codes, new(1, zero)), new(bias, multipliers, -5, -125, 120), shape.Strides.Width, bits, tiles);
                        string what = $"{bits} bits, {tiles}, {threads} threads, {shape}";
                        AssertGives(expected, convolution, shape, input.Span, threads, what);
                        for (int i = 0; i < count; i++) input.Span[i] ^= 0x80;
                        convolution = new DepthwiseConvolution(weights, channels, new(PixelForm.SignedCodes, new(1, zero)), new(bias, multipliers, -5, -125, 120), shape.Strides.Width, bits, tiles);
                        AssertGives(expected, convolution, shape, input.Span, threads, $"s8, {what}");
                        for (int i = 0; i < count; i++) input.Span[i] ^= 0x80;
                    }
            }

        static void AssertGives(byte[] expected, DepthwiseConvolution convolution, ConvolutionShape shape, ReadOnlySpan<byte> input, int threads, string what)
        {
            var plan = convolution.For(shape);
            using var output = new GuardedMemory<byte>(expected.Length);
            using var work = new GuardedMemory<byte>((int)plan.WorkspaceBytes);
            convolution.Run(plan, input, output.Span, work.Span, threads);
            Assert.IsTrue(expected.AsSpan().SequenceEqual(output.Span), what);
        }
    }

    [TestMethod]
    public void BytesAreTransposed()
    {
        foreach (var (rows, columns) in new[] { (0, 3), (1, 5), (3, 50), (4, 64), (16, 16), (17, 33), (70, 100) })
            foreach (int stride in new[] { rows, rows + 1, 4 }.Where(s => s >= rows))
            {
                byte[] from = new byte[rows * columns], to = new byte[columns * stride];
                new Random(rows).NextBytes(from);
                unsafe
                {
                    fixed (byte* f = from, t = to) ByteTranspose.Run(f, rows, columns, columns, t, stride);
                }
                for (int r = 0; r < rows; r++)
                    for (int c = 0; c < columns; c++) Assert.AreEqual(from[(r * columns) + c], to[(c * stride) + r]);
            }
    }

    /// <summary>Instructions that are spelled out element by element would take minutes on the larger shapes.</summary>
    private static IEnumerable<Int8Kernel> KernelsFor(ConvolutionShape shape) =>
        Int8KernelTests.AllKernels.Where(k => !k.Name.Contains("emulated", StringComparison.Ordinal) || shape.Work * shape.Images < 2e5);

    private static ConvolutionShape Of(int images, int channels, int outputs, int groups, int[] input, int[] window, int[] strides, int[] dilations, int[] pads, int[] padsEnd)
    {
        var output = input.Select((extent, i) => Math.Max(0, ((extent + pads[i] + padsEnd[i] - ((window[i] - 1) * dilations[i]) - 1) / strides[i]) + 1)).ToArray();
        return new(images, channels, outputs, groups, Extents.Of(input), Extents.Of(window), Extents.Of(strides), Extents.Of(dilations), Extents.Of([.. Enumerable.Repeat(0, 3 - input.Length), .. pads]), Extents.Of(output));
    }

    private static Int8Convolution Make(Int8Kernel kernel, ConvolutionShape s, sbyte[] weights, PixelSource source, bool inPlace, Func<Int8Weights, int, Int8Product> product) =>
        new([ConvolutionForm.Of(kernel, weights, s.Channels, s.Outputs, s.Groups, s.Window, s.Dilations.Width, inPlace, product)], source, inPlace);

    /// <summary>Lines of outputs shorter than a row, as long, a little longer; with the remainder that is computed twice on the last pixel of the input.</summary>
    private static IEnumerable<ConvolutionShape> WideShapes()
    {
        foreach (var (channels, outputs) in new[] { (1, 8), (1, 3), (3, 5), (4, 16), (7, 1) })
        {
            yield return Of(1, channels, outputs, 1, [6, 28], [5, 5], [1, 1], [1, 1], [2, 2], [2, 2]);
            yield return Of(2, channels, outputs, 1, [5, 9], [3, 4], [2, 1], [2, 1], [0, 0], [0, 0]);
            yield return Of(1, channels, outputs, 1, [7, 11], [3, 2], [1, 3], [1, 1], [1, 1], [1, 2]);
            yield return Of(1, channels, outputs, 1, [120], [3], [2], [1], [0], [3]);
            yield return Of(3, channels, outputs, 1, [2, 3, 4], [2, 1, 2], [1, 2, 1], [1, 1, 1], [1, 0, 0], [0, 1, 0]);
            yield return Of(1, channels, outputs, 1, [3, 2], [2, 2], [1, 1], [1, 1], [0, 0], [0, 0]);
        }
    }

    [TestMethod]
    public void RowsOfSeveralOutputsGiveTheBytesOfTheDefinition()
    {
        foreach (var shape in WideShapes())
        {
            var random = new Random(shape.Channels);
            using var input = new GuardedMemory<byte>(shape.Images * shape.Input.Count * shape.Channels);
            random.NextBytes(input.Span);
            var weights = new sbyte[shape.Outputs * shape.Channels * shape.Window.Count];
            random.NextBytes(MemoryMarshal.AsBytes(weights.AsSpan()));
            int[] expected = [.. NaiveConvolution.Sums(shape, input.Span, 77, weights).Select(s => (int)s)];
            var source = new PixelSource(PixelForm.Codes, new(1, 77));
            foreach (var kernel in KernelsFor(shape))
                foreach (bool inPlace in shape.IsWithinInput && Int8Convolution.CanReadInPlace(kernel, PixelForm.Codes, shape.Channels, 1) ? new[] { false, true } : [false])
                    foreach (int pixels in new[] { 2, 3, 8 })
                        foreach (int threads in new[] { 1, 2 })
                        {
                            var wide = ConvolutionForm.Wide(kernel, weights, shape.Channels, shape.Outputs, shape.Window, shape.Strides.Width, pixels, inPlace, w => new Int32Product(w, 77, []));
                            var narrow = ConvolutionForm.Of(kernel, weights, shape.Channels, shape.Outputs, 1, shape.Window, 1, inPlace, (w, _) => new Int32Product(w, 77, []));
                            CollectionAssert.AreEqual(expected, Run<int>(new([wide, narrow], source, inPlace), shape, input.Span, threads), $"{kernel}, {pixels} pixels, in place: {inPlace}, {threads} threads, {shape}");
                        }
        }
    }

    [TestMethod]
    public void FewOutputsTakeAsManyPixelsAsFillTheirVectors()
    {
        var kernel = new WindowsVnniKernel();
        Assert.AreEqual(4, ConvolutionForm.BestPixels(kernel, 1, 8, new(1, 5, 5), 1, inPlace: false));
        Assert.AreEqual(1, ConvolutionForm.BestPixels(kernel, 3, 16, new(1, 3, 3), 1, inPlace: false));
        Assert.AreEqual(1, ConvolutionForm.BestPixels(kernel, 64, 64, new(1, 3, 3), 1, inPlace: false));
        Assert.AreEqual(1, ConvolutionForm.BestPixels(kernel, 8, 4, new(1, 3, 1), 1, inPlace: false));
    }

    private static T[] Run<T>(Int8Convolution convolution, ConvolutionShape s, ReadOnlySpan<byte> input, int threads, float scale = 1, int? zero = null) where T : unmanaged
    {
        var plan = convolution.For(s);
        using var output = new GuardedMemory<T>(s.Images * s.Output.Count * s.Outputs);
        using var work = new GuardedMemory<byte>((int)plan.WorkspaceBytes);
        convolution.Run(plan, input, MemoryMarshal.AsBytes(output.Span), [scale], zero is { } z ? [z] : [], work.Span, threads);
        return output.Span.ToArray();
    }
}
