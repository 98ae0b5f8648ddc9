using System.Numerics;
using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Ops.Recurrent;

// With H = (1 - z) ⊙ n + z ⊙ h and n = g(a + r ⊙ b): ∂z = ∂H ⊙ (h - n), ∂a = ∂H ⊙ (1 - z) ⊙ g', ∂b = ∂a ⊙ r, ∂r = ∂a ⊙ b, and ∂H ⊙ z goes past.
/// <summary>GRU with linear_before_reset: <see cref="Kernels.GruGates"/> has the formulas.</summary>
internal sealed unsafe class GruGradient<T> : GateGradient<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly GateFunction<T> _f, _g;

    public GruGradient(RecurrentForm form, int direction) : base(form, direction) => (_f, _g) = (FunctionOf(form, direction, 0), FunctionOf(form, direction, 1));

    public override int[] Products { get; } = [3];

    public override bool SharesGradient => false;

    protected override void Define(in GateRow<T> row, int product)
    {
        T* values = Values(row);
        for (int j = 0; j < row.Width; j += Vector<T>.Count)
        {
            Vector<T> z = At(values, j), change = At(values + (2 * row.Width), j);
            (((Vector<T>.One - z) * change) + (z * At(row.State, j))).Store(row.NextState + j);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Backward(in GateRow<T> row, int product)
    {
        int width = row.Width;
        T* values = Values(row), sums = row.Scratch, g = row.InputGradient, back = row.RecurrentGradient;
        for (int j = 0; j < width; j += Vector<T>.Count)
        {
            Vector<T> h = At(row.StateGradient, j), z = At(values, j), r = At(values + width, j), change = At(values + (2 * width), j);
            var toChange = h * (Vector<T>.One - z) * _g.Slope(At(sums + (2 * width), j), change);
            var toUpdate = h * (At(row.State, j) - change) * _f.Slope(At(sums, j), z);
            var toReset = toChange * At(row.Recurrent + (2 * width), j) * _f.Slope(At(sums + width, j), r);
            toUpdate.Store(g + j);
            toReset.Store(g + width + j);
            toChange.Store(g + (2 * width) + j);
            toUpdate.Store(back + j);
            toReset.Store(back + width + j);
            (toChange * r).Store(back + (2 * width) + j);
            (h * z).Store(row.StateGradient + j);
        }
    }

    /// <summary>z, r and n, behind their sums in the scratch memory.</summary>
    private T* Values(in GateRow<T> row)
    {
        int width = row.Width;
        T* sums = row.Scratch, values = sums + (3 * width);
        for (int j = 0; j < 2 * width; j += Vector<T>.Count) (At(row.Input, j) + At(row.Recurrent, j)).Store(sums + j);
        _f.Map(new(sums, 2 * width), new(values, 2 * width));
        for (int j = 2 * width; j < 3 * width; j += Vector<T>.Count) (At(row.Input, j) + (At(values, j - width) * At(row.Recurrent, j))).Store(sums + j);
        _g.Map(Part(sums, 2, width), Part(values, 2, width));
        return values;
    }
}
