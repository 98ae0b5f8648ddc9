using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// A function of the rows along <c>axis</c>. From opset 13 on that is one axis, by default the last; before, all axes from it on (by
/// default 1) together. float32.
/// </summary>
internal abstract partial class SoftmaxOperator : Operator
{
    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float);
        if (x.Shape is { } shape) AxisOf(context, shape.Rank);
        return [x with { Value = null }];
    }

    protected static int AxisOf(OpContext context, int rank)
    {
        long axis = context.Attribute("axis", context.Opset < 13 ? 1L : -1L);
        return context.Opset < 13 && axis == rank ? rank : context.Axis(axis, rank);
    }

    public override Step Prepare(PrepareContext context) => new RowsStep(this, context);

    /// <param name="x">One row.</param>
    /// <param name="y">As many; may be x itself.</param>
    /// <param name="scratch">As many.</param>
    protected abstract void Row(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch);

    /// <summary>Rows of n elements that lie one behind the other: by default one by one.</summary>
    /// <param name="x">[rows, n].</param>
    /// <param name="n">1 or more.</param>
    /// <param name="y">[rows, n]; may be x itself.</param>
    /// <param name="scratch">n.</param>
    /// <param name="maxThreads">Threads to keep busy.</param>
    protected virtual void AllRows(ReadOnlySpan<float> x, int n, Span<float> y, Span<float> scratch, int maxThreads)
    {
        for (int at = 0; at < y.Length; at += n) Row(x.Slice(at, n), y.Slice(at, n), scratch);
    }

    /// <param name="Length">Elements of a row.</param>
    /// <param name="Stride">From one element to the next.</param>
    private sealed record Rows(int Length, int Stride);

    private sealed class RowsStep(SoftmaxOperator op, PrepareContext node) : Step
    {
        public override bool CanOverwrite(int input) => true;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            int axis = AxisOf(node, x.Rank);
            var rows = node.Opset < 13 ? new Rows(x.CountOf(axis, x.Rank), 1) : x.Rank == 0 ? new(1, 1) : new(x.Dims[axis], x.CountOf(axis + 1, x.Rank));
            return new(2L * rows.Length * sizeof(float), rows);
        }

        public override void Run(in StepContext context)
        {
            var rows = (Rows)context.State!;
            ReadOnlySpan<float> x = context.Input<float>(0);
            var y = context.Output<float>(0);
            if (y.IsEmpty) return;
            var work = MemoryMarshal.Cast<byte, float>(context.Workspace);
            Span<float> row = work[..rows.Length], scratch = work.Slice(rows.Length, rows.Length);
            if (rows.Stride == 1)
            {
                op.AllRows(x, rows.Length, y, scratch, context.MaxThreads);
                return;
            }
            for (int block = 0; block < y.Length; block += rows.Length * rows.Stride)
                for (int at = block; at < block + rows.Stride; at++)
                {
                    for (int i = 0; i < row.Length; i++) row[i] = x[at + (i * rows.Stride)];
                    op.Row(row, row, scratch);
                    for (int i = 0; i < row.Length; i++) y[at + (i * rows.Stride)] = row[i];
                }
        }
    }
}

/// <summary>y = e^x / Σ e^x over a row.</summary>
internal sealed partial class Softmax : SoftmaxOperator
{
    public override string OpType => "Softmax";

    protected override void Row(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch) => FloatReductions.Softmax(x, y);

    protected override unsafe void AllRows(ReadOnlySpan<float> x, int n, Span<float> y, Span<float> scratch, int maxThreads)
    {
        fixed (float* px = x, py = y)
        {
            var body = new Body(px, n, py);
            Ranges.Run(ref body, x.Length / n, 1, RowTime + (n * ValueTime), maxThreads);
        }
    }

    /// <summary>Nanoseconds: of a row, and of each value in it.</summary>
    private const double RowTime = 5, ValueTime = 0.5;

    private readonly unsafe struct Body(float* x, int n, float* y) : IRangeBody
    {
        public void Run(int from, int to)
        {
            int count = (to - from) * n;
            FloatReductions.SoftmaxRows(new(x + ((long)from * n), count), n, new(y + ((long)from * n), count));
        }
    }
}

/// <summary>y = x - ln Σ e^x over a row.</summary>
internal sealed partial class LogSoftmax : SoftmaxOperator
{
    public override string OpType => "LogSoftmax";

    protected override void Row(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch) => FloatReductions.LogSoftmax(x, y, scratch);
}

/// <summary>1 at the first greatest element of a row, 0 elsewhere; all 0 where every element is NaN.</summary>
internal sealed class Hardmax : SoftmaxOperator
{
    public override string OpType => "Hardmax";

    protected override void Row(ReadOnlySpan<float> x, Span<float> y, Span<float> scratch)
    {
        int best = -1;
        for (int i = 0; i < x.Length; i++)
            if (!float.IsNaN(x[i]) && (best < 0 || x[i] > x[best])) best = i;
        y[..x.Length].Clear();
        if (best >= 0) y[best] = 1;
    }
}
