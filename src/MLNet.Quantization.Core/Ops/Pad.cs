using System.Collections.Immutable;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// x with elements added before and after each axis, or, where a pad is negative, taken away first. What is added is a value (mode
/// constant), the mirror image without the border (reflect), the border (edge) or the other end (wrap). Any element type.
/// </summary>
internal sealed partial class Pad : Operator
{
    public override string OpType => "Pad";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Type.SizeOf() == 0) throw context.Unsupported($"input 0 ('{context.Node.Inputs[0]}') is {x.Type}, supported are types of a fixed size");
        if (context.Opset < 11 && x.Type != ElementType.Float) context.Input(0, ElementType.Float);
        if (context.Opset >= 11 && context.Optional(2) is { } value && (value.Type != x.Type || value.Shape is { IsKnown: true, ElementCount: not 1 }))
            throw context.Malformed($"the value '{context.Node.Inputs[2]}' is {value}, expected one {x.Type}");
        string mode = Mode(context);
        if (mode is not ("constant" or "reflect" or "edge" or "wrap")) throw context.Malformed($"mode is '{mode}', expected constant, reflect, edge or wrap");
        if (x.Shape is not { } shape) return [new(x.Type, null)];
        var dims = new Dimension[shape.Rank];
        if (!IsOpen(context))
        {
            var pads = PadsOf(context, shape.Rank);
            for (int i = 0; i < dims.Length; i++)
                dims[i] = pads[i] == default ? shape[i] : shape[i].IsKnown ? Count(context, i, pads[i], shape[i].Value, mode) : Dimension.Unknown;
        }
        return [new(x.Type, new(dims))];
    }

    private static bool IsOpen(OpContext context) => context.Opset >= 11 && (ShapeRules.IsOpen(context, 1) || context.Opset >= 18 && ShapeRules.IsOpen(context, 3));

    private static string Mode(OpContext context) => context.Attribute("mode", "constant");

    private static (long Before, long After)[] PadsOf(OpContext context, int rank)
    {
        long[] pads = context.Opset < 11 ? [.. context.Attribute("pads", ImmutableArray<long>.Empty)] : ShapeRules.Integers(context, 1, context.Input(1));
        long[] axes = (context.Opset >= 18 ? ShapeRules.Axes(context, "axes", 3, 18) : null) ?? [.. Enumerable.Range(0, rank).Select(i => (long)i)];
        if (pads.Length != 2 * axes.Length) throw context.Malformed($"{pads.Length} pads do not go with {axes.Length} axes, expected {2 * axes.Length}");
        if (pads.Any(p => Math.Abs(p) > int.MaxValue / 4)) throw context.Malformed($"pads [{string.Join(',', pads)}] are too large");
        var result = new (long Before, long After)[rank];
        var named = new HashSet<int>();
        for (int i = 0; i < axes.Length; i++)
        {
            int axis = context.Axis(axes[i], rank);
            if (!named.Add(axis)) throw context.Malformed($"axes [{string.Join(',', axes)}] name one twice");
            result[axis] = (pads[i], pads[i + axes.Length]);
        }
        return result;
    }

    /// <summary>The result's extent along an axis.</summary>
    private static long Count(OpContext context, int axis, (long Before, long After) pad, long extent, string mode)
    {
        long kept = Kept(pad, extent), count = kept + Math.Max(0, pad.Before) + Math.Max(0, pad.After);
        if (kept < 0) throw context.Malformed($"pads {pad.Before} and {pad.After} take more from axis {axis} than its {extent} elements");
        if (kept == 0 && count > 0 && mode != "constant") throw context.Malformed($"mode {mode} pads axis {axis}, of which no element is there");
        return count;
    }

    /// <summary>Elements of x that are left.</summary>
    private static long Kept((long Before, long After) pad, long extent) => extent + Math.Min(0, pad.Before) + Math.Min(0, pad.After);

    /// <summary>For each place along an axis the element of x, or <see cref="IndexedCopy.Fill"/>.</summary>
    private static int[] Indices((long Before, long After) pad, int extent, int count, string mode)
    {
        long kept = Kept(pad, extent);
        var indices = new int[count];
        for (int i = 0; i < indices.Length; i++)
        {
            long at = i - Math.Max(0, pad.Before);
            if (at < 0 || at >= kept) at = Outside(at, kept, mode);
            indices[i] = at < 0 ? IndexedCopy.Fill : (int)(at + Math.Max(0, -pad.Before));
        }
        return indices;
    }

    private static long Outside(long at, long count, string mode)
    {
        switch (mode)
        {
            case "edge": return Math.Clamp(at, 0, count - 1);
            case "wrap": return ((at % count) + count) % count;
            case "reflect" when count > 1:
                long period = 2 * (count - 1), phase = ((at % period) + period) % period;
                return Math.Min(phase, period - phase);
            case "reflect": return 0;
            default: return IndexedCopy.Fill;
        }
    }

    public override Step Prepare(PrepareContext context) => new PadStep(context);

    private sealed class PadStep(PrepareContext node) : Step
    {
        private readonly float _value = node.Opset < 11 ? node.Attribute("value", 0f) : 0;

        public override bool ReadsAtRun(int input) => input is 0 or 2;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            if (IsOpen(node)) throw node.Unsupported("pads or axes are computed; supported: constant ones");
            TensorLayout x = inputs[0]!, y = outputs[0]!;
            var pads = PadsOf(node, x.Rank);
            int[][] indices = [.. pads.Select((p, i) => Indices(p, x.Dims[i], y.Dims[i], Mode(node)))];
            return new(0, new IndexedCopy(x.Dims, indices, x.Type.SizeOf()));
        }

        public override void Run(in StepContext context)
        {
            Span<byte> value = stackalloc byte[sizeof(long)];
            value.Clear();
            MemoryMarshal.Write(value, _value);
            bool isGiven = node.Opset >= 11 && context.Inputs.Length > 2 && context.Inputs[2].IsPresent;
            ((IndexedCopy)context.State!).Run(context.Input<byte>(0), isGiven ? context.Input<byte>(2) : value, context.Output<byte>(0));
        }
    }
}
