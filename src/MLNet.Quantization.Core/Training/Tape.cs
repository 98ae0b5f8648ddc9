using System.Numerics;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>
/// Forward and backward through a <see cref="TrainingGraph"/> for one combination of input shapes (reverse-mode differentiation). Memory is
/// taken once; gradients whose lives do not overlap share it. For one thread.
/// </summary>
internal sealed class Tape<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly List<TapeEntry<T>> _entries;
    private readonly Dictionary<string, Values<T>> _reals;
    private readonly Dictionary<string, Values<long>> _integers;
    private readonly string[] _inputs;
    private readonly string _output;

    internal Tape(List<TapeEntry<T>> entries, Dictionary<string, Values<T>> reals, Dictionary<string, Values<long>> integers, string[] inputs, string output, Values<T> outputGradient)
    {
        _entries = entries;
        _reals = reals;
        _integers = integers;
        _inputs = inputs;
        _output = output;
        OutputGradient = outputGradient;
    }

    /// <summary>The value that the loss is of.</summary>
    public Values<T> Output => _reals[_output];

    /// <summary>∂L/∂ <see cref="Output"/>: to be filled between the two directions.</summary>
    public Values<T> OutputGradient { get; }

    /// <summary>An input of real numbers, to be filled; null where it holds integers.</summary>
    public Values<T>? Input(int index) => _reals.GetValueOrDefault(_inputs[index]);

    /// <summary>An input of integers, to be filled; null where it holds real numbers.</summary>
    public Values<long>? IntegerInput(int index) => _integers.GetValueOrDefault(_inputs[index]);

    /// <summary>A value of real numbers by its name in the graph.</summary>
    public Values<T>? Value(string name) => _reals.GetValueOrDefault(name);

    /// <summary>The nodes that gradients may flow through, in order.</summary>
    public IEnumerable<TapeNode<T>> Nodes => _entries.OfType<DifferentiableEntry<T>>().Select(e => e.Node);

    public void Forward()
    {
        foreach (var entry in _entries) entry.Forward();
    }

    /// <summary>Adds to the gradients of the parameters.</summary>
    public void Backward()
    {
        for (int i = _entries.Count - 1; i >= 0; i--) _entries[i].Backward();
    }

    /// <summary>
    /// Goes back as far as the first node that is sought, and returns it, or null. Later nodes have not yet written over the memory that its
    /// gradients share with theirs.
    /// </summary>
    public TapeNode<T>? BackwardUntil(Predicate<TapeNode<T>> isSought)
    {
        for (int i = _entries.Count - 1; i >= 0; i--)
        {
            _entries[i].Backward();
            if (_entries[i] is DifferentiableEntry<T> { Node: var node } && isSought(node)) return node;
        }
        return null;
    }
}
