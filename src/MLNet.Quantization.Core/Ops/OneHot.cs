using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// A new axis of extent <c>depth</c>, at <c>axis</c> (default: the last), that holds values[1] at the index and values[0] elsewhere. An
/// index below 0 counts from the end; one outside gives values[0] everywhere. Indices: float32 or integers; values: any type.
/// </summary>
internal sealed class OneHot : Operator
{
    public override string OpType => "OneHot";

    public override ValueFact[] Infer(OpContext context)
    {
        var indices = context.Input(0, NumberTypes.All);
        var depth = context.Input(1, NumberTypes.All);
        var values = context.Input(2);
        if (values.Shape is { IsKnown: true, ElementCount: not 2 }) throw context.Malformed($"values are {values}, expected two: off and on");
        if (indices.Shape is not { } shape) return [new(values.Type, null)];
        int axis = context.Axis(context.Attribute("axis", -1L), shape.Rank + 1);
        Dimension extent = depth.Value is { } v ? DepthOf(v) : Dimension.Unknown;
        if (extent.IsKnown && extent.Value < 0) throw context.Malformed($"depth is {extent}, expected 0 or more");
        return [new(values.Type, new([.. shape.Dims[..axis], extent, .. shape.Dims[axis..]]))];
    }

    private static long DepthOf(Tensor depth) => depth.Type == ElementType.Float ? (long)depth.Span<float>()[0] : depth.Type is ElementType.Int64 or ElementType.Int32 ? depth.ToInt64s()[0] : depth.Bytes.Span[0];

    public override Step Prepare(PrepareContext context) => new OneHotStep(context);

    private sealed class OneHotStep(PrepareContext node) : Step, INumberStep
    {
        public override bool ReadsAtRun(int input) => input != 1;

        public override void Run(in StepContext context) => NumberTypes.Run(context.Inputs[0].Type, this, context);

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            var y = context.Outputs[0].Layout!;
            int axis = node.Axis(node.Attribute("axis", -1L), y.Rank), depth = y.Dims[axis], inner = y.CountOf(axis + 1, y.Rank), size = y.Type.SizeOf();
            var values = context.Input<byte>(2);
            var to = context.Output<byte>(0);
            IndexedCopy.FillWith(values[..size], to);
            var indices = context.Input<T>(0);
            for (int i = 0; i < indices.Length; i++)
            {
                long index = long.CreateSaturating(indices[i]);
                if (index < 0) index += depth;
                if (index < 0 || index >= depth) continue;
                int place = (((i / inner * depth) + (int)index) * inner) + (i % inner);
                values[size..].CopyTo(to[(place * size)..]);
            }
        }
    }
}
