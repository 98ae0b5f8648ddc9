using System.Numerics;
using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>RNN: h = f(x + h').</summary>
internal sealed unsafe class RnnGradient<T> : GateGradient<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly GateFunction<T> _f;

    public RnnGradient(RecurrentForm form, int direction) : base(form, direction) => _f = FunctionOf(form, direction, 0);

    public override int[] Products { get; } = [1];

    protected override void Define(in GateRow<T> row, int product)
    {
        for (int j = 0; j < row.Width; j += Vector<T>.Count) (At(row.Input, j) + At(row.Recurrent, j)).Store(row.Scratch + j);
        _f.Map(Part(row.Scratch, 0, row.Width), Part(row.NextState, 0, row.Width));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Backward(in GateRow<T> row, int product)
    {
        for (int j = 0; j < row.Width; j += Vector<T>.Count)
        {
            var slope = _f.Slope(At(row.Input, j) + At(row.Recurrent, j), At(row.NextState, j));
            (At(row.StateGradient, j) * slope).Store(row.InputGradient + j);
            Vector<T>.Zero.Store(row.StateGradient + j);
        }
    }
}
