using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Sums of products over named axes, by NumPy's rules: repeated letters are diagonals, an extent of 1 broadcasts under "...". float32, double
/// and integers. Common products of two matrices become MatMul before they get here; this is the plain sum for all others.
/// </summary>
internal sealed class Einsum : Operator
{
    public override string OpType => "Einsum";

    public override ValueFact[] Infer(OpContext context)
    {
        var type = context.Input(0, [.. NumberTypes.All, ElementType.Double]).Type;
        for (int i = 1; i < context.Inputs.Length; i++) context.Input(i, type);
        if (context.Inputs.Any(i => i!.Shape is null)) return [new(type, null)];
        var equation = Parse(context, context.Inputs.Select(i => i!.Shape!.Rank));
        var extents = new Dictionary<char, Dimension>();
        for (int i = 0; i < equation.Inputs.Length; i++)
            for (int axis = 0; axis < equation.Inputs[i].Length; axis++)
            {
                var found = context.Inputs[i]!.Shape![axis];
                char letter = equation.Inputs[i][axis];
                if (!extents.TryGetValue(letter, out var known) || known == 1) extents[letter] = found;
                else if (known.IsKnown && found.IsKnown && known != found && found != 1) throw context.Malformed($"axis {axis} of input {i} has {found} entries, another axis of its letter {known}");
                else if (!known.IsKnown && found.IsKnown && found != 1) extents[letter] = found;
            }
        return [new(type, new([.. equation.Output.Select(c => extents.TryGetValue(c, out var d) ? d : 1)]))];
    }

    public static EinsumEquation Parse(OpContext context, IEnumerable<int> ranks) => EinsumEquation.Parse(context, context.Attribute("equation", ""), [.. ranks]);

    public override Step Prepare(PrepareContext context) => new EinsumStep(context);

    /// <param name="Extents">Of the axes of the loop: first those of the result, then those summed over.</param>
    /// <param name="ResultAxes">How many of them are the result's.</param>
    /// <param name="Strides">For each input the elements that one step along each axis is.</param>
    private sealed record Loops(int[] Extents, int ResultAxes, long[][] Strides);

    private sealed class EinsumStep(PrepareContext node) : Step, INumberStep
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var ranks = new int[inputs.Length];
            for (int i = 0; i < ranks.Length; i++) ranks[i] = inputs[i]!.Rank;
            var equation = Parse(node, ranks);
            string letters = equation.Output + equation.Summed;
            var extents = new int[letters.Length];
            Array.Fill(extents, 1);
            var strides = new long[inputs.Length][];
            for (int i = 0; i < inputs.Length; i++)
            {
                int[] dims = inputs[i]!.Dims;
                long[] own = StridedCopy.RowMajor(dims);
                strides[i] = new long[letters.Length];
                for (int axis = 0; axis < dims.Length; axis++)
                {
                    int at = letters.IndexOf(equation.Inputs[i][axis], StringComparison.Ordinal);
                    if (dims[axis] == 1) continue;
                    extents[at] = dims[axis];
                    strides[i][at] += own[axis];
                }
            }
            // The innermost axis that is summed over is a loop of its own: there is always one.
            if (equation.Summed.Length == 0)
            {
                extents = [.. extents, 1];
                strides = Array.ConvertAll(strides, s => (long[])[.. s, 0]);
            }
            return new(2L * sizeof(long) * inputs.Length, new Loops(extents, equation.Output.Length, strides));
        }

        public override void Run(in StepContext context)
        {
            if (context.Inputs[0].Type == ElementType.Double) Sum<double>(context);
            else NumberTypes.Run(context.Inputs[0].Type, this, context);
        }

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T> => Sum<T>(context);

        private static unsafe void Sum<T>(in StepContext context) where T : unmanaged, INumber<T>
        {
            var (extents, resultAxes, strides) = (Loops)context.State!;
            var y = context.Output<T>(0);
            int inputs = strides.Length, row = extents[^1], rows = 1;
            var outer = extents.AsSpan()[resultAxes..^1];
            foreach (int extent in outer) rows *= extent;
            Span<nint> starts = MemoryMarshal.Cast<byte, nint>(context.Workspace)[..inputs], at = MemoryMarshal.Cast<byte, nint>(context.Workspace).Slice(inputs, inputs);
            for (int place = 0; place < y.Length; place++)
            {
                // Values do not move during a run.
                for (int i = 0; i < inputs; i++)
                    starts[i] = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(context.Input<T>(i))) + (nint)(Offset(extents.AsSpan(0, resultAxes), strides[i], place) * sizeof(T));
                T sum = T.Zero;
                for (int term = 0; term < rows; term++)
                {
                    for (int i = 0; i < inputs; i++) at[i] = starts[i] + (nint)(Offset(outer, strides[i].AsSpan(resultAxes), term) * sizeof(T));
                    for (int j = 0; j < row; j++)
                    {
                        T product = T.One;
                        for (int i = 0; i < inputs; i++) product = unchecked(product * ((T*)at[i])[j * strides[i][^1]]);
                        sum = unchecked(sum + product);
                    }
                }
                y[place] = sum;
            }
        }

        /// <summary>Where a row-major number lies along some axes of the loop.</summary>
        private static long Offset(ReadOnlySpan<int> extents, ReadOnlySpan<long> strides, int number)
        {
            long at = 0;
            for (int axis = extents.Length - 1; axis >= 0; axis--)
            {
                (number, int coordinate) = Math.DivRem(number, extents[axis]);
                at += coordinate * strides[axis];
            }
            return at;
        }
    }
}
