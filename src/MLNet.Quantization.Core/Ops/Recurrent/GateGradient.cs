using System.Numerics;
using System.Runtime.CompilerServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>
/// What the gates of a recurrent cell read and write for one row at one step while training. Gates are <see cref="Width"/> values wide and
/// follow each other as in <see cref="GateArguments"/>; gradients beyond the layer's own units are 0.
/// </summary>
internal unsafe struct GateRow<T> where T : unmanaged
{
    public int Width;

    /// <summary>x · W + bias, all gates. A reset cell replaces that of the update gate by the gate on the way forward.</summary>
    public T* Input;

    /// <summary>h · R, all gates; of a reset cell the first two.</summary>
    public T* Recurrent;

    /// <summary>Reset cells: (r ⊙ h) · R of the last gate.</summary>
    public T* LastRecurrent;

    /// <summary>Peepholes of the gates i, o, f, or null.</summary>
    public T* Peepholes;

    /// <summary>h and c before the step.</summary>
    public T* State, Cell;

    /// <summary>h and c after it.</summary>
    public T* NextState, NextCell;

    /// <summary>Reset cells: r ⊙ h; on the way back its gradient.</summary>
    public T* Reset;

    /// <summary>∂L/∂h and ∂L/∂c after the step; replaced by what of those before it does not go through R.</summary>
    public T* StateGradient, CellGradient;

    /// <summary>Gradients of <see cref="Input"/>, <see cref="Recurrent"/> and <see cref="LastRecurrent"/>, overwritten.</summary>
    public T* InputGradient, RecurrentGradient, LastGradient;

    /// <summary><see cref="GateGradient{T}.ScratchCount"/> values.</summary>
    public T* Scratch;
}

/// <summary>The gates of one kind of cell while training, one row and one step at a time. Float32 goes forward by the kernel that scores.</summary>
internal abstract unsafe class GateGradient<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly RecurrentGates _kernel;
    private readonly float _clip;

    /// <param name="form">The node.</param>
    /// <param name="direction">0 or 1.</param>
    protected GateGradient(RecurrentForm form, int direction)
    {
        _kernel = RecurrentCell.GatesOf(form, direction);
        _clip = form.Clip;
        Couples = form.CouplesGates;
    }

    /// <summary>Gates of each product over the state: all at once, or of a reset cell two and then the last.</summary>
    public abstract int[] Products { get; }

    /// <summary>Whether what goes back to the product over the state is what goes back to the one over x.</summary>
    public virtual bool SharesGradient => true;

    protected bool Couples { get; }

    /// <summary>Values of scratch memory for gates of a width: sums and values of at most four gates, and a function of the cell.</summary>
    public static int ScratchCount(int width) => 9 * width;

    public static GateGradient<T> Create(RecurrentForm form, int direction) => form.Cell switch
    {
        "LSTM" => new LstmGradient<T>(form, direction),
        "GRU" when form.ResetsAfter => new GruGradient<T>(form, direction),
        "GRU" => new ResetGradient<T>(form, direction),
        _ => new RnnGradient<T>(form, direction),
    };

    /// <summary>From the sums to h and c; of a reset cell, after the first product, to r ⊙ h.</summary>
    public void Forward(in GateRow<T> row, int product)
    {
        if (typeof(T) != typeof(float))
        {
            Define(row, product);
            return;
        }
        int bytes = row.Width * sizeof(T);
        if (product == 0)
        {
            Buffer.MemoryCopy(row.State, row.NextState, bytes, bytes);
            if (row.Cell != null) Buffer.MemoryCopy(row.Cell, row.NextCell, bytes, bytes);
        }
        var a = new GateArguments
        {
            Width = row.Width,
            Input = (float*)row.Input,
            Recurrent = (float*)(product == 0 ? row.Recurrent : row.LastRecurrent),
            Peepholes = (float*)row.Peepholes,
            Cell = (float*)row.NextCell,
            State = (float*)row.NextState,
            Reset = (float*)row.Reset,
            Clip = _clip,
            Coupled = Couples,
        };
        if (product == 0) _kernel.Run(&a);
        else ((ResetGates)_kernel).Finish(&a);
    }

    /// <summary>From the gradients of h and c to those of the sums that go into a product, and what goes past it.</summary>
    public abstract void Backward(in GateRow<T> row, int product);

    /// <summary><see cref="Forward"/> by the standard's formulas.</summary>
    protected abstract void Define(in GateRow<T> row, int product);

    protected GateFunction<T> FunctionOf(RecurrentForm form, int direction, int index) => new(form.Activations[direction][index], form.Clip);

    /// <summary>Of a function that no clip stands before.</summary>
    protected static GateFunction<T> UnboundedOf(RecurrentForm form, int direction, int index) => new(form.Activations[direction][index], float.PositiveInfinity);

    protected static Span<T> Part(T* from, int gate, int width) => new(from + (gate * width), width);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static Vector<T> At(T* values, int j) => Vector.Load(values + j);
}
