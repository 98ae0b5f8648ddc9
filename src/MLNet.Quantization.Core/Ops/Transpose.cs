using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>y's axis i is x's axis <c>perm</c>[i]; without perm the axes are reversed.</summary>
internal sealed partial class Transpose : Operator
{
    public override string OpType => "Transpose";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Shape is not { } shape) return [new(x.Type, null)];
        return [new(x.Type, new(PermutationOf(context, shape.Rank).Select(p => shape[p]).ToArray()))];
    }

    private static int[] PermutationOf(OpContext context, int rank)
    {
        var given = context.Attribute("perm", ImmutableArray<long>.Empty);
        if (given.IsEmpty) return [.. Enumerable.Range(0, rank).Reverse()];
        var perm = given.Select(p => (int)Math.Clamp(p, -1, int.MaxValue)).ToArray();
        return perm.Order().SequenceEqual(Enumerable.Range(0, rank)) ? perm : throw context.Malformed($"perm [{string.Join(',', given)}] does not permute {rank} axes");
    }

    public override Step Prepare(PrepareContext context) => new TransposeStep(context);

    /// <summary>The rank may become known only with the shapes of a run, so perm is read in the plan.</summary>
    private sealed class TransposeStep(PrepareContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var x = inputs[0]!;
            return new(0, StridedCopy.Permute(x.Dims, PermutationOf(node, x.Rank), x.Type.SizeOf()));
        }

        public override void Run(in StepContext context) => ((StridedCopy)context.State!).Run(context.Input<byte>(0), context.Output<byte>(0), context.MaxThreads);
    }
}
