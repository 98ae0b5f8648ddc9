using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>Two tensors of one type combined element by element, broadcast as NumPy does. Integers, which shape arithmetic uses, wrap.</summary>
internal abstract class BinaryOperator : Operator
{
    /// <summary>The types that its inputs may have.</summary>
    protected abstract ElementType[] Types { get; }

    public override ValueFact[] Infer(OpContext context)
    {
        var a = context.Input(0, Types);
        var b = context.Input(1);
        if (a.Type != b.Type) throw context.Malformed($"its inputs are {a.Type} and {b.Type}, expected one type");
        if (context.Node.Attributes.Contains("broadcast")) throw context.Unsupported("attribute 'broadcast' belongs to opsets before 7");
        var op = For(context);
        return [ShapeEntry.Combine(a, b, new(a.Type, ShapeRules.Broadcast(context, a.Shape, b.Shape)), (x, y) => op.Combine(context, a.Type, x, y))];
    }

    public override Step Prepare(PrepareContext context) => new BinaryStep(For(context), context);

    /// <summary>The operator with what the node's attributes say, which are not read for each element.</summary>
    protected virtual BinaryOperator For(OpContext context) => this;

    /// <summary>The integer form; wraps.</summary>
    protected abstract T Combine<T>(OpContext node, T x, T y) where T : IBinaryInteger<T>;

    /// <summary>True where <see cref="Floats"/> takes rows.</summary>
    protected virtual bool TakesRows => false;

    /// <summary>The form of float32, where <see cref="Types"/> has it: some elements, of which either side may have one for all, or b, with <see cref="TakesRows"/>, one row for all.</summary>
    protected virtual void Floats(OpContext node, ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> y) => throw new NotSupportedException();

    /// <summary>What is known of an entry: by default, the result of two numbers.</summary>
    protected virtual ShapeEntry Combine(OpContext node, ElementType type, ShapeEntry x, ShapeEntry y)
    {
        if (x.Number is not { } a || y.Number is not { } b) return default;
        return ShapeEntry.Of(type == ElementType.Int32 ? Combine(node, unchecked((int)a), unchecked((int)b)) : Combine(node, a, b));
    }

    private sealed class BinaryStep(BinaryOperator op, PrepareContext node) : Step, IIntegerStep
    {
        public override bool CanOverwrite(int input) => true;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) =>
            new(0, new BroadcastPlan(inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims));

        public override void Run(in StepContext context)
        {
            if (context.Outputs[0].Type == ElementType.Float) Run<float, FloatForm>(context);
            else NumberTypes.Run(context.Outputs[0].Type, this, context);
        }

        public void Integers<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T> => Run<T, IntegerForm<T>>(context);

        private unsafe void Run<T, TForm>(in StepContext context) where T : unmanaged where TForm : struct, IForm<T>
        {
            var plan = (BroadcastPlan)context.State!;
            if (plan.Runs == 0) return;
            fixed (T* a = context.Input<T>(0), b = context.Input<T>(1), y = context.Output<T>(0))
            {
                var body = new Body<T, TForm>(op, node, plan, a, b, y);
                if (plan.Runs == 1) Ranges.Run(ref body, plan.RunLength, Unit, TForm.Time, context.MaxThreads);
                else Ranges.Run(ref body, plan.Runs, 1, RunTime + (plan.RunLength * TForm.Time), context.MaxThreads);
            }
        }
    }

    /// <summary>Whole vectors of every width.</summary>
    private const int Unit = 64;

    /// <summary>Nanoseconds until the first element of a run.</summary>
    private const double RunTime = 10;

    private interface IForm<T> where T : unmanaged
    {
        /// <summary>Nanoseconds an element.</summary>
        static abstract double Time { get; }

        /// <summary>b may be one row that is met again and again.</summary>
        static abstract bool TakesRows(BinaryOperator op);

        /// <summary>Either side may have one element for all.</summary>
        static abstract void Run(BinaryOperator op, OpContext node, ReadOnlySpan<T> a, ReadOnlySpan<T> b, Span<T> y);
    }

    private readonly struct FloatForm : IForm<float>
    {
        public static double Time => 0.1;

        public static bool TakesRows(BinaryOperator op) => op.TakesRows;

        public static void Run(BinaryOperator op, OpContext node, ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> y) => op.Floats(node, a, b, y);
    }

    private readonly struct IntegerForm<T> : IForm<T> where T : unmanaged, IBinaryInteger<T>
    {
        public static double Time => 4;

        public static bool TakesRows(BinaryOperator op) => false;

        public static void Run(BinaryOperator op, OpContext node, ReadOnlySpan<T> a, ReadOnlySpan<T> b, Span<T> y)
        {
            // What stands still is read first: the result may lie over it.
            T oneA = a[0], oneB = b[0];
            bool aMoves = a.Length > 1, bMoves = b.Length > 1;
            for (int i = 0; i < y.Length; i++) y[i] = op.Combine(node, aMoves ? a[i] : oneA, bMoves ? b[i] : oneB);
        }
    }

    /// <summary>A range is a part of the only run, or some runs.</summary>
    private readonly unsafe struct Body<T, TForm>(BinaryOperator op, OpContext node, BroadcastPlan plan, T* a, T* b, T* y) : IRangeBody
        where T : unmanaged where TForm : struct, IForm<T>
    {
        public void Run(int from, int to)
        {
            if (plan.Runs == 1)
            {
                var start = plan.StartOf(0);
                Combine(plan.AMoves ? start.A + from : start.A, plan.BMoves ? start.B + from : start.B, from, to - from, to - from);
                return;
            }
            int repeats = TForm.TakesRows(op) ? plan.BRepeats : 1;
            for (int run = from, end; run < to; run = end)
            {
                end = Math.Min(to, run + repeats - (run % repeats));
                var start = plan.StartOf(run);
                Combine(start.A, start.B, (long)run * plan.RunLength, (end - run) * plan.RunLength, plan.RunLength);
            }
        }

        private void Combine(int fromA, int fromB, long to, int count, int bCount) =>
            TForm.Run(op, node, new(a + fromA, plan.AMoves ? count : 1), new(b + fromB, plan.BMoves ? bCount : 1), new(y + to, count));
    }
}
