namespace MLNet.Quantization.Kernels;

/// <summary>
/// An INT8 transposed convolution: outputs whose place leaves the same remainder by the strides are a phase, to which only some taps
/// lead, and a phase is an ordinary convolution of stride 1 with those taps, turned around. Its outputs are put where they belong in the
/// image, so that no sum is ever scattered. The sums are those of <see cref="NaiveConvolution.TransposedSums"/>. Immutable.
/// </summary>
internal sealed class TransposedConvolution
{
    /// <summary>Each is a convolution with weights of its own.</summary>
    public const int MostPhases = 4096;

    private readonly int _channels, _outputs, _groups;
    private readonly Extents _strides;
    private readonly Phase[] _phases;

    /// <param name="weights">s8 [channels, outputs of a group, window], as ONNX has them.</param>
    /// <param name="channels">Of the input, all groups together.</param>
    /// <param name="outputs">Channels of the output.</param>
    /// <param name="groups">Divides both.</param>
    /// <param name="window">Extents of the kernel.</param>
    /// <param name="strides">1 or more.</param>
    /// <param name="dilations">1 or more.</param>
    /// <param name="source">What is read.</param>
    /// <param name="keepsInPlace">No output is cut off or added, so that windows of one pixel stay within the input.</param>
    /// <param name="kernel">Of the products.</param>
    /// <param name="product">The product of packed weights whose first output is so many.</param>
    public TransposedConvolution(
        ReadOnlySpan<sbyte> weights, int channels, int outputs, int groups, Extents window, Extents strides, Extents dilations, PixelSource source, bool keepsInPlace, Int8Kernel kernel,
        Func<Int8Weights, int, Int8Product> product)
    {
        (_channels, _outputs, _groups, _strides) = (channels, outputs, groups, strides);
        bool inPlace = keepsInPlace && IsOnePixel(window.Depth, strides.Depth, dilations.Depth) && IsOnePixel(window.Height, strides.Height, dilations.Height)
            && IsOnePixel(window.Width, strides.Width, dilations.Width) && Int8Convolution.CanReadInPlace(kernel, source.Form, channels, groups);
        _phases = new Phase[strides.Count];
        for (int i = 0; i < _phases.Length; i++)
        {
            var depth = PhaseAxis.Of(i / strides.Width / strides.Height, window.Depth, strides.Depth, dilations.Depth);
            var height = PhaseAxis.Of(i / strides.Width % strides.Height, window.Height, strides.Height, dilations.Height);
            var width = PhaseAxis.Of(i % strides.Width, window.Width, strides.Width, dilations.Width);
            var taps = new Extents(depth.Taps, height.Taps, width.Taps);
            var form = ConvolutionForm.Of(kernel, PhaseOf(weights, window, depth, height, width), channels, outputs, groups, taps, width.Dilation, inPlace, product);
            _phases[i] = new(depth, height, width, new([form], source, inPlace));
        }
    }

    private static bool IsOnePixel(int window, int stride, int dilation) => (window - 1L) * dilation < stride;

    /// <summary>The weights that lead to a phase: [outputs, channels of the group, taps].</summary>
    private sbyte[] PhaseOf(ReadOnlySpan<sbyte> weights, Extents window, PhaseAxis depth, PhaseAxis height, PhaseAxis width)
    {
        int channels = _channels / _groups, outputs = _outputs / _groups, at = 0;
        var part = new sbyte[_outputs * channels * depth.Taps * height.Taps * width.Taps];
        // A phase that no tap leads to has one with weights of 0.
        if (depth.IsEmpty || height.IsEmpty || width.IsEmpty) return part;
        for (int f = 0; f < _outputs; f++)
            for (int c = 0; c < channels; c++)
                for (int d = 0; d < depth.Taps; d++)
                    for (int h = 0; h < height.Taps; h++)
                        for (int w = 0; w < width.Taps; w++)
                        {
                            long row = ((((long)(f / outputs) * channels) + c) * outputs) + (f % outputs);
                            part[at++] = weights[(int)((((((row * window.Depth) + depth.TapAt(d)) * window.Height) + height.TapAt(h)) * window.Width) + width.TapAt(w))];
                        }
        return part;
    }

    /// <summary>What depends on shapes alone; for <see cref="Run"/>.</summary>
    /// <param name="images">0 or more.</param>
    /// <param name="input">Spatial extents.</param>
    /// <param name="before">What is cut off before the first output of each axis.</param>
    /// <param name="output">Spatial extents of what is kept.</param>
    public Plan For(int images, Extents input, Extents before, Extents output)
    {
        var parts = new List<(Int8Convolution, Int8Convolution.Plan)>();
        foreach (var phase in _phases)
        {
            var depth = phase.Depth.At(before.Depth, output.Depth, _strides.Depth);
            var height = phase.Height.At(before.Height, output.Height, _strides.Height);
            var width = phase.Width.At(before.Width, output.Width, _strides.Width);
            if (depth.Count == 0 || height.Count == 0 || width.Count == 0) continue;
            var shape = new ConvolutionShape(
                images, _channels, _outputs, _groups, input, new(phase.Depth.Taps, phase.Height.Taps, phase.Width.Taps), Extents.One, new(phase.Depth.Dilation, phase.Height.Dilation, phase.Width.Dilation),
                new(depth.Pad, height.Pad, width.Pad), new(depth.Count, height.Count, width.Count))
            {
                Placement = new(output, new(depth.First, height.First, width.First), _strides),
            };
            parts.Add((phase.Convolution, phase.Convolution.For(shape)));
        }
        return new(images, [.. parts]);
    }

    /// <summary>Arguments are those of <see cref="Int8Convolution.Run"/>.</summary>
    public static void Run(Plan plan, ReadOnlySpan<byte> input, Span<byte> output, ReadOnlySpan<float> rowScales, ReadOnlySpan<int> rowZeroPoints, Span<byte> workspace, int maxThreads)
    {
        foreach (var (convolution, part) in plan.Parts) convolution.Run(part, input, output, rowScales, rowZeroPoints, workspace, maxThreads);
    }

    /// <summary>At fixed extents. Immutable.</summary>
    internal sealed record Plan(int Images, (Int8Convolution Convolution, Int8Convolution.Plan Plan)[] Parts)
    {
        public long WorkspaceBytes { get; } = Parts.Length == 0 ? 0 : Parts.Max(p => p.Plan.WorkspaceBytes);
    }

    private sealed record Phase(PhaseAxis Depth, PhaseAxis Height, PhaseAxis Width, Int8Convolution Convolution);

    /// <summary>
    /// One axis of a phase. Output q of the full image gets x[i] · w[k] where q = stride · i + dilation · k. With q = stride · j + remainder
    /// this is i = j + (remainder - dilation · k) / stride, of which the taps that make a whole number count: every so many, in
    /// descending order so that i ascends.
    /// </summary>
    /// <param name="Remainder">q modulo stride.</param>
    /// <param name="Taps">1 or more.</param>
    /// <param name="IsEmpty">True where no tap leads there.</param>
    /// <param name="Last">The greatest k.</param>
    /// <param name="Step">From one k to the next.</param>
    /// <param name="Dilation">From one i to the next.</param>
    /// <param name="Shift">i - j of the first.</param>
    private readonly record struct PhaseAxis(int Remainder, int Taps, bool IsEmpty, int Last, int Step, int Dilation, int Shift)
    {
        public static PhaseAxis Of(int remainder, int window, int stride, int dilation)
        {
            int divisor = (int)System.Numerics.BigInteger.GreatestCommonDivisor(stride, dilation), step = stride / divisor, first = 0;
            while (first < Math.Min(step, window) && (long)first * dilation % stride != remainder) first++;
            if (first >= Math.Min(step, window)) return new(remainder, 1, true, 0, 1, 1, 0);
            int taps = ((window - 1 - first) / step) + 1, last = first + ((taps - 1) * step);
            return new(remainder, taps, false, last, step, dilation / divisor, (int)((remainder - ((long)last * dilation)) / stride));
        }

        public int TapAt(int index) => Last - (index * Step);

        /// <summary>The first output of what is kept, how many there are, and what the convolution pads.</summary>
        public (int First, int Count, int Pad) At(int before, int output, int stride)
        {
            int j = before <= Remainder ? 0 : (int)(((long)before - Remainder + stride - 1) / stride);
            long first = Remainder - (long)before + ((long)stride * j);
            return first >= output ? default : ((int)first, (int)((output - 1 - first) / stride) + 1, -(j + Shift));
        }
    }
}
