using System.Buffers;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Runs one of two subgraphs, <c>then_branch</c> or <c>else_branch</c>, by a boolean scalar.</summary>
internal sealed class If : Operator
{
    public override string OpType => "If";

    public override ValueFact[] Infer(OpContext context)
    {
        var condition = context.Input(0, ElementType.Bool);
        if (condition.Shape is { IsKnown: true } shape && shape.ElementCount != 1) throw context.Malformed($"its condition has shape {shape}, expected one element");
        if (condition.Value is { } known) return BranchFacts(context, known.Span<bool>()[0] ? "then_branch" : "else_branch");
        ValueFact[] then = BranchFacts(context, "then_branch"), otherwise = BranchFacts(context, "else_branch");
        if (then.Length != otherwise.Length) throw context.Malformed($"its branches have {then.Length} and {otherwise.Length} outputs");
        return [.. then.Zip(otherwise, (a, b) => Merge(context, a, b))];
    }

    private static ValueFact Merge(OpContext context, ValueFact a, ValueFact b)
    {
        if (a.Type != b.Type) throw context.Malformed($"its branches give {a.Type} and {b.Type}");
        return new(a.Type, ShapeRules.Common(a.Shape, b.Shape));
    }

    private static ValueFact[] BranchFacts(OpContext context, string branch)
    {
        if (context.Node.Attributes.Find(branch) is not ModelGraph body) throw context.Malformed($"attribute '{branch}' must hold a graph");
        if (body.Inputs.Length > 0) throw context.Malformed($"'{branch}' has inputs of its own, expected none");
        var facts = GraphInference.Infer(body, null, Subgraphs.OuterFacts(context), context.Opset);
        return [.. body.Outputs.Select(o => facts[o.Name])];
    }

    public override Step Prepare(PrepareContext context) => new IfStep(Branch(context, "then_branch"), Branch(context, "else_branch"), context.OutputCount);

    private static (ISubgraph Graph, int[] Inputs) Branch(PrepareContext context, string name)
    {
        var graph = context.Subgraph(name);
        return (graph, Subgraphs.CapturesOf(context, graph));
    }

    private sealed class IfStep((ISubgraph Graph, int[] Inputs) then, (ISubgraph Graph, int[] Inputs) otherwise, int outputs) : Step
    {
        public override bool CanSizeOutputs => true;

        public override void Run(in StepContext context) => Run(context, 0);

        public override Tensor[] RunOpen(in StepContext context) => Run(context, outputs);

        /// <param name="context">Of the run.</param>
        /// <param name="made">Outputs to make; 0: those of the context are filled.</param>
        private Tensor[] Run(in StepContext context, int made)
        {
            var (graph, from) = context.Input<bool>(0)[0] ? then : otherwise;
            var inputs = ArrayPool<TensorView>.Shared.Rent(Math.Max(1, from.Length));
            try
            {
                for (int i = 0; i < from.Length; i++) inputs[i] = context.Inputs[from[i]];
                if (made == 0)
                {
                    graph.Run(inputs.AsSpan(0, from.Length), context.Outputs, context.MaxThreads);
                    return [];
                }
                using var run = graph.Start(inputs.AsSpan(0, from.Length), context.MaxThreads);
                var results = new Tensor[made];
                for (int i = 0; i < made; i++) results[i] = run.View(i).ToTensor();
                return results;
            }
            finally
            {
                ArrayPool<TensorView>.Shared.Return(inputs, clearArray: true);
            }
        }
    }
}
