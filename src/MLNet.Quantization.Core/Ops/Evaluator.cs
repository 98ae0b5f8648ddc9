using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Computes one node on constants, with the step that would score it.</summary>
internal static class Evaluator
{
    /// <param name="op">The node's operator.</param>
    /// <param name="context">All inputs that are not omitted must have a <see cref="ValueFact.Value"/>.</param>
    /// <returns>One tensor an output of the operator.</returns>
    public static unsafe Tensor[] Evaluate(Operator op, OpContext context)
    {
        var prepare = new PrepareContext(context.Node, context.Opset, context.Inputs, null);
        var facts = op.Infer(prepare);
        var step = op.Prepare(prepare);
        var inputs = context.Inputs.Select(f => f?.Value).ToArray();
        var inputLayouts = inputs.Select(t => t is null ? null : new TensorLayout(t.Type, t.Dims)).ToArray();
        var outputLayouts = facts.Select(f => (TensorLayout?)new TensorLayout(f.Type, f.Shape!.ToInts())).ToArray();
        var plan = step.Plan(inputLayouts, outputLayouts);

        var memory = new List<nint>();
        try
        {
            var inputViews = new TensorView[inputs.Length];
            for (int i = 0; i < inputs.Length; i++)
            {
                if (inputs[i] is not { } tensor) continue;
                var block = Allocate(memory, tensor.Bytes.Length);
                tensor.Bytes.Span.CopyTo(new Span<byte>((void*)block, tensor.Bytes.Length));
                inputViews[i] = new((byte*)block, inputLayouts[i]!);
            }
            var outputViews = new TensorView[facts.Length];
            for (int i = 0; i < facts.Length; i++)
                outputViews[i] = new((byte*)(step.AliasedInput >= 0 ? CopyOf(inputs[step.AliasedInput]!, memory) : Allocate(memory, outputLayouts[i]!.ByteCount)), outputLayouts[i]!);
            if (step.AliasedInput < 0)
            {
                var workspace = new Span<byte>((void*)Allocate(memory, plan.WorkspaceBytes), checked((int)plan.WorkspaceBytes));
                step.Run(new StepContext(inputViews, outputViews, workspace, plan.State, 1));
            }
            return [.. outputViews.Select(v => new Tensor(v.Type, v.Dims, v.Read<byte>().ToArray()))];
        }
        finally
        {
            foreach (nint block in memory) NativeMemory.AlignedFree((void*)block);
        }
    }

    private static unsafe nint CopyOf(Tensor tensor, List<nint> memory)
    {
        nint block = Allocate(memory, tensor.Bytes.Length);
        tensor.Bytes.Span.CopyTo(new Span<byte>((void*)block, tensor.Bytes.Length));
        return block;
    }

    private static unsafe nint Allocate(List<nint> memory, long bytes)
    {
        nint block = (nint)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 64), 64);
        memory.Add(block);
        return block;
    }
}
