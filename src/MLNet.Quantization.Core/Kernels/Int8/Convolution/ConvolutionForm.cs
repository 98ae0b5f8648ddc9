namespace MLNet.Quantization.Kernels;

/// <summary>
/// The weights of a convolution as products over windows of so many neighbouring outputs. With several, the columns of the one product are
/// the outputs of the first pixel, then those of the next, which is how they lie in memory: outputs fewer than a vector has lanes fill it.
/// </summary>
/// <param name="Products">One a group, over weights that <see cref="PixelLayout.Arrange"/> has ordered.</param>
/// <param name="Layout">Of the pixels.</param>
/// <param name="Pixels">Neighbouring outputs of one row.</param>
internal sealed record ConvolutionForm(Int8Product[] Products, PixelLayout Layout, int Pixels)
{
    private const int MostPixels = 8, MostVectors = 4;

    /// <summary>In products of one vector: the broadcast of a group of activations, and what becomes of a vector of sums.</summary>
    private const double BroadcastTime = 0.25, OutputTime = 4;

    /// <summary>Of the time without, that several pixels a row have to stay below.</summary>
    private const double Worthwhile = 0.9;

    /// <summary>One output a row.</summary>
    /// <param name="kernel">Of the products.</param>
    /// <param name="weights">s8 [outputs, channels / groups, window].</param>
    /// <param name="channels">Of the input.</param>
    /// <param name="outputs">Of all groups.</param>
    /// <param name="groups">Divides both.</param>
    /// <param name="window">Extents of the window.</param>
    /// <param name="dilation">Along the width.</param>
    /// <param name="inPlace">Pixels are read where they are.</param>
    /// <param name="product">The product of packed weights whose first output is so many.</param>
    public static ConvolutionForm Of(
        Int8Kernel kernel, ReadOnlySpan<sbyte> weights, int channels, int outputs, int groups, Extents window, int dilation, bool inPlace, Func<Int8Weights, int, Int8Product> product)
    {
        var layout = PixelLayout.For(kernel, channels, groups, window.Width, dilation, inPlace);
        var products = new Int8Product[groups];
        int count = weights.Length / groups, each = outputs / groups;
        for (int g = 0; g < groups; g++)
        {
            sbyte[] arranged = layout.Arrange(weights.Slice(g * count, count), each, channels / groups, window);
            products[g] = product(Int8Gemm.Pack(arranged, layout.Segments(window) * layout.SegmentLength, each, transposed: false, kernel), g * each);
        }
        return new(products, layout, 1);
    }

    /// <summary>Several outputs a row, of one group, without dilation along the width: parameters as of <see cref="Of"/>.</summary>
    /// <param name="kernel">Of the products.</param>
    /// <param name="weights">s8 [outputs, channels, window].</param>
    /// <param name="channels">Of the input.</param>
    /// <param name="outputs">Of one pixel.</param>
    /// <param name="window">Of one output.</param>
    /// <param name="stride">Along the width.</param>
    /// <param name="pixels">Of a row.</param>
    /// <param name="inPlace">Pixels are read where they are.</param>
    /// <param name="product">The product of packed weights of [pixels, outputs] columns.</param>
    public static ConvolutionForm Wide(
        Int8Kernel kernel, ReadOnlySpan<sbyte> weights, int channels, int outputs, Extents window, int stride, int pixels, bool inPlace, Func<Int8Weights, Int8Product> product)
    {
        var wide = window with { Width = window.Width + ((pixels - 1) * stride) };
        var shifted = new sbyte[checked(pixels * outputs * channels * wide.Count)];
        int lines = outputs * channels * window.Depth * window.Height;
        for (int p = 0; p < pixels; p++)
            for (int line = 0; line < lines; line++)
                weights.Slice(line * window.Width, window.Width).CopyTo(shifted.AsSpan((((p * lines) + line) * wide.Width) + (p * stride)));
        return Of(kernel, shifted, channels, pixels * outputs, 1, wide, 1, inPlace, (w, _) => product(w)) with { Pixels = pixels };
    }

    /// <summary>How many outputs a row are fastest for a convolution of one group without dilation along the width.</summary>
    /// <param name="kernel">Of the products.</param>
    /// <param name="channels">Of the input.</param>
    /// <param name="outputs">Of one pixel.</param>
    /// <param name="window">Of one output.</param>
    /// <param name="stride">Along the width.</param>
    /// <param name="inPlace">Pixels are read where they are.</param>
    public static int BestPixels(Int8Kernel kernel, int channels, int outputs, Extents window, int stride, bool inPlace)
    {
        if (window.Width == 1) return 1;
        int best = 1;
        double least = Time(1) * Worthwhile;
        for (int pixels = 2; pixels <= MostPixels && pixels * outputs <= MostVectors * kernel.Lanes; pixels++)
            if (Time(pixels) < least) (best, least) = (pixels, Time(pixels));
        return best;

        double Time(int pixels)
        {
            var wide = window with { Width = window.Width + ((pixels - 1) * stride) };
            var layout = PixelLayout.For(kernel, channels, 1, wide.Width, 1, inPlace);
            // Without neighbours in one segment each pixel between the windows would be a segment of zeros.
            if (layout.RunPixels != wide.Width || (long)layout.Segments(wide) * layout.SegmentLength > Int8Product.MaxExactK) return double.PositiveInfinity;
            int vectors = ((pixels * outputs) + kernel.Lanes - 1) / kernel.Lanes;
            double groups = (double)layout.Segments(wide) * layout.SegmentLength / kernel.GroupSize;
            return ((groups * (vectors + BroadcastTime)) + (vectors * OutputTime)) / pixels;
        }
    }
}
