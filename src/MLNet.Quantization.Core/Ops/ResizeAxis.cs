namespace MLNet.Quantization.Ops;

/// <summary>How Resize finds, for a place along an axis of the result, the elements of the source, and how it weighs them.</summary>
/// <param name="Coordinates">coordinate_transformation_mode.</param>
/// <param name="Mode">nearest, linear or cubic.</param>
/// <param name="Nearest">nearest_mode; before opset 11 <see cref="OldNearest"/>.</param>
/// <param name="CubicA">cubic_coeff_a.</param>
/// <param name="ExcludesOutside">True: what lies outside the source has no weight, instead of being its border.</param>
/// <param name="Antialias">True: where the result is smaller, the filter is as much wider.</param>
/// <remarks>Formulas: the standard's text of Resize, and its reference implementation where the text is silent.</remarks>
internal sealed record ResizeRule(string Coordinates, string Mode, string Nearest, double CubicA, bool ExcludesOutside, bool Antialias)
{
    /// <summary>Of opset 7 to 10: up where the result is smaller, else down.</summary>
    public const string OldNearest = "ceil if smaller";

    /// <summary>The coordinate in the source of place <paramref name="o"/>; NaN where it lies outside and has the extrapolation value.</summary>
    public double Source(in ResizeExtent e, int o)
    {
        switch (Coordinates)
        {
            case "pytorch_half_pixel" when e.Length == 1: return 0;
            case "half_pixel" or "pytorch_half_pixel": return e.Back(o + 0.5) - 0.5;
            case "half_pixel_symmetric": return (e.Input / 2.0 * (1 - (e.Output / e.Length))) + e.Back(o + 0.5) - 0.5;
            case "align_corners": return e.Length == 1 ? 0 : o * (e.Input - 1) / (e.Length - 1);
            case "tf_half_pixel_for_nn": return e.Back(o + 0.5);
            case "tf_crop_and_resize":
                double at = e.Length == 1 ? (e.RoiStart + e.RoiEnd) * (e.Input - 1) / 2 : (e.RoiStart * (e.Input - 1)) + (o * (e.RoiEnd - e.RoiStart) * (e.Input - 1) / (e.Length - 1));
                return at < 0 || at > e.Input - 1 ? double.NaN : at;
            default: return e.Back(o);
        }
    }

    /// <summary>The element that <see cref="Nearest"/> picks for each place, or <see cref="IndexedCopy.Fill"/>.</summary>
    public int[] Indices(in ResizeExtent e)
    {
        var indices = new int[e.Output];
        for (int o = 0; o < indices.Length; o++)
        {
            double x = Source(e, o);
            double element = Nearest switch
            {
                "floor" => Math.Floor(x),
                "ceil" => Math.Ceiling(x),
                "round_prefer_ceil" => Math.Floor(x + 0.5),
                OldNearest => e.Length < e.Input ? Math.Ceiling(x) : Math.Floor(x),
                _ => Math.Ceiling(x - 0.5),
            };
            indices[o] = double.IsNaN(x) ? IndexedCopy.Fill : (int)Math.Clamp(element, 0, e.Input - 1);
        }
        return indices;
    }

    /// <summary>The elements that a place is the weighted sum of; none where it has the extrapolation value.</summary>
    public (int Element, float Weight)[] Taps(in ResizeExtent e, int o)
    {
        double x = Source(e, o), left = Math.Floor(x), ratio = x - left;
        if (double.IsNaN(x)) return [];
        int reach = Mode == "cubic" ? 2 : 1;
        double narrow = Antialias ? Math.Min(1, e.Length / e.Input) : 1;
        int first = (int)Math.Floor(-reach / narrow) + 1, count = 2 - (2 * first);
        var elements = new int[count];
        var weights = new double[count];
        double sum = 0;
        for (int i = 0; i < count; i++)
        {
            double element = left + first + i, distance = Math.Abs(first + i - ratio) * narrow;
            elements[i] = (int)Math.Clamp(element, 0, e.Input - 1);
            weights[i] = ExcludesOutside && element != elements[i] ? 0 : Mode == "cubic" ? Cubic(distance) : Math.Max(0, 1 - distance);
            sum += weights[i];
        }
        return [.. elements.Zip(weights, (element, weight) => (element, (float)(weight / sum))).Where(t => t.Item2 != 0)];
    }

    private double Cubic(double x) => x switch
    {
        <= 1 => (((((CubicA + 2) * x) - (CubicA + 3)) * x) * x) + 1,
        < 2 => (((((CubicA * x) - (5 * CubicA)) * x) + (8 * CubicA)) * x) - (4 * CubicA),
        _ => 0,
    };
}

/// <summary>One axis of a Resize.</summary>
/// <param name="Input">Extent of the source.</param>
/// <param name="Output">Extent of the result.</param>
/// <param name="Scale">Result by source; 0 where the extents say it exactly.</param>
/// <param name="RoiStart">Of tf_crop_and_resize, as part of the source.</param>
/// <param name="RoiEnd">Of tf_crop_and_resize.</param>
internal readonly record struct ResizeExtent(double Input, int Output, double Scale, double RoiStart, double RoiEnd)
{
    /// <summary>The result's extent before it is cut to a whole number.</summary>
    public double Length => Scale == 0 ? Output : Scale * Input;

    public double Back(double o) => Scale == 0 ? o * Input / Output : o / Scale;

    /// <summary>True where every place is the element of the same number.</summary>
    public bool IsKept(string coordinates) => Input == Output && (Scale is 0 or 1) && coordinates is not ("tf_crop_and_resize" or "tf_half_pixel_for_nn");
}
