using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Runs its body at most a number of times (input 0) and while a condition holds (input 1, then what the body gives); either may be omitted, in
/// which case the body's condition is ignored as the standard says. Where the number of iterations is not known beforehand, a run tells the extents.
/// </summary>
internal sealed class Loop : Operator
{
    private const int FirstCarried = 2;

    public override string OpType => "Loop";

    public override ValueFact[] Infer(OpContext context)
    {
        if (context.Optional(0) is not null && context.Input(0, ElementType.Int64).Shape is { IsKnown: true } trips && trips.ElementCount != 1)
            throw context.Malformed($"its number of iterations has shape {trips}, expected one element");
        if (context.Optional(1) is not null && context.Input(1, ElementType.Bool).Shape is { IsKnown: true } condition && condition.ElementCount != 1)
            throw context.Malformed($"its condition has shape {condition}, expected one element");
        var body = Body(context);
        var (carried, results) = body.Infer(Initial(context), Own(body));
        long? count = Count(context, results[0]);
        var facts = new List<ValueFact>();
        for (int i = 0; i < carried.Length; i++)
            facts.Add(count switch { 0 => context.Input(FirstCarried + i), > 0 => new(carried[i].Type, results[1 + i].Shape), _ => carried[i] });
        foreach (var result in results.Skip(1 + carried.Length))
            facts.Add(new(result.Type, result.Shape is { } shape ? new([count is { } known ? new Dimension(known) : Dimension.Unknown, .. shape]) : null));
        return [.. facts];
    }

    public override Step Prepare(PrepareContext context)
    {
        var body = Body(context);
        var own = Own(body);
        var (carried, results) = body.Infer(Initial(context), own);
        // The values of what each iteration supplies are not known to the compiler.
        return new LoopStep(body, context.Subgraph(body.Closed(carried, own)), results);
    }

    private static IteratedBody Body(OpContext context) => IteratedBody.Of(context, FirstCarried, 1, Math.Max(0, context.Node.Inputs.Length - FirstCarried), FirstCarried);

    private static IEnumerable<ValueFact> Initial(OpContext context) => Enumerable.Range(FirstCarried, Math.Max(0, context.Node.Inputs.Length - FirstCarried)).Select(i => context.Input(i));

    /// <summary>The number of the iteration, and the condition, which holds whenever the body runs.</summary>
    private static ValueFact[] Own(IteratedBody body)
    {
        var number = DimsOf(body.Graph.Inputs[0]);
        int[] condition = DimsOf(body.Graph.Inputs[1]);
        return [new(ElementType.Int64, TensorShape.FromDims(number)), ValueFact.Of(Tensor.Create([true], condition))];
    }

    /// <summary>A scalar, or a list of one where the body says so.</summary>
    private static int[] DimsOf(ValueInfo input) => input.Shape is { IsKnown: true, ElementCount: 1 } shape ? shape.ToInts() : [];

    /// <summary>How many iterations there will be; null where only a run tells.</summary>
    private static long? Count(OpContext context, ValueFact after)
    {
        bool hasCondition = context.Optional(1) is not null;
        if (context.Optional(0)?.Value?.ToInt64s()[0] <= 0 || context.Optional(1)?.Value?.Span<bool>()[0] == false) return 0;
        if (context.Optional(0)?.Value?.ToInt64s()[0] is not { } trips) return null;
        if (hasCondition && (context.Optional(1)!.Value is null || after.Value is not { Type: ElementType.Bool } goesOn || !goesOn.Span<bool>()[0])) return null;
        return trips <= IteratedStep.MaxIterations ? trips : throw context.Unsupported($"it has {trips} iterations, supported are {IteratedStep.MaxIterations}");
    }

    private sealed class LoopStep(IteratedBody body, ISubgraph graph, ValueFact[] results) : IteratedStep(body, graph, results, FirstCarried)
    {
        private const int NumberBytes = sizeof(long);

        private readonly TensorLayout _number = new(ElementType.Int64, DimsOf(body.Graph.Inputs[0]));
        private readonly TensorLayout _condition = new(ElementType.Bool, DimsOf(body.Graph.Inputs[1]));

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => new(NumberBytes + sizeof(bool));

        protected override bool Continues(in StepContext context, int done, ISubgraphRun? last)
        {
            if (context.Inputs[0].IsPresent && done >= context.Input<long>(0)[0]) return false;
            if (!(context.Inputs.Length > 1 && context.Inputs[1].IsPresent)) return true;
            return last is null ? context.Input<bool>(1)[0] : last.View(0).Read<bool>()[0];
        }

        protected override unsafe void Bind(in StepContext context, int iteration, Span<TensorView> inputs)
        {
            byte* memory = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(context.Workspace));
            *(long*)memory = iteration;
            *(bool*)(memory + NumberBytes) = true;
            inputs[0] = new(memory, _number);
            inputs[1] = new(memory + NumberBytes, _condition);
        }
    }
}
