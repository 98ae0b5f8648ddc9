using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

[TestClass]
public sealed class TransposedConvolutionTests
{
    /// <summary>Strides below, at and above the window, remainders that no tap leads to, dilations with and without a common divisor, cuts beyond the window, room that is added, no images.</summary>
    private static IEnumerable<(ConvolutionShape Shape, bool KeepsAll)> Shapes()
    {
        foreach (var (channels, outputs, groups) in new[] { (1, 1, 1), (3, 17, 1), (5, 33, 1), (16, 50, 1), (6, 9, 3), (8, 8, 8), (64, 40, 2) })
        {
            yield return Of(1, channels, outputs, groups, [5, 6], [2, 2], [2, 2], [1, 1], [0, 0], [0, 0]);
            yield return Of(2, channels, outputs, groups, [5, 4], [3, 3], [2, 1], [1, 2], [1, 0], [0, 2]);
            yield return Of(1, channels, outputs, groups, [4, 3], [4, 4], [2, 2], [1, 1], [1, 1], [1, 1]);
            yield return Of(1, channels, outputs, groups, [3, 4], [2, 1], [3, 2], [1, 1], [0, 0], [-2, -1]);
            yield return Of(2, channels, outputs, groups, [9], [5], [3], [2], [4], [3]);
            yield return Of(1, channels, outputs, groups, [7], [3], [6], [4], [0], [0]);
            yield return Of(1, channels, outputs, groups, [8], [2], [2], [1], [5], [4]);
            yield return Of(1, channels, outputs, groups, [2, 3, 2], [2, 3, 2], [2, 1, 2], [1, 1, 1], [0, 1, 0], [0, 1, 0]);
            yield return Of(0, channels, outputs, groups, [2, 2], [2, 2], [2, 2], [1, 1], [0, 0], [0, 0]);
            yield return Of(2, channels, outputs, groups, [4, 1], [3, 1], [2, 1], [1, 1], [1, 0], [0, 0]);
        }
        yield return Of(1, 64, 32, 1, [20, 20], [4, 4], [2, 2], [1, 1], [1, 1], [1, 1]);
        yield return Of(1, 128, 64, 1, [16, 16], [2, 2], [2, 2], [1, 1], [0, 0], [0, 0]);
    }

    [TestMethod]
    public void EveryKernelGivesTheBytesOfTheDefinition()
    {
        foreach (var (shape, keepsAll) in Shapes())
        {
            // The shape is that of the convolution which it transposes.
            int channels = shape.Outputs, outputs = shape.Channels;
            var random = new Random(channels + shape.Output.Width);
            int zero = random.Next(256);
            using var input = new GuardedMemory<byte>(shape.Images * shape.Output.Count * channels);
            random.NextBytes(input.Span);
            byte[] signed = [.. input.Span.ToArray().Select(c => (byte)(c ^ 0x80))];
            var weights = new sbyte[channels * (outputs / shape.Groups) * shape.Window.Count];
            random.NextBytes(MemoryMarshal.AsBytes(weights.AsSpan()));
            float[] multipliers = [.. Enumerable.Range(0, outputs).Select(_ => 0.003f * random.NextSingle())];
            int[] bias = [.. Enumerable.Range(0, outputs).Select(_ => random.Next(-9999, 9999))];
            long[] sums = NaiveConvolution.TransposedSums(shape, input.Span, zero, weights);
            byte[] codes = [.. sums.Select((s, i) => NaiveInt8.Requantize(s + bias[i % outputs], multipliers[i % outputs], 3, -3, 200))];
            float[] floats = [.. sums.Select((s, i) => NaiveInt8.Scale(s, 0.7f, multipliers[i % outputs], bias[i % outputs]))];
            double work = (double)shape.Output.Count * channels * outputs / shape.Groups * shape.Window.Count * shape.Images;
            foreach (var kernel in Int8KernelTests.AllKernels.Where(k => !k.Name.Contains("emulated", StringComparison.Ordinal) || work < 5e4))
                foreach (int threads in new[] { 1, 2 })
                {
                    byte[] Codes(PixelForm form, byte[] pixels) => Run<byte>(
                        shape, keepsAll, weights, new(form, new(0.7f, zero)), kernel, (w, at) => new RequantizedProduct(w, zero, bias.AsSpan(at, w.N), multipliers.AsSpan(at, w.N), 3, 0, 203, false), pixels, threads);
                    Assert.IsTrue(codes.AsSpan().SequenceEqual(Codes(PixelForm.Codes, input.Span.ToArray())), $"{kernel}, {threads} threads, {shape}");
                    Assert.IsTrue(codes.AsSpan().SequenceEqual(Codes(PixelForm.SignedCodes, signed)), $"{kernel}, s8, {threads} threads, {shape}");
                    float[] real = Run<float>(
                        shape, keepsAll, weights, new(PixelForm.Codes, new(0.7f, zero)), kernel, (w, at) => new FloatProduct(w, multipliers.AsSpan(at, w.N), Array.ConvertAll(bias, b => (float)b).AsSpan(at, w.N)), input.Span.ToArray(), threads);
                    Assert.IsTrue(MemoryMarshal.AsBytes(floats.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(real.AsSpan())), $"{kernel}, float, {shape}");
                }
        }
    }

    /// <param name="images">Images.</param>
    /// <param name="channels">Of the input.</param>
    /// <param name="outputs">Channels of the output.</param>
    /// <param name="groups">Groups.</param>
    /// <param name="input">Extents of the input.</param>
    /// <param name="window">Extents of the kernel.</param>
    /// <param name="strides">Strides.</param>
    /// <param name="dilations">Dilations.</param>
    /// <param name="before">What is cut off before.</param>
    /// <param name="after">What is cut off behind; below 0: added.</param>
    private static (ConvolutionShape, bool) Of(int images, int channels, int outputs, int groups, int[] input, int[] window, int[] strides, int[] dilations, int[] before, int[] after)
    {
        int[] output = [.. input.Select((n, i) => (strides[i] * (n - 1)) + ((window[i] - 1) * dilations[i]) + 1 - before[i] - after[i])];
        bool keepsAll = before.Concat(after).All(p => p == 0);
        return (new(images, outputs, channels, groups, Extents.Of(output), Extents.Of(window), Extents.Of(strides), Extents.Of(dilations), Extents.Of(before, 0), Extents.Of(input)), keepsAll);
    }

    private static T[] Run<T>(
        ConvolutionShape s, bool keepsAll, sbyte[] weights, PixelSource source, Int8Kernel kernel, Func<Int8Weights, int, Int8Product> product, byte[] pixels, int threads) where T : unmanaged
    {
        var convolution = new TransposedConvolution(weights, s.Outputs, s.Channels, s.Groups, s.Window, s.Strides, s.Dilations, source, keepsAll, kernel, product);
        var plan = convolution.For(s.Images, s.Output, s.Pads, s.Input);
        using var input = new GuardedMemory<byte>(pixels.Length);
        pixels.CopyTo(input.Span);
        using var output = new GuardedMemory<T>(s.Images * s.Input.Count * s.Channels);
        using var work = new GuardedMemory<byte>((int)plan.WorkspaceBytes);
        TransposedConvolution.Run(plan, input.Span, MemoryMarshal.AsBytes(output.Span), [0.7f], [source.Parameters.ZeroPoint], work.Span, threads);
        return output.Span.ToArray();
    }
}
