using System.Buffers;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Runs a body again and again: carried values go from one iteration into the next, and other results are stacked along an axis.</summary>
/// <param name="body">With what is known of its inputs.</param>
/// <param name="graph">The same, compiled.</param>
/// <param name="results">What is known of the body's results.</param>
/// <param name="carriedAt">The node's first input that is carried.</param>
internal abstract class IteratedStep(IteratedBody body, ISubgraph graph, ValueFact[] results, int carriedAt) : Step
{
    /// <summary>Far more than any model has steps; a loop that passes it is taken for one that does not end.</summary>
    public const int MaxIterations = 1 << 20;

    private readonly int[] _captures = Subgraphs.CapturesOf(body.Context, graph);

    /// <summary>The node, for errors.</summary>
    protected OpContext Node => body.Context;

    public override bool CanSizeOutputs => true;

    /// <summary>False where no further iteration follows.</summary>
    /// <param name="context">Of the run.</param>
    /// <param name="done">Iterations so far.</param>
    /// <param name="last">The last one; null before the first.</param>
    protected abstract bool Continues(in StepContext context, int done, ISubgraphRun? last);

    /// <summary>Sets the inputs of the body that are neither carried nor captured.</summary>
    protected abstract void Bind(in StepContext context, int iteration, Span<TensorView> inputs);

    /// <summary>The axis along which a result is stacked, whose element has a rank.</summary>
    protected virtual int StackAxis(int stacked, int rank) => 0;

    /// <summary>True where a result is stacked from the end.</summary>
    protected virtual bool StacksBackwards(int stacked) => false;

    public override void Run(in StepContext context)
    {
        int done = Iterate(context, null, out var last);
        using var held = last;
        for (int i = 0; i < body.Carried; i++)
        {
            if (!context.Outputs[i].IsPresent) continue;
            var value = Carried(context, last, i);
            Check(value.Layout!, context.Outputs[i].Dims, i, done);
            value.Read<byte>().CopyTo(context.Outputs[i].Write<byte>());
        }
    }

    public override Tensor[] RunOpen(in StepContext context)
    {
        var stacks = new List<Tensor>[body.Stacked];
        for (int s = 0; s < stacks.Length; s++) stacks[s] = [];
        Iterate(context, stacks, out var last);
        using var held = last;
        var made = new Tensor[body.Carried + stacks.Length];
        for (int i = 0; i < body.Carried; i++) made[i] = Carried(context, last, i).ToTensor();
        for (int s = 0; s < stacks.Length; s++) made[body.Carried + s] = Stacked(s, stacks[s]);
        return made;
    }

    private TensorView Carried(in StepContext context, ISubgraphRun? last, int i) => last is null ? context.Inputs[carriedAt + i] : last.View(body.CarriedOut + i);

    /// <param name="context">Of the run.</param>
    /// <param name="stacks">Where results that are stacked are kept; null: they go to the outputs.</param>
    /// <param name="last">The last iteration, which holds the carried values.</param>
    /// <returns>Iterations.</returns>
    private int Iterate(in StepContext context, List<Tensor>[]? stacks, out ISubgraphRun? last)
    {
        int own = body.Graph.Inputs.Length, count = own + _captures.Length, done = 0;
        var rented = ArrayPool<TensorView>.Shared.Rent(Math.Max(1, count));
        var inputs = rented.AsSpan(0, count);
        last = null;
        try
        {
            for (int i = 0; i < body.Carried; i++) inputs[body.CarriedIn + i] = context.Inputs[carriedAt + i];
            for (int i = 0; i < _captures.Length; i++) inputs[own + i] = context.Inputs[_captures[i]];
            for (; Continues(context, done, last); done++)
            {
                if (done == MaxIterations) throw Node.Unsupported($"it has not ended after {MaxIterations} iterations, more are not run");
                Bind(context, done, inputs);
                var run = graph.Start(inputs, context.MaxThreads);
                last?.Dispose();
                last = run;
                for (int i = 0; i < body.Carried; i++) inputs[body.CarriedIn + i] = run.View(body.CarriedOut + i);
                for (int s = 0; s < body.Stacked; s++)
                {
                    var element = run.View(body.CarriedOut + body.Carried + s);
                    if (stacks is not null) Keep(stacks[s], element, s);
                    else Put(context.Outputs[body.Carried + s], element, s, done);
                }
            }
            return done;
        }
        catch
        {
            last?.Dispose();
            throw;
        }
        finally
        {
            ArrayPool<TensorView>.Shared.Return(rented, clearArray: true);
        }
    }

    private void Keep(List<Tensor> stack, in TensorView element, int stacked)
    {
        if (stack.Count > 0) Check(element.Layout!, stack[0].Dims, body.Carried + stacked, stack.Count);
        if ((stack.Count + 1L) * element.Layout!.ByteCount > int.MaxValue) throw Node.Unsupported($"its output {body.Carried + stacked} takes more than 2^31 - 1 bytes");
        stack.Add(element.ToTensor());
    }

    private void Put(in TensorView output, in TensorView element, int stacked, int iteration)
    {
        if (!output.IsPresent) return;
        int axis = StackAxis(stacked, output.Dims.Length - 1), extent = output.Dims[axis];
        if (output.Dims.Length - 1 != element.Dims.Length) throw Differs(element.Layout!, output.Dims, body.Carried + stacked, iteration);
        for (int i = 0; i < element.Dims.Length; i++)
            if (element.Dims[i] != output.Dims[i < axis ? i : i + 1]) throw Differs(element.Layout!, output.Dims, body.Carried + stacked, iteration);
        AxisSlice.Put(element.Read<byte>(), element.Layout!.CountOf(0, axis), extent, StacksBackwards(stacked) ? extent - 1 - iteration : iteration, output.Write<byte>());
    }

    private Tensor Stacked(int stacked, List<Tensor> stack)
    {
        var known = results[body.CarriedOut + body.Carried + stacked];
        // Of a result that no iteration gave, what is not known is empty.
        int[] element = stack.Count > 0 ? stack[0].Dims : [.. (known.Shape ?? TensorShape.Scalar).Select(d => d.IsKnown ? (int)d.Value : 0)];
        int axis = StackAxis(stacked, element.Length);
        int[] dims = [.. element[..axis], stack.Count, .. element[axis..]];
        var layout = new TensorLayout(known.Type, dims);
        byte[] bytes = new byte[layout.ByteCount];
        for (int i = 0; i < stack.Count; i++)
            AxisSlice.Put(stack[i].Bytes.Span, layout.CountOf(0, axis), stack.Count, StacksBackwards(stacked) ? stack.Count - 1 - i : i, bytes);
        return new(known.Type, dims, bytes);
    }

    private void Check(TensorLayout found, int[] expected, int output, int iteration)
    {
        if (!found.Dims.AsSpan().SequenceEqual(expected)) throw Differs(found, expected, output, iteration);
    }

    private ModelFormatException Differs(TensorLayout found, int[] expected, int output, int iteration) =>
        Node.Malformed($"its output {output} would get shape {found.Shape} in iteration {iteration}, expected to fit [{string.Join(',', expected)}]");
}

/// <summary>One index of an axis of a tensor, taken out or put in.</summary>
internal static class AxisSlice
{
    /// <param name="tensor">[outer, extent, ...].</param>
    /// <param name="outer">Product of the extents before the axis.</param>
    /// <param name="extent">Of the axis.</param>
    /// <param name="at">The index.</param>
    /// <param name="slice">[outer, ...].</param>
    public static void Take(ReadOnlySpan<byte> tensor, int outer, int extent, int at, Span<byte> slice)
    {
        int block = outer == 0 ? 0 : slice.Length / outer;
        for (int o = 0; o < outer; o++) tensor.Slice(((o * extent) + at) * block, block).CopyTo(slice[(o * block)..]);
    }

    /// <param name="slice">[outer, ...].</param>
    /// <param name="outer">Product of the extents before the axis.</param>
    /// <param name="extent">Of the axis.</param>
    /// <param name="at">The index.</param>
    /// <param name="tensor">[outer, extent, ...].</param>
    public static void Put(ReadOnlySpan<byte> slice, int outer, int extent, int at, Span<byte> tensor)
    {
        int block = outer == 0 ? 0 : slice.Length / outer;
        for (int o = 0; o < outer; o++) slice.Slice(o * block, block).CopyTo(tensor[(((o * extent) + at) * block)..]);
    }
}
