using System.Numerics;

namespace MLNet.Quantization.Ops;

// Ulyanov, Vedaldi and Lempitsky, "Instance Normalization", 2016; Wu and He, "Group Normalization", 2018. A row is a group of an image.
internal abstract partial class ImageNormalization : IDifferentiable
{
    private const int Inverses = 0, Normalized = 1, Row = 2;

    public ReadOnlySpan<int> LearnedInputs => [1, 2];

    public void Forward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var f = FormOf(node);
        T epsilon = T.CreateChecked(node.Context.Attribute("epsilon", 1e-5f));
        ReadOnlySpan<T> x = node.Input(0).Data, scale = node.Input(1).Data, bias = node.Input(2).Data;
        Span<T> inverses = node.Scratch(Inverses, f.Rows), normalized = node.Scratch(Normalized, x.Length), y = node.Output().Data;
        if (x.IsEmpty) return;
        for (int row = 0; row < f.Rows; row++) inverses[row] = NormalizedRow.Normalize(x.Slice(row * f.Count, f.Count), epsilon, normalized.Slice(row * f.Count, f.Count)).Inverse;
        for (int i = 0; i < f.Planes; i++) Vectors.Line(normalized.Slice(i * f.Plane, f.Plane), T.Zero, scale[f.Parameter(i)], bias[f.Parameter(i)], y.Slice(i * f.Plane, f.Plane));
    }

    public void Backward<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var f = FormOf(node);
        ReadOnlySpan<T> g = node.OutputGradient().Data, scale = node.Input(1).Data, normalized = node.Scratch(Normalized, g.Length);
        Span<T> inverses = node.Scratch(Inverses, f.Rows), h = node.Scratch(Row, f.Count);
        if (g.IsEmpty) return;
        for (int row = 0; row < f.Rows; row++)
        {
            for (int c = 0; c < f.OfGroup; c++)
            {
                int plane = (row * f.OfGroup) + c, parameter = f.Parameter(plane);
                ReadOnlySpan<T> part = g.Slice(plane * f.Plane, f.Plane);
                if (node.InputGradient(1) is { } scales) scales.Data[parameter] += Vectors.Dot(part, normalized.Slice(plane * f.Plane, f.Plane));
                if (node.InputGradient(2) is { } biases) biases.Data[parameter] += Vectors.Sum(part);
                Vectors.Line(part, T.Zero, scale[parameter], T.Zero, h.Slice(c * f.Plane, f.Plane));
            }
            if (node.InputGradient(0) is { } x) NormalizedRow.AddGradient(h, normalized.Slice(row * f.Count, f.Count), inverses[row], x.Data.AsSpan(row * f.Count, f.Count));
        }
    }

    private static Form FormOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T>
    {
        if (node.State is Form known) return known;
        int[] dims = node.Input(0).Dims;
        int channels = dims[1], groups = (int)node.Context.Attribute("num_groups", (long)channels), plane = 1;
        for (int i = 2; i < dims.Length; i++) plane *= dims[i];
        var form = new Form(dims[0] * channels, channels, groups == 0 ? 1 : channels / groups, plane, node.Input(1).Count != channels);
        node.State = form;
        return form;
    }

    /// <param name="Planes">Channels of all images.</param>
    /// <param name="Channels">Of one image.</param>
    /// <param name="OfGroup">Channels of a group.</param>
    /// <param name="Plane">Elements of a channel.</param>
    /// <param name="ByGroup">Whether scale and bias are given by group.</param>
    private sealed record Form(int Planes, int Channels, int OfGroup, int Plane, bool ByGroup)
    {
        /// <summary>Groups of all images.</summary>
        public int Rows => Planes / OfGroup;

        /// <summary>Elements of a group of an image.</summary>
        public int Count => OfGroup * Plane;

        /// <summary>Where a plane's scale and bias stand.</summary>
        public int Parameter(int plane) => ByGroup ? plane % Channels / OfGroup : plane % Channels;
    }
}
