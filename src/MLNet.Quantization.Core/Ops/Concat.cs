using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Tensors of one type joined along <c>axis</c>; all other extents are the same.</summary>
internal sealed partial class Concat : Operator
{
    public override string OpType => "Concat";

    public override ValueFact[] Infer(OpContext context)
    {
        if (context.Inputs.Length == 0 || !context.Node.Attributes.Contains("axis")) throw context.Malformed("it has no inputs or no axis");
        var type = context.Input(0).Type;
        TensorShape? joined = null;
        bool isOpen = false;
        for (int i = 0; i < context.Inputs.Length; i++)
        {
            var fact = context.Input(i, type);
            if (fact.Shape is not { } shape) isOpen = true;
            else joined = joined is null ? shape : Join(context, joined, shape);
        }
        if (isOpen) return [new(type, joined is null ? null : new(Enumerable.Repeat(Dimension.Unknown, joined.Rank).ToArray()))];
        context.Axis(context.Attribute("axis", 0L), joined!.Rank);
        ValueFact result = new(type, joined);
        var parts = context.Inputs.Select(i => ShapeEntry.AllOf(i!)).ToArray();
        return [parts.Contains(null) ? result : ShapeEntry.With(result, [.. parts.SelectMany(p => p!)])];
    }

    private static TensorShape Join(OpContext context, TensorShape a, TensorShape b)
    {
        if (a.Rank != b.Rank || a.Rank == 0) throw context.Malformed($"shapes {a} and {b} cannot be joined");
        int axis = context.Axis(context.Attribute("axis", 0L), a.Rank);
        var dims = new Dimension[a.Rank];
        for (int i = 0; i < dims.Length; i++)
        {
            if (i == axis) dims[i] = a[i].IsKnown && b[i].IsKnown ? a[i].Value + b[i].Value : Dimension.Unknown;
            else if (a[i].IsKnown && b[i].IsKnown && a[i] != b[i]) throw context.Malformed($"shapes {a} and {b} cannot be joined along axis {axis}");
            else dims[i] = a[i].IsKnown ? a[i] : b[i].IsKnown || a[i].Symbol is null ? b[i] : a[i];
        }
        return new(dims);
    }

    public override Step Prepare(PrepareContext context) => new ConcatStep(context.Attribute("axis", 0L));

    private sealed class ConcatStep(long axis) : Step
    {
        public override unsafe void Run(in StepContext context)
        {
            var y = context.Outputs[0].Layout!;
            int from = (int)(axis < 0 ? axis + y.Rank : axis), outer = y.CountOf(0, from), row = (int)(y.ByteCount / Math.Max(1, outer)), at = 0;
            fixed (byte* to = context.Output<byte>(0))
            {
                for (int i = 0; i < context.Inputs.Length && row > 0; i++)
                {
                    var x = context.Input<byte>(i);
                    int part = x.Length / outer;
                    fixed (byte* first = x)
                    {
                        var body = new Body(first, part, to + at, row);
                        Ranges.Run(ref body, outer, 1, CopyTime + (part * ByteTime), context.MaxThreads);
                    }
                    at += part;
                }
            }
        }
    }

    /// <summary>Nanoseconds: of a copy, and of each byte in it.</summary>
    private const double CopyTime = 2.5, ByteTime = 0.03;

    /// <summary>Rows of one input.</summary>
    private readonly unsafe struct Body(byte* x, int part, byte* y, int row) : IRangeBody
    {
        public void Run(int from, int to)
        {
            for (int i = from; i < to; i++) new ReadOnlySpan<byte>(x + ((long)i * part), part).CopyTo(new Span<byte>(y + ((long)i * row), part));
        }
    }
}
