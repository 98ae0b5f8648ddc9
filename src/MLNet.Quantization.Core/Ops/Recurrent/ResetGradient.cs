using System.Numerics;
using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Ops.Recurrent;

// As GruGradient, but n = g(a + (r ⊙ h) · R): back through the last gate and its product first, then ∂r = ∂(r ⊙ h) ⊙ h, and ∂(r ⊙ h) ⊙ r goes past.
/// <summary>GRU without linear_before_reset: <see cref="Kernels.ResetGates"/> has the formulas.</summary>
internal sealed unsafe class ResetGradient<T> : GateGradient<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly GateFunction<T> _f, _g;

    public ResetGradient(RecurrentForm form, int direction) : base(form, direction) => (_f, _g) = (FunctionOf(form, direction, 0), FunctionOf(form, direction, 1));

    public override int[] Products { get; } = [2, 1];

    public override bool SharesGradient => false;

    protected override void Define(in GateRow<T> row, int product)
    {
        int width = row.Width;
        T* values = product == 0 ? First(row) : Last(row);
        for (int j = 0; j < width; j += Vector<T>.Count)
            if (product == 0)
            {
                At(values, j).Store(row.Input + j);
                (At(values + width, j) * At(row.State, j)).Store(row.Reset + j);
            }
            else
            {
                var z = At(row.Input, j);
                (((Vector<T>.One - z) * At(values, j)) + (z * At(row.State, j))).Store(row.NextState + j);
            }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Backward(in GateRow<T> row, int product)
    {
        int width = row.Width;
        T* gates = First(row), last = product == 0 ? null : Last(row), sums = row.Scratch, g = row.InputGradient;
        for (int j = 0; j < width; j += Vector<T>.Count)
        {
            Vector<T> h = At(row.StateGradient, j), before = At(row.State, j), z = At(gates, j), r = At(gates + width, j);
            if (product == 0)
            {
                var toReset = At(row.Reset, j) * before * _f.Slope(At(sums + width, j), r);
                toReset.Store(g + width + j);
                toReset.Store(row.RecurrentGradient + width + j);
                (h + (At(row.Reset, j) * r)).Store(row.StateGradient + j);
                continue;
            }
            var change = At(last, j);
            var toUpdate = h * (before - change) * _f.Slope(At(sums, j), z);
            var toChange = h * (Vector<T>.One - z) * _g.Slope(At(sums + (2 * width), j), change);
            toUpdate.Store(g + j);
            toUpdate.Store(row.RecurrentGradient + j);
            toChange.Store(g + (2 * width) + j);
            toChange.Store(row.LastGradient + j);
            (h * z).Store(row.StateGradient + j);
        }
    }

    /// <summary>z and r, behind the sums of three gates in the scratch memory.</summary>
    private T* First(in GateRow<T> row)
    {
        T* values = row.Scratch + (3 * row.Width);
        for (int j = 0; j < 2 * row.Width; j += Vector<T>.Count) (At(row.Input, j) + At(row.Recurrent, j)).Store(row.Scratch + j);
        _f.Map(new(row.Scratch, 2 * row.Width), new(values, 2 * row.Width));
        return values;
    }

    /// <summary>n, behind z and r.</summary>
    private T* Last(in GateRow<T> row)
    {
        T* sums = row.Scratch + (2 * row.Width), values = row.Scratch + (5 * row.Width);
        for (int j = 0; j < row.Width; j += Vector<T>.Count) (At(row.Input + (2 * row.Width), j) + At(row.LastRecurrent, j)).Store(sums + j);
        _g.Map(new(sums, row.Width), new(values, row.Width));
        return values;
    }
}
