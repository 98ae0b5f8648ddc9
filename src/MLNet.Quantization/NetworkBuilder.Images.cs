using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization;

public sealed partial class NetworkBuilder
{
    /// <summary>Of the value so far, where it is an image.</summary>
    private ImageSize? _image;

    private readonly record struct ImageSize(int Channels, int Height, int Width)
    {
        public int Count => checked(Channels * Height * Width);
    }

    /// <summary>Starts with images: float32 [N, channels, height, width], channel by channel and line by line in the column.</summary>
    /// <param name="channels">1 or more.</param>
    /// <param name="height">1 or more.</param>
    /// <param name="width">1 or more.</param>
    /// <param name="inputName">The input's name, and its column unless bound otherwise.</param>
    /// <param name="seed">Of the random weights: the same seed gives the same network everywhere.</param>
    public static NetworkBuilder Image(int channels, int height, int width, string inputName = "input", int seed = 1)
    {
        var image = new ImageSize(AtLeastOne(channels, nameof(channels)), AtLeastOne(height, nameof(height)), AtLeastOne(width, nameof(width)));
        return new(inputName, ElementType.Float, image.Count, null, seed, image);
    }

    /// <summary>
    /// A convolution, padded so that its output has ⌈height / stride⌉ lines of ⌈width / stride⌉. Random weights, uniform within
    /// ±√(6 / inputs of a sum) (He et al., "Delving Deep into Rectifiers", 2015); bias 0.
    /// </summary>
    /// <param name="filters">Channels of the output; 1 or more.</param>
    /// <param name="kernelSize">Height and width of the window; 1 or more.</param>
    /// <param name="stride">Pixels from window to window; 1 or more.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give images.</exception>
    public NetworkBuilder Conv2D(int filters, int kernelSize, int stride = 1) => Convolution("Conv2D", AtLeastOne(filters, nameof(filters)), kernelSize, stride, groups: 1);

    /// <summary>A convolution of each channel by itself, otherwise as <see cref="Conv2D"/>.</summary>
    /// <param name="kernelSize">Height and width of the window; 1 or more.</param>
    /// <param name="stride">Pixels from window to window; 1 or more.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give images.</exception>
    public NetworkBuilder DepthwiseConv2D(int kernelSize, int stride = 1)
    {
        int channels = RequireImage("DepthwiseConv2D").Channels;
        return Convolution("DepthwiseConv2D", channels, kernelSize, stride, channels);
    }

    /// <summary>
    /// y = (x - mean) / √(variance + 1e-5) · scale + bias by channel of an image, or by element of a vector (Ioffe and Szegedy, 2015). Scale is 1, bias
    /// 0, mean 0 and variance 1 until it is trained.
    /// </summary>
    /// <exception cref="InvalidOperationException">The layer below gives sequences.</exception>
    public NetworkBuilder BatchNormalization()
    {
        RequireNumbers("BatchNormalization");
        if (_steps is not null) throw new InvalidOperationException("BatchNormalization needs images or vectors, and the layer below gives sequences.");
        int channels = _image?.Channels ?? _size;
        string name = NameOf("BatchNormalization");
        string[] parts = ["scale", "bias", "mean", "variance"];
        for (int i = 0; i < parts.Length; i++)
        {
            var values = new float[channels];
            Array.Fill(values, i is 0 or 3 ? 1f : 0f);
            _constants[$"{name}_{parts[i]}"] = Tensor.Create(values, channels);
        }
        return Add("BatchNormalization", name, [.. parts.Select(p => $"{name}_{p}")]);
    }

    /// <summary>The greatest of each square of pixels; what does not fill one is left out.</summary>
    /// <param name="size">Side of a square; 1 or more.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give images, or smaller ones.</exception>
    public NetworkBuilder MaxPool2D(int size) => Pool("MaxPool", size);

    /// <summary>The mean of each square of pixels; what does not fill one is left out.</summary>
    /// <param name="size">Side of a square; 1 or more.</param>
    /// <exception cref="InvalidOperationException">The layer below does not give images, or smaller ones.</exception>
    public NetworkBuilder AveragePool2D(int size) => Pool("AveragePool", size);

    /// <summary>The mean of each channel of an image, or of each value over the steps of a sequence: both become vectors.</summary>
    /// <exception cref="InvalidOperationException">The layer below gives vectors or ids.</exception>
    public NetworkBuilder GlobalAveragePool() => GlobalPool("GlobalAveragePool");

    /// <summary>The greatest of each channel of an image, or of each value over the steps of a sequence: both become vectors.</summary>
    /// <exception cref="InvalidOperationException">The layer below gives vectors or ids.</exception>
    public NetworkBuilder GlobalMaxPool() => GlobalPool("GlobalMaxPool");

    /// <summary>Images become vectors, channel by channel and line by line.</summary>
    /// <exception cref="InvalidOperationException">The layer below does not give images.</exception>
    public NetworkBuilder Flatten() => ToVectors(RequireImage("Flatten").Count);

    private NetworkBuilder GlobalPool(string op)
    {
        RequireNumbers(op);
        if (_image is null && _steps is null) throw new InvalidOperationException($"{op} needs images or sequences, and the layer below gives vectors.");
        if (_steps is not null) Add("Transpose", $"{NameOf(op)}_steps_last", attributes: Permutation(0, 2, 1));
        Add(op);
        return ToVectors(_image?.Channels ?? _size);
    }

    private NetworkBuilder ToVectors(int size)
    {
        Add("Flatten");
        _image = null;
        _steps = null;
        _size = size;
        return this;
    }

    private NetworkBuilder Convolution(string layer, int filters, int kernelSize, int stride, int groups)
    {
        var image = RequireImage(layer);
        ArgumentOutOfRangeException.ThrowIfLessThan(kernelSize, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(stride, 1);
        int inputs = checked(image.Channels / groups * kernelSize * kernelSize);
        string name = $"{(groups > 1 ? "depthwise" : "conv")}{_nodes.Count(n => n.OpType == "Conv") + 1}";
        _constants[$"{name}_weights"] = Tensor.Create(Uniform(checked(filters * inputs), Math.Sqrt(6.0 / inputs)), filters, image.Channels / groups, kernelSize, kernelSize);
        _constants[$"{name}_bias"] = Tensor.Create(new float[filters], filters);
        var attributes = AttributeMap.Empty.With("kernel_shape", Square(kernelSize)).With("strides", Square(stride)).With("auto_pad", "SAME_UPPER");
        Add("Conv", name, [$"{name}_weights", $"{name}_bias"], groups > 1 ? attributes.With("group", groups) : attributes);
        return Resize(new(filters, (image.Height + stride - 1) / stride, (image.Width + stride - 1) / stride));
    }

    private NetworkBuilder Pool(string op, int size)
    {
        var image = RequireImage(op);
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        if (image.Height < size || image.Width < size) throw new InvalidOperationException($"{op} over {size} x {size} pixels does not fit images of {image.Height} x {image.Width}.");
        Add(op, attributes: AttributeMap.Empty.With("kernel_shape", Square(size)).With("strides", Square(size)));
        return Resize(image with { Height = image.Height / size, Width = image.Width / size });
    }

    private NetworkBuilder Resize(ImageSize image)
    {
        _image = image;
        _size = image.Count;
        return this;
    }

    private static ImmutableArray<long> Square(int side) => ImmutableArray.Create<long>(side, side);

    private ImageSize RequireImage(string layer) =>
        _image ?? throw new InvalidOperationException($"{layer} needs images: the network begins with NetworkBuilder.Image, and the layers below keep them.");

    private NetworkBuilder RequireNoImage(string layer)
    {
        RequireNumbers(layer);
        return _image is null ? this : throw new InvalidOperationException($"{layer} needs vectors or sequences, and the layer below gives images: Flatten or GlobalAveragePool comes first.");
    }
}
