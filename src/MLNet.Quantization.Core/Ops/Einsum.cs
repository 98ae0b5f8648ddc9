using System.Numerics;
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

    /// <summary>For each input the elements that one step along each axis of the loop is: first those of the result, then those summed over.</summary>
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
            return new(0, new Loops(extents, equation.Output.Length, strides));
        }

        public override void Run(in StepContext context)
        {
            if (context.Inputs[0].Type == ElementType.Double) Sum<double>(context);
            else NumberTypes.Run(context.Inputs[0].Type, this, context);
        }

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T> => Sum<T>(context);

        private static void Sum<T>(in StepContext context) where T : unmanaged, INumber<T>
        {
            var loops = (Loops)context.State!;
            var y = context.Output<T>(0);
            int terms = 1;
            for (int i = loops.ResultAxes; i < loops.Extents.Length; i++) terms *= loops.Extents[i];
            for (int place = 0; place < y.Length; place++)
            {
                T sum = T.Zero;
                for (int term = 0; term < terms; term++)
                {
                    T product = T.One;
                    for (int i = 0; i < loops.Strides.Length; i++)
                        product = unchecked(product * context.Input<T>(i)[(int)(Offset(loops, loops.Strides[i], 0, loops.ResultAxes, place) + Offset(loops, loops.Strides[i], loops.ResultAxes, loops.Extents.Length, term))]);
                    sum = unchecked(sum + product);
                }
                y[place] = sum;
            }
        }

        /// <summary>Where a row-major number lies along some axes of the loop.</summary>
        private static long Offset(Loops loops, long[] strides, int from, int to, int number)
        {
            long at = 0;
            for (int axis = to - 1; axis >= from; axis--)
            {
                (number, int coordinate) = Math.DivRem(number, loops.Extents[axis]);
                at += coordinate * strides[axis];
            }
            return at;
        }
    }
}
