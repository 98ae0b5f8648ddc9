using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The element of x where a condition holds, that of y elsewhere; all three broadcast as NumPy does. Any type of fixed size.</summary>
internal sealed class Where : Operator
{
    public override string OpType => "Where";

    public override ValueFact[] Infer(OpContext context)
    {
        var condition = context.Input(0, ElementType.Bool);
        ValueFact x = context.Input(1), y = context.Input(2);
        if (x.Type != y.Type) throw context.Malformed($"it chooses between {x.Type} and {y.Type}, expected one type");
        if (x.Type.SizeOf() == 0) throw context.Unsupported($"its inputs are {x.Type}; supported: types of fixed size");
        var shape = ShapeRules.Broadcast(context, condition.Shape, ShapeRules.Broadcast(context, x.Shape, y.Shape));
        return [WithEntries(new(x.Type, shape), condition, x, y)];
    }

    private static ValueFact WithEntries(ValueFact result, ValueFact condition, ValueFact x, ValueFact y)
    {
        if (ShapeEntry.AllOf(result) is not { } entries || ShapeEntry.AllOf(condition) is not { } c || ShapeEntry.AllOf(x) is not { } a || ShapeEntry.AllOf(y) is not { } b) return result;
        for (int i = 0; i < entries.Length; i++)
        {
            ShapeEntry yes = At(a, i), no = At(b, i);
            entries[i] = At(c, i).Number is { } flag ? flag != 0 ? yes : no : yes == no ? yes : default;
        }
        return ShapeEntry.With(result, entries);

        static ShapeEntry At(ShapeEntry[] of, int i) => of[of.Length == 1 ? 0 : i];
    }

    public override Step Prepare(PrepareContext context) => new WhereStep();

    /// <param name="Dims">Extents of the result, at least one; the last is that of a run.</param>
    /// <param name="Strides">Of the condition, x and y, each axis; 0 where they stand still.</param>
    private sealed record State(int[] Dims, int[][] Strides);

    private sealed class WhereStep : Step
    {
        public override bool CanOverwrite(int input) => input > 0;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            int count = outputs[0]!.Count;
            int[] dims = outputs[0]!.Rank == 0 ? [1] : outputs[0]!.Dims;
            var all = inputs.ToArray();
            // One long run where nothing is broadcast.
            if (all.All(i => i!.Count == count)) return new(0, new State([count], [[1], [1], [1]]));
            return new(0, new State(dims, Array.ConvertAll(all, i => BroadcastPlan.Strides(i!.Dims, dims.Length))));
        }

        public override void Run(in StepContext context)
        {
            switch (context.Outputs[0].Type.SizeOf())
            {
                case 1: Choose<byte>(context); break;
                case 2: Choose<ushort>(context); break;
                case 4: Choose<uint>(context); break;
                default: Choose<ulong>(context); break;
            }
        }

        private static void Choose<T>(in StepContext context) where T : unmanaged
        {
            var (dims, strides) = (State)context.State!;
            var condition = context.Input<bool>(0);
            ReadOnlySpan<T> x = context.Input<T>(1), y = context.Input<T>(2);
            var z = context.Output<T>(0);
            int length = dims[^1], cStep = strides[0][^1], xStep = strides[1][^1], yStep = strides[2][^1];
            for (int start = 0; start < z.Length; start += length)
            {
                int c = 0, a = 0, b = 0;
                for (int i = dims.Length - 2, run = start / length; i >= 0; i--)
                {
                    (run, int at) = Math.DivRem(run, dims[i]);
                    c += at * strides[0][i];
                    a += at * strides[1][i];
                    b += at * strides[2][i];
                }
                for (int i = 0; i < length; i++) z[start + i] = condition[c + (i * cStep)] ? x[a + (i * xStep)] : y[b + (i * yStep)];
            }
        }
    }
}
