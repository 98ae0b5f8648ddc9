using System.Runtime.CompilerServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// A prepared node: holds packed constants and the chosen kernel, nothing of a run. Immutable after construction, so one step serves
/// any number of threads; what a run needs beside its inputs and outputs is asked for in <see cref="Plan"/>.
/// </summary>
internal abstract class Step
{
    /// <summary>Called once a plan, with concrete layouts: asks for workspace and works out what depends on shapes alone.</summary>
    public virtual StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs) => StepPlan.Empty;

    /// <summary>Computes the outputs. Must not allocate.</summary>
    public abstract void Run(in StepContext context);

    /// <summary>True where <see cref="RunOpen"/> takes the place of <see cref="Run"/> in plans that cannot tell the extents of the outputs.</summary>
    public virtual bool CanSizeOutputs => false;

    /// <summary>Computes the outputs, whose extents only the data tells; may allocate. There are no output views. One tensor an output of the operator.</summary>
    public virtual Tensor[] RunOpen(in StepContext context) => throw new NotSupportedException();

    /// <summary>
    /// The input whose memory output 0 simply is (Reshape, Identity ...), or -1. Such a step is never run.
    /// </summary>
    public virtual int AliasedInput => -1;

    /// <summary>True where output 0 may be written over this input's memory, if it has as many bytes and nobody reads it later.</summary>
    public virtual bool CanOverwrite(int input) => false;

    /// <summary>False where the step has taken what it needs from a constant input (packed weights), so that it need not be kept.</summary>
    public virtual bool ReadsAtRun(int input) => true;

    /// <summary>True where <see cref="Run"/> understands <see cref="TensorView.Sparse"/> at this input.</summary>
    public virtual bool AcceptsSparse(int input) => false;
}

/// <summary>What a step needs in one plan.</summary>
/// <param name="WorkspaceBytes">Scratch memory for the length of one Run, 64-byte aligned; not cleared.</param>
/// <param name="State">Anything worked out from the shapes; immutable, shared by all runs of the plan.</param>
internal sealed record StepPlan(long WorkspaceBytes, object? State = null)
{
    public static StepPlan Empty { get; } = new(0);
}

/// <summary>What a step sees of a run.</summary>
internal readonly ref struct StepContext(ReadOnlySpan<TensorView> inputs, ReadOnlySpan<TensorView> outputs, Span<byte> workspace, object? state, int maxThreads)
{
    /// <summary>By position; the default view where omitted or not read at run. Captures of subgraphs come last.</summary>
    public readonly ReadOnlySpan<TensorView> Inputs = inputs;

    public readonly ReadOnlySpan<TensorView> Outputs = outputs;

    public readonly Span<byte> Workspace = workspace;

    /// <summary>What <see cref="Step.Plan"/> left in <see cref="StepPlan.State"/>.</summary>
    public readonly object? State = state;

    /// <summary>How many threads the step may keep busy, this one included.</summary>
    public readonly int MaxThreads = maxThreads;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ReadOnlySpan<T> Input<T>(int index) where T : unmanaged => Inputs[index].Read<T>();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<T> Output<T>(int index) where T : unmanaged => Outputs[index].Write<T>();
}
