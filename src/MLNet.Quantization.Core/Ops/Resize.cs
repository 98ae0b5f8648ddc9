using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// x with other extents along some axes: each place is the nearest element (any element type), or a weighted sum of elements around it
/// (mode linear or cubic, float32). Scales must be constant; sizes may follow from shapes.
/// </summary>
internal class Resize : Operator
{
    public override string OpType => "Resize";

    public override ValueFact[] Infer(OpContext context)
    {
        var rule = RuleOf(context);
        var x = Source(context, rule);
        if (x.Type.SizeOf() == 0) throw context.Unsupported($"input 0 ('{context.Node.Inputs[0]}') is {x.Type}, supported are types of a fixed size");
        if (IsGiven(context, SizesInput(context)) == (IsGiven(context, ScalesInput(context)) || HasScalesAttribute(context))) throw context.Malformed("either scales or sizes must be given");
        var type = ResultType(context, x.Type);
        if (x.Shape is not { } shape) return [new(type, null)];
        var dims = shape.Dims.ToArray();
        int[] axes = AxesOf(context, shape.Rank);
        if (IsGiven(context, SizesInput(context))) SetSizes(context, shape, axes, dims);
        else if (ScalesOf(context, axes.Length) is { } scales)
            for (int i = 0; i < axes.Length; i++) dims[axes[i]] = Scaled(context, dims[axes[i]], scales[i]);
        else foreach (int axis in axes) dims[axis] = Dimension.Unknown;
        for (int i = 0; i < dims.Length; i++)
            if (shape[i].IsKnown && shape[i].Value == 0 && dims[i].IsKnown && dims[i].Value != 0) throw context.Malformed($"axis {i} has no elements to make {dims[i]} of");
        return [new(type, new(dims))];
    }

    /// <summary>The input, of a type that is supported.</summary>
    protected virtual ValueFact Source(OpContext context, ResizeRule rule) =>
        rule.Mode == "nearest" && rule.Coordinates != "tf_crop_and_resize" ? context.Input(0) : context.Input(0, ElementType.Float);

    protected virtual ElementType ResultType(OpContext context, ElementType source) => source;

    private static Dimension Scaled(OpContext context, Dimension d, float scale)
    {
        if (!d.IsKnown) return scale == 1 ? d : Dimension.Unknown;
        float product = MathF.Floor(scale * d.Value);
        return product < int.MaxValue ? (long)product : throw context.Malformed($"an axis of {d} elements times {scale} is too large");
    }

    private static void SetSizes(OpContext context, TensorShape x, int[] axes, Dimension[] dims)
    {
        var fact = context.Input(SizesInput(context));
        if (fact.Type != ElementType.Int64) throw context.Malformed($"the sizes are {fact.Type}, expected Int64");
        if (fact.Shape is { } given && (given.Rank != 1 || given[0].IsKnown && given[0].Value != axes.Length)) throw context.Malformed($"the sizes have shape {given}, expected [{axes.Length}]");
        var sizes = fact.Value is { } value ? Array.ConvertAll(value.ToInt64s(), ShapeEntry.Of) : ShapeEntry.AllOf(fact);
        for (int i = 0; i < axes.Length; i++) dims[axes[i]] = sizes is null ? Dimension.Unknown : Size(context, sizes[i]);
        if (Policy(context) == "stretch") return;
        if (AspectScale(context, x, axes, dims) is { } scale)
            foreach (int axis in axes) dims[axis] = (long)((scale * x[axis].Value) + 0.5);
        else foreach (int axis in axes) dims[axis] = Dimension.Unknown;
    }

    private static Dimension Size(OpContext context, ShapeEntry entry) =>
        entry.Number is not { } number ? entry.Extent : number is >= 0 and <= int.MaxValue ? number : throw context.Malformed($"a size is {number}");

    /// <summary>The one scale of all axes that keeps to the sizes; null where not all extents are known.</summary>
    private static double? AspectScale(OpContext context, TensorShape x, int[] axes, IReadOnlyList<Dimension> sizes)
    {
        if (axes.Any(a => !x[a].IsKnown || x[a].Value == 0 || !sizes[a].IsKnown)) return null;
        var scales = axes.Select(a => (double)sizes[a].Value / x[a].Value);
        return Policy(context) == "not_larger" ? scales.Min() : scales.Max();
    }

    private static string Policy(OpContext context)
    {
        string policy = context.Opset >= 18 ? context.Attribute("keep_aspect_ratio_policy", "stretch") : "stretch";
        return policy is "stretch" or "not_larger" or "not_smaller" ? policy : throw context.Malformed($"keep_aspect_ratio_policy is '{policy}', expected stretch, not_larger or not_smaller");
    }

    private static int[] AxesOf(OpContext context, int rank)
    {
        if (context.Opset < 18 || !context.Node.Attributes.Contains("axes")) return [.. Enumerable.Range(0, rank)];
        int[] axes = [.. context.Attribute("axes", ImmutableArray<long>.Empty).Select(a => context.Axis(a, rank))];
        return axes.Distinct().Count() == axes.Length ? axes : throw context.Malformed($"axes [{string.Join(',', axes)}] name one twice");
    }

    private static int ScalesInput(OpContext context) => context.Opset < 11 ? 1 : 2;

    /// <summary>An input that no node has, where there are no sizes yet.</summary>
    private static int SizesInput(OpContext context) => context.Opset < 11 ? int.MaxValue : 3;

    private static bool HasScalesAttribute(OpContext context) => context.Opset < 9;

    /// <summary>False for an omitted input, and for one with no elements, which stands for that too.</summary>
    private static bool IsGiven(OpContext context, int input) => context.Optional(input) is { } fact && fact.Shape is not { IsKnown: true, ElementCount: 0 };

    /// <summary>Null where they are not known yet.</summary>
    private static float[]? ScalesOf(OpContext context, int count)
    {
        float[] scales;
        if (HasScalesAttribute(context)) scales = [.. context.Attribute("scales", ImmutableArray<float>.Empty)];
        else if (context.Input(ScalesInput(context), ElementType.Float).Value is { } value) scales = value.Span<float>().ToArray();
        else return null;
        if (scales.Length != count) throw context.Malformed($"{scales.Length} scales do not go with {count} axes");
        return scales.All(s => s > 0 && float.IsFinite(s)) ? scales : throw context.Malformed($"scales [{string.Join(',', scales)}] are not all above 0 and finite");
    }

    protected static ResizeRule RuleOf(OpContext context)
    {
        string mode = context.Attribute("mode", "nearest"), coordinates = context.Opset < 11 ? "asymmetric" : context.Attribute("coordinate_transformation_mode", "half_pixel");
        string nearest = context.Opset < 11 ? ResizeRule.OldNearest : context.Attribute("nearest_mode", "round_prefer_floor");
        if (mode is not ("nearest" or "linear" or "cubic")) throw context.Malformed($"mode is '{mode}', expected nearest, linear or cubic");
        if (coordinates is not ("half_pixel" or "half_pixel_symmetric" or "pytorch_half_pixel" or "align_corners" or "asymmetric" or "tf_half_pixel_for_nn" or "tf_crop_and_resize"))
            throw context.Malformed($"coordinate_transformation_mode is '{coordinates}', which the standard does not have");
        if (nearest is not ("round_prefer_floor" or "round_prefer_ceil" or "floor" or "ceil" or ResizeRule.OldNearest)) throw context.Malformed($"nearest_mode is '{nearest}', which the standard does not have");
        return new(coordinates, mode, nearest, context.Attribute("cubic_coeff_a", -0.75f), context.Attribute("exclude_outside", 0L) != 0, context.Attribute("antialias", 0L) != 0);
    }

    public override Step Prepare(PrepareContext context) => new ResizeStep(context, RuleOf(context));

    private sealed class ResizeStep(PrepareContext node, ResizeRule rule) : Step
    {
        private readonly float _extrapolation = node.Attribute("extrapolation_value", 0f);

        private readonly byte[] _fill = BitConverter.GetBytes(node.Attribute("extrapolation_value", 0f));

        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            TensorLayout x = inputs[0]!, y = outputs[0]!;
            if (y.Count == 0) return StepPlan.Empty;
            var extents = ExtentsOf(node, rule, x, y);
            if (rule.Mode == "nearest")
                return new(0, new IndexedCopy(x.Dims, [.. extents.Select((e, i) => e is { } extent ? rule.Indices(extent) : Enumerable.Range(0, x.Dims[i]).ToArray())], x.Type.SizeOf()));
            var interpolation = new Interpolation(x.Dims, TapsOf(rule, extents));
            return new(interpolation.WorkspaceBytes, interpolation);
        }

        public override void Run(in StepContext context)
        {
            if (context.State is IndexedCopy copy) copy.Run(context.Input<byte>(0), _fill, context.Output<byte>(0));
            else if (context.State is Interpolation sums) sums.Run(context.Input<float>(0), context.Output<float>(0), context.Workspace, _extrapolation);
        }
    }

    /// <summary>By axis; null where it stays as it is.</summary>
    protected static ResizeExtent?[] ExtentsOf(PrepareContext node, ResizeRule rule, TensorLayout x, TensorLayout y)
    {
        int[] axes = AxesOf(node, x.Rank);
        float[]? scales = IsGiven(node, SizesInput(node)) ? null : ScalesOf(node, axes.Length) ?? throw node.Unsupported("scales are computed; supported: constant ones");
        double aspect = scales is not null || Policy(node) == "stretch" ? 0
            : AspectScale(node, x.Shape, axes, SizesOf(node, axes, x.Rank)) ?? throw node.Unsupported("sizes that keep the aspect ratio are computed; supported: constant ones");
        float[] roi = RoiOf(node, rule, axes.Length);
        var extents = new ResizeExtent?[x.Rank];
        for (int i = 0; i < axes.Length; i++)
        {
            int axis = axes[i];
            var extent = new ResizeExtent(x.Dims[axis], y.Dims[axis], scales?[i] ?? aspect, roi[i], roi[i + axes.Length]);
            if (!extent.IsKept(rule.Coordinates)) extents[axis] = extent;
        }
        return extents;
    }

    private static Dimension[] SizesOf(PrepareContext node, int[] axes, int rank)
    {
        var sizes = new Dimension[rank];
        if (node.Constant(SizesInput(node)) is not { } value) return sizes;
        for (int i = 0; i < axes.Length; i++) sizes[axes[i]] = value.ToInt64s()[i];
        return sizes;
    }

    private static float[] RoiOf(PrepareContext node, ResizeRule rule, int axes)
    {
        if (rule.Coordinates != "tf_crop_and_resize") return [.. Enumerable.Repeat(0f, axes), .. Enumerable.Repeat(1f, axes)];
        node.Input(1, ElementType.Float);
        float[] roi = node.Constant(1) is { } value ? value.Span<float>().ToArray() : throw node.Unsupported("the region of tf_crop_and_resize is computed; supported: a constant one");
        return roi.Length == 2 * axes ? roi : throw node.Malformed($"the region has {roi.Length} elements, expected {2 * axes}");
    }

    /// <summary>By axis and place; null where an axis stays as it is.</summary>
    protected static (int Element, float Weight)[]?[]?[] TapsOf(ResizeRule rule, ResizeExtent?[] extents) =>
        [.. extents.Select(e => e is { } extent ? Enumerable.Range(0, extent.Output).Select(o => rule.Taps(extent, o)).ToArray() : null)];
}

/// <summary>What Resize was called before opset 10: scales as an attribute, from opset 9 on as an input.</summary>
internal sealed class Upsample : Resize
{
    public override string OpType => "Upsample";
}
