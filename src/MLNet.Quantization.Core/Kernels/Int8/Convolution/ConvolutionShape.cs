namespace MLNet.Quantization.Kernels;

/// <summary>
/// The extents of one convolution: activations [images, depth, height, width, channels], channels last, windows over the three spatial
/// axes; axes that do not exist have extent 1.
/// </summary>
/// <param name="Images">0 or more.</param>
/// <param name="Channels">Of the input, all groups together.</param>
/// <param name="Outputs">Channels of the output.</param>
/// <param name="Groups">Divides both.</param>
/// <param name="Input">Spatial extents of the input.</param>
/// <param name="Window">Extents of the kernel.</param>
/// <param name="Strides">1 or more.</param>
/// <param name="Dilations">1 or more.</param>
/// <param name="Pads">Before the first element of each axis; below 0 where windows begin behind it.</param>
/// <param name="Output">Spatial extents of the output; what pads lie behind the input follows from them.</param>
internal sealed record ConvolutionShape(
    int Images, int Channels, int Outputs, int Groups, Extents Input, Extents Window, Extents Strides, Extents Dilations, Extents Pads, Extents Output)
{
    /// <summary>Where the outputs lie in an image that has more of them; null: they are the whole image.</summary>
    public Placement? Placement { get; init; }

    public int GroupChannels => Channels / Groups;

    public int GroupOutputs => Outputs / Groups;

    /// <summary>Spatial extents that the windows reach over: of the input with its pads, but for what no window reads.</summary>
    public Extents Padded => new(Reach(Output.Depth, Strides.Depth, Window.Depth, Dilations.Depth), Reach(Output.Height, Strides.Height, Window.Height, Dilations.Height), Reach(Output.Width, Strides.Width, Window.Width, Dilations.Width));

    /// <summary>True where windows read nothing but the input itself.</summary>
    public bool IsWithinInput => Pads == default && Padded.Depth <= Input.Depth && Padded.Height <= Input.Height && Padded.Width <= Input.Width;

    /// <summary>Multiply-adds of one image.</summary>
    public double Work => (double)Output.Count * Outputs * GroupChannels * Window.Count;

    /// <summary>
    /// The same convolution with its spatial axes as far back as they go: where windows and images are one pixel wide, lines lie along the
    /// axis before.
    /// </summary>
    public ConvolutionShape WidthFirst()
    {
        var shape = this;
        for (int i = 0; i < 2 && Placement is null && shape.Input.Width == 1 && shape.Window.Width == 1 && shape.Pads.Width == 0 && shape.Output.Width == 1; i++)
            shape = shape with
            {
                Input = Back(shape.Input),
                Window = Back(shape.Window),
                Strides = Back(shape.Strides),
                Dilations = Back(shape.Dilations),
                Output = Back(shape.Output),
                Pads = new(0, shape.Pads.Depth, shape.Pads.Height),
            };
        return shape;
    }

    private static Extents Back(Extents e) => new(1, e.Depth, e.Height);

    private static int Reach(int outputs, int stride, int window, int dilation) => outputs == 0 ? 0 : checked(((outputs - 1) * stride) + ((window - 1) * dilation) + 1);
}

/// <summary>Outputs of a convolution as part of an image: every so many pixels along each axis.</summary>
/// <param name="Image">Extents of the image.</param>
/// <param name="First">Where the first output is.</param>
/// <param name="Steps">From one output to the next.</param>
internal sealed record Placement(Extents Image, Extents First, Extents Steps);

/// <summary>One number for each of three spatial axes.</summary>
internal readonly record struct Extents(int Depth, int Height, int Width)
{
    public static Extents One { get; } = new(1, 1, 1);

    public int Count => checked(Depth * Height * Width);

    /// <summary>Up to three numbers, the last for the width; what is missing is <paramref name="absent"/>.</summary>
    public static Extents Of(ReadOnlySpan<int> values, int absent = 1) => values.Length switch
    {
        0 => new(absent, absent, absent),
        1 => new(absent, absent, values[0]),
        2 => new(absent, values[0], values[1]),
        3 => new(values[0], values[1], values[2]),
        _ => throw new ArgumentException($"{values.Length} spatial axes, supported are up to 3.", nameof(values)),
    };
}
