using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// What MaxPool undoes: x [N, C, ...] of any type, each element at its place in an output of zeros; places as MaxPool gives them, Int64,
/// row by row. Of several elements for one place the last stays. The output's shape is the third input, else what MaxPool with this window
/// must have read.
/// </summary>
/// <remarks>
/// Places count in the output, whatever its shape, so that what MaxPool gives is undone for all extents. The standard's example with
/// output_shape counts in the shape that the window implies and lies in a corner of a larger output (https://github.com/onnx/onnx/issues/2398);
/// ONNX Runtime counts as here.
/// </remarks>
internal sealed class MaxUnpool : Operator
{
    private const int ShapeInput = 2;

    public override string OpType => "MaxUnpool";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Type.SizeOf() == 0) throw context.Unsupported($"input 0 ('{context.Node.Inputs[0]}') is {x.Type}, supported are types of a fixed size");
        var indices = context.Input(1, ElementType.Int64);
        if (x.Shape is { IsKnown: true } values && indices.Shape is { IsKnown: true } places && !values.Equals(places)) throw context.Malformed($"x {values} and its indices {places} differ in shape");
        if (context.Optional(ShapeInput) is not null) return [new(x.Type, Given(context, x.Shape))];
        return [new(x.Type, x.Shape is { } shape ? Implied(context, shape) : null)];
    }

    public override Step Prepare(PrepareContext context) => new UnpoolStep(context);

    private static TensorShape? Given(OpContext context, TensorShape? x)
    {
        var target = context.Input(ShapeInput, ElementType.Int64);
        if (target.Shape is { Rank: not 1 }) throw context.Malformed($"output_shape has shape {target.Shape}, expected a vector");
        var entries = ShapeEntry.AllOf(target);
        if (entries is null) return null;
        if (x is not null && entries.Length != x.Rank) throw context.Malformed($"output_shape has {entries.Length} elements, x has {x.Rank} axes");
        if (entries.Any(e => e.Number < 0)) throw context.Malformed($"output_shape [{string.Join(',', entries.Select(e => e.Number))}] has an extent below 0");
        return new(Array.ConvertAll(entries, e => e.Number is { } n ? n : e.Extent));
    }

    private static TensorShape Implied(OpContext context, TensorShape x)
    {
        if (x.Rank < 3) throw context.Malformed($"its input has shape {x}, expected [N, C, ...]");
        int rank = x.Rank - 2;
        var kernel = context.Attribute("kernel_shape", ImmutableArray<long>.Empty);
        if (kernel.Length != rank) throw context.Malformed($"kernel_shape has {kernel.Length} elements, its input has {rank} spatial axes");
        var dims = x.Dims.ToArray();
        for (int i = 0; i < rank; i++)
        {
            long stride = At(context, "strides", i, rank, 1), pads = At(context, "pads", i, 2 * rank, 0) + At(context, "pads", i + rank, 2 * rank, 0);
            if (stride < 1 || kernel[i] < 1) throw context.Malformed($"kernel_shape {kernel[i]} and stride {stride} of spatial axis {i} must be 1 or more");
            if (!dims[i + 2].IsKnown) continue;
            long extent = checked(((dims[i + 2].Value - 1) * stride) + kernel[i] - pads);
            dims[i + 2] = extent >= 0 ? extent : throw context.Malformed($"the pads {pads} of spatial axis {i} leave {extent} elements");
        }
        // An open extent stays open, but is another one.
        for (int i = 2; i < dims.Length; i++)
            if (!dims[i].IsKnown) dims[i] = Dimension.Unknown;
        return new(dims);
    }

    private static long At(OpContext context, string name, int index, int count, long absent)
    {
        var given = context.Attribute(name, ImmutableArray<long>.Empty);
        if (given.IsEmpty) return absent;
        return given.Length == count ? given[index] : throw context.Malformed($"{name} has {given.Length} elements, expected {count}");
    }

    private sealed class UnpoolStep(OpContext node) : Step
    {
        public override bool ReadsAtRun(int input) => input != ShapeInput;

        public override void Run(in StepContext context)
        {
            var x = context.Input<byte>(0);
            var places = context.Input<long>(1);
            var y = context.Output<byte>(0);
            y.Clear();
            int size = context.Inputs[0].Type.SizeOf(), count = context.Outputs[0].Count;
            for (int i = 0; i < places.Length; i++)
            {
                long place = places[i];
                if (place < 0 || place >= count) throw node.Malformed($"index {place} lies outside the {count} elements of its output {context.Outputs[0].Layout!.Shape}");
                x.Slice(i * size, size).CopyTo(y[((int)place * size)..]);
            }
        }
    }
}
