using System.Numerics;
using System.Runtime.InteropServices;

namespace MLNet.Quantization.Ops;

/// <summary>One call of an operator on a tape: what it reads and writes, the gradients of both, and what the way there keeps for the way back.</summary>
/// <param name="context">The node's attributes, and facts of its inputs with known shapes; small constants (axes, target shapes) have their value.</param>
/// <param name="inputs">By position; null where omitted or not of real numbers.</param>
/// <param name="outputs">By position; null where omitted.</param>
/// <param name="memory">Shared by the nodes of a tape.</param>
internal sealed class TapeNode<T>(OpContext context, Values<T>?[] inputs, Values<T>?[] outputs, TapeMemory memory) where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly List<T[]> _scratch = [];

    public OpContext Context { get; } = context;

    public Values<T>?[] Inputs { get; } = inputs;

    /// <summary>Inputs of integers that only the data tells, such as ids: by position, null elsewhere. Constant ones stand in <see cref="Context"/>.</summary>
    public Values<long>?[] Integers { get; } = new Values<long>?[inputs.Length];

    public Values<T>?[] Outputs { get; } = outputs;

    /// <summary>∂L/∂y by position, in the shapes of the outputs; null where nothing flows back.</summary>
    public Values<T>?[] OutputGradients { get; } = new Values<T>?[outputs.Length];

    /// <summary>∂L/∂x by position, in the shapes of the inputs; null where none is wanted.</summary>
    public Values<T>?[] InputGradients { get; } = new Values<T>?[inputs.Length];

    /// <summary>The gradient of input 0 holds nothing yet, and is to be overwritten. Only where the operator <see cref="IDifferentiable.Overwrites"/>.</summary>
    public bool IsFresh { get; set; }

    /// <summary>Whether statistics are taken from the batch; false: the stored ones are used.</summary>
    public bool IsTraining { get; set; } = true;

    /// <summary>0: <see cref="Parallelism.MaxThreads"/>.</summary>
    public int MaxThreads => memory.MaxThreads;

    /// <summary>Memory for the length of one call, shared with other nodes.</summary>
    public TapeMemory Memory => memory;

    /// <summary>What Forward leaves for Backward, or works out once from the shapes, which do not change.</summary>
    public object? State { get; set; }

    public Values<T> Input(int index) => Inputs[index] ?? throw Context.Malformed($"input {index} is missing");

    public Values<T> Output(int index = 0) => Outputs[index]!;

    public bool Has(int input) => input < Inputs.Length && Inputs[input] is not null;

    /// <summary>The gradient at an output, which the caller knows to be there.</summary>
    public Values<T> OutputGradient(int index = 0) => OutputGradients[index]!;

    /// <summary>Null where none is wanted.</summary>
    public Values<T>? InputGradient(int index) => index < InputGradients.Length ? InputGradients[index] : null;

    /// <summary>Memory of the node's own, kept from call to call with its contents; zero at first.</summary>
    /// <param name="slot">0, 1, ...: a number for each use.</param>
    /// <param name="count">Elements; always the same for a slot.</param>
    public Span<T> Scratch(int slot, int count)
    {
        while (_scratch.Count <= slot) _scratch.Add([]);
        if (_scratch[slot].Length < count) CollectionsMarshal.AsSpan(_scratch)[slot] = new T[count];
        return _scratch[slot].AsSpan(0, count);
    }
}
