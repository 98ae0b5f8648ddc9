using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>A constant behind DequantizeLinear: real = Scales[c] · Codes, zero points of 0; one scale, or one for each extent of an axis.</summary>
/// <param name="Codes">Int8 for weights, Int32 for a bias.</param>
/// <param name="Scales">Positive and finite.</param>
/// <param name="Name">The initializer that holds the codes, where they stand so in the graph; else null.</param>
internal sealed record QuantizedConstant(Tensor Codes, float[] Scales, string? Name)
{
    /// <summary>s8 codes [matrices · rows, columns] with each matrix turned: [matrices · columns, rows].</summary>
    public sbyte[] Turned(int matrices = 1)
    {
        int rows = Codes.Dims[0] / matrices, columns = Codes.Dims[1];
        var from = Codes.Span<sbyte>();
        var to = new sbyte[from.Length];
        for (int m = 0; m < matrices; m++)
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < columns; j++) to[(((m * columns) + j) * rows) + i] = from[(((m * rows) + i) * columns) + j];
        return to;
    }

    public float ScaleOf(int channel) => Scales[Scales.Length == 1 ? 0 : channel];

    /// <summary>
    /// Weights as s8 codes with zero points of 0. Stored ones may be s8 or u8 with any zero points, of which the codes are cleared: that
    /// is exact where all differences fit s8, which they do for every symmetric scheme.
    /// </summary>
    /// <param name="index">The graph.</param>
    /// <param name="dequantize">What makes the weights, or null.</param>
    /// <param name="axis">The axis of channels.</param>
    /// <param name="reason">Why the result is null.</param>
    public static QuantizedConstant? Weights(GraphIndex index, Node? dequantize, int axis, out string reason)
    {
        if (dequantize is null || index.Constant(dequantize.Inputs[0]) is not { } codes)
        {
            reason = "its weights are not quantized constants";
            return null;
        }
        if (codes.Type is not (ElementType.Int8 or ElementType.UInt8))
        {
            reason = $"its weights have codes of type {codes.Type}, supported: Int8, UInt8";
            return null;
        }
        if (ScalesOf(index, dequantize, codes, axis, out reason) is not { } scales) return null;
        int[]? zeros = ZeroPoints(index, dequantize, scales.Length);
        if (zeros is null)
        {
            reason = "the zero points of its weights do not fit their scales";
            return null;
        }
        if (codes.Type == ElementType.Int8 && zeros.All(z => z == 0)) return new(codes, scales, dequantize.Inputs[0]);
        if (Cleared(codes, zeros, axis) is { } cleared) return new(cleared, scales, null);
        reason = "its weights are asymmetric: less their zero points they leave -128 .. 127";
        return null;
    }

    /// <summary>An int32 constant with zero points of 0, or null.</summary>
    public static QuantizedConstant? Bias(GraphIndex index, Node? dequantize)
    {
        if (dequantize is null || index.Constant(dequantize.Inputs[0]) is not { Type: ElementType.Int32 } codes) return null;
        if (ScalesOf(index, dequantize, codes, 0, out _) is not { } scales || ZeroPoints(index, dequantize, scales.Length) is not { } zeros) return null;
        return zeros.All(z => z == 0) ? new(codes, scales, dequantize.Inputs[0]) : null;
    }

    private static float[]? ScalesOf(GraphIndex index, Node dequantize, Tensor codes, int axis, out string reason)
    {
        reason = "";
        if (index.Constant(dequantize.Inputs[1]) is not { Type: ElementType.Float, Rank: <= 1 } scale || dequantize.Attributes.Get("block_size", 0L) != 0)
        {
            reason = "its scales are not a constant float number or list";
            return null;
        }
        float[] scales = scale.Span<float>().ToArray();
        if (scales.Length == 0 || scales.Any(s => !(float.IsFinite(s) && s > 0))) reason = "a scale is not positive and finite";
        else if (scales.Length > 1)
        {
            long declared = dequantize.Attributes.Get("axis", 1L);
            long actual = declared < 0 ? declared + codes.Rank : declared;
            if (codes.Rank <= axis || actual != axis && codes.Rank > 1) reason = FormattableString.Invariant($"its weights have a scale for each extent of axis {actual}, which is not the output's (axis {axis})");
            else if (scales.Length != codes.Dims[axis]) reason = FormattableString.Invariant($"{scales.Length} scales do not fit {codes.Dims[axis]} channels");
        }
        return reason.Length > 0 ? null : scales;
    }

    /// <summary>As many as scales; null where they are not constant or of another number.</summary>
    private static int[]? ZeroPoints(GraphIndex index, Node dequantize, int count)
    {
        if (dequantize.Input(2) is not { } name) return new int[count];
        int[]? zeros = index.Constant(name) switch
        {
            { Type: ElementType.Int8 } z => Array.ConvertAll(z.Span<sbyte>().ToArray(), x => (int)x),
            { Type: ElementType.UInt8 } z => Array.ConvertAll(z.Span<byte>().ToArray(), x => (int)x),
            { Type: ElementType.Int32 } z => z.Span<int>().ToArray(),
            _ => null,
        };
        return zeros?.Length == count ? zeros : null;
    }

    private static Tensor? Cleared(Tensor codes, int[] zeros, int axis)
    {
        int inner = codes.Dims.Skip(axis + 1).Aggregate(1, (a, b) => a * b), channels = zeros.Length;
        var bytes = codes.Bytes.Span;
        var result = new sbyte[codes.Count];
        for (int i = 0; i < result.Length; i++)
        {
            int code = codes.Type == ElementType.Int8 ? (sbyte)bytes[i] : bytes[i];
            int value = code - zeros[channels == 1 ? 0 : i / inner % channels];
            if (value is < sbyte.MinValue or > sbyte.MaxValue) return null;
            result[i] = (sbyte)value;
        }
        return Tensor.Create(result, codes.Dims);
    }
}
