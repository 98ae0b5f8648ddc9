using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Operators that only rearrange, select or repeat elements, so that they do the same to codes as to what the codes stand for. A maximum is
/// a selection, since quantizing keeps the order; what Pad adds is a code too.
/// </summary>
internal static class Movement
{
    /// <summary>Where the standard's Pad has its value.</summary>
    private const int FillInput = 2;

    private static readonly ImmutableHashSet<string> OfFirstInput = ImmutableHashSet.Create(
        StringComparer.Ordinal, "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Slice", "Gather", "Expand", "Tile", "MaxPool", "GlobalMaxPool",
        "DepthToSpace", "SpaceToDepth");

    public static bool Is(GraphIndex index, Node node) => node.Domain.Length == 0 && HasData(node) && node.OpType switch
    {
        "Concat" => true,
        // Before operator set 11 Pad has attributes only, and one element type.
        "Pad" => node.Inputs.Length > 1 && (!FillsWithValue(node) || node.Input(FillInput) is not { } fill || index.Constant(fill) is { Count: 1, Type: ElementType.Float or ElementType.UInt8 or ElementType.Int8 }),
        "Resize" => ModeOf(node) == "nearest" && !Extrapolates(node),
        _ => OfFirstInput.Contains(node.OpType),
    };

    /// <summary>MaxPool may tell the places of what it selects beside it: these are the same for codes.</summary>
    private static bool HasData(Node node) => node.Outputs.Length == 1 || node.OpType == "MaxPool" && node.Outputs[0].Length > 0;

    /// <summary>True for Resize where elements are weighted sums of neighbours.</summary>
    public static bool Interpolates(Node node) => node is { Domain: "", OpType: "Resize", Outputs: [_] } && ModeOf(node) is "linear" or "cubic" && !Extrapolates(node);

    /// <summary>Of a Resize or Pad.</summary>
    public static string ModeOf(Node node) => node.Attributes.Get("mode", node.OpType == "Pad" ? "constant" : "nearest");

    /// <summary>How many of the inputs, from the first on, are what is moved; the others say how.</summary>
    public static int DataInputs(Node node) => node.OpType == "Concat" ? node.Inputs.Length : 1;

    /// <summary>True where what the node adds to its data is the value of a code, so that dequantizing may follow it instead of going before.</summary>
    public static bool AddsCodes(GraphIndex index, Node node, CodeParameters codes) =>
        node.OpType != "Pad" || !FillsWithValue(node) || FillOf(index, node) is { } fill && BitConverter.SingleToInt32Bits(fill) == BitConverter.SingleToInt32Bits(Quantizer.Value(CodeOf(fill, codes), codes.Affine));

    /// <summary>The node on codes of these parameters instead of on float32.</summary>
    public static Node OnCodes(GraphIndex index, GraphPatch patch, Node node, IReadOnlyList<string> data, string output, CodeParameters codes)
    {
        var inputs = node.Inputs.Skip(data.Count);
        if (node.OpType == "Pad")
        {
            string fill = "";
            if (FillsWithValue(node) && FillOf(index, node) is { } value)
            {
                int code = CodeOf(value, codes);
                patch.SetInitializer(fill = patch.NewName($"{node.DisplayName}_code"), codes.Type == ElementType.Int8 ? Tensor.Scalar((sbyte)code) : Tensor.Scalar((byte)code));
            }
            inputs = node.Input(3) is { } axes ? [node.Inputs[1], fill, axes] : fill.Length == 0 ? [node.Inputs[1]] : [node.Inputs[1], fill];
        }
        return node with { Inputs = [.. data, .. inputs], Outputs = node.Outputs.SetItem(0, output) };
    }

    private static bool FillsWithValue(Node pad) => ModeOf(pad) == "constant";

    /// <summary>The number that a Pad of float32 adds; null where it adds something else.</summary>
    private static float? FillOf(GraphIndex index, Node pad) =>
        pad.Input(FillInput) is not { } name ? 0 : index.Constant(name) is { Type: ElementType.Float, Count: 1 } fill ? fill.Span<float>()[0] : null;

    private static int CodeOf(float value, CodeParameters codes) => Quantizer.Code(value, codes.Affine, codes.Grid);

    private static bool Extrapolates(Node resize) => resize.Attributes.Get("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize";
}
