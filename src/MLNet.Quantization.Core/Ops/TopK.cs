using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// The k greatest (or, with <c>largest</c> 0, least) elements along <c>axis</c> (default: the last) in order, and their indices. Of equal ones
/// the first come first; NaN is the least of all. float32 and integers.
/// </summary>
internal sealed class TopK : Operator
{
    private const int KAsInput = 10;

    public override string OpType => "TopK";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, NumberTypes.All);
        if (context.Opset >= KAsInput) context.Input(1, ElementType.Int64);
        if (x.Shape is not { } shape) return [new(x.Type, null), new(ElementType.Int64, null)];
        if (shape.Rank == 0) throw context.Malformed("a scalar has no elements to choose from");
        int axis = context.Axis(context.Attribute("axis", -1L), shape.Rank);
        var dims = shape.Dims.ToArray();
        long? k = context.Opset < KAsInput ? context.Attribute("k", -1L) : context.Input(1).Value?.ToInt64s()[0];
        if (k < 0 || dims[axis].IsKnown && k > dims[axis].Value) throw context.Malformed($"k is {k}, axis {axis} has {dims[axis]} elements");
        dims[axis] = k is { } known ? known : Dimension.Unknown;
        return [new(x.Type, new(dims)), new(ElementType.Int64, new(dims))];
    }

    public override Step Prepare(PrepareContext context) => new TopKStep(context);

    private sealed class TopKStep(PrepareContext node) : Step, INumberStep
    {
        private readonly bool _largest = node.Attribute("largest", 1L) != 0;

        public override bool ReadsAtRun(int input) => input == 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            return new((long)x.Dims[node.Axis(node.Attribute("axis", -1L), x.Rank)] * (x.Type.SizeOf() + sizeof(int)));
        }

        public override void Run(in StepContext context) => NumberTypes.Run(context.Inputs[0].Type, this, context);

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            var layout = context.Inputs[0].Layout!;
            int axis = node.Axis(node.Attribute("axis", -1L), layout.Rank), extent = layout.Dims[axis], inner = layout.CountOf(axis + 1, layout.Rank), outer = layout.CountOf(0, axis);
            int k = context.Outputs[0].IsPresent ? context.Outputs[0].Dims[axis] : context.Outputs[1].Dims[axis];
            var order = MemoryMarshal.Cast<byte, int>(context.Workspace[..(extent * sizeof(int))]);
            var keys = MemoryMarshal.Cast<byte, T>(context.Workspace[(extent * sizeof(int))..])[..extent];
            var x = context.Input<T>(0);
            var values = context.Outputs[0].IsPresent ? context.Output<T>(0) : default;
            var indices = context.Outputs.Length > 1 && context.Outputs[1].IsPresent ? context.Output<long>(1) : default;
            for (int line = 0; line < outer * inner; line++)
            {
                int start = (line / inner * extent * inner) + (line % inner), to = (line / inner * k * inner) + (line % inner);
                for (int i = 0; i < extent; i++) (keys[i], order[i]) = (x[start + (i * inner)], i);
                keys.Sort(order);
                Choose(keys, order, k);
                for (int i = 0; i < k; i++)
                {
                    if (!values.IsEmpty) values[to + (i * inner)] = x[start + (order[i] * inner)];
                    if (!indices.IsEmpty) indices[to + (i * inner)] = order[i];
                }
            }
        }

        /// <summary>Of an ascending order, in which equal keys come in any, makes the first k the chosen ones.</summary>
        private void Choose<T>(Span<T> keys, Span<int> order, int k) where T : unmanaged, INumber<T>
        {
            if (_largest)
            {
                keys.Reverse();
                order.Reverse();
            }
            for (int start = 0, end; start < k; start = end)
            {
                for (end = start + 1; end < keys.Length && keys[end].Equals(keys[start]); end++) { }
                order[start..end].Sort();
            }
        }
    }
}
