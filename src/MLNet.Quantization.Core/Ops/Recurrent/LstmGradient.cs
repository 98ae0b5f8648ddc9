using System.Numerics;
using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Ops.Recurrent;

// With C = F ⊙ c + i ⊙ g and h = o ⊙ H(C): ∂o = ∂h ⊙ H, ∂C = ∂c + ∂h ⊙ o ⊙ H', ∂i = ∂C ⊙ g, ∂F = ∂C ⊙ c, ∂g = ∂C ⊙ i, and what goes back is ∂C ⊙ F.
/// <summary>LSTM: <see cref="Kernels.LstmGates"/> has the formulas.</summary>
internal sealed unsafe class LstmGradient<T> : GateGradient<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    private readonly GateFunction<T> _f, _g, _h;

    public LstmGradient(RecurrentForm form, int direction) : base(form, direction) =>
        (_f, _g, _h) = (FunctionOf(form, direction, 0), FunctionOf(form, direction, 1), UnboundedOf(form, direction, 2));

    public override int[] Products { get; } = [4];

    protected override void Define(in GateRow<T> row, int product)
    {
        var gates = new Gates(this, row);
        for (int j = 0; j < row.Width; j += Vector<T>.Count)
        {
            gates.CellAt(j).Store(row.NextCell + j);
            (At(gates.Output, j) * At(gates.OfCell, j)).Store(row.NextState + j);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Backward(in GateRow<T> row, int product)
    {
        var gates = new Gates(this, row);
        int width = row.Width;
        T* p = row.Peepholes, g = row.InputGradient;
        for (int j = 0; j < width; j += Vector<T>.Count)
        {
            Vector<T> h = At(row.StateGradient, j), c = At(row.Cell, j), cell = gates.CellAt(j);
            Vector<T> i = At(gates.Input, j), o = At(gates.Output, j), f = At(gates.Forget, j), change = At(gates.Change, j), ofCell = At(gates.OfCell, j);
            var output = h * ofCell * _f.Slope(At(gates.Sums + width, j), o);
            var toCell = At(row.CellGradient, j) + (h * o * _h.Slope(cell, ofCell));
            if (p != null) toCell += At(p + width, j) * output;
            var toInput = (Couples ? toCell * (change - c) : toCell * change) * _f.Slope(At(gates.Sums, j), i);
            var toForget = Couples ? Vector<T>.Zero : toCell * c * _f.Slope(At(gates.Sums + (2 * width), j), f);
            var past = toCell * f;
            if (p != null) past += (At(p, j) * toInput) + (At(p + (2 * width), j) * toForget);
            toInput.Store(g + j);
            output.Store(g + width + j);
            toForget.Store(g + (2 * width) + j);
            (toCell * i * _g.Slope(At(gates.Sums + (3 * width), j), change)).Store(g + (3 * width) + j);
            past.Store(row.CellGradient + j);
            Vector<T>.Zero.Store(row.StateGradient + j);
        }
    }

    /// <summary>Sums and values of the gates, worked out anew.</summary>
    private readonly struct Gates
    {
        private readonly T* _cell;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public Gates(LstmGradient<T> op, in GateRow<T> row)
        {
            int width = row.Width;
            T* p = row.Peepholes;
            Sums = row.Scratch;
            Input = Sums + (4 * width);
            Output = Input + width;
            Forget = Output + width;
            Change = Forget + width;
            OfCell = Change + width;
            _cell = row.Cell;
            for (int j = 0; j < 4 * width; j += Vector<T>.Count) (At(row.Input, j) + At(row.Recurrent, j)).Store(Sums + j);
            for (int j = 0; p != null && j < width; j += Vector<T>.Count)
            {
                (At(Sums, j) + (At(p, j) * At(_cell, j))).Store(Sums + j);
                (At(Sums + (2 * width), j) + (At(p + (2 * width), j) * At(_cell, j))).Store(Sums + (2 * width) + j);
            }
            op._f.Map(Part(Sums, 0, width), Part(Input, 0, width));
            op._f.Map(Part(Sums, 2, width), Part(Forget, 0, width));
            op._g.Map(Part(Sums, 3, width), Part(Change, 0, width));
            for (int j = 0; op.Couples && j < width; j += Vector<T>.Count) (Vector<T>.One - At(Input, j)).Store(Forget + j);
            for (int j = 0; j < width; j += Vector<T>.Count)
            {
                var cell = CellAt(j);
                if (p != null) (At(Sums + width, j) + (At(p + width, j) * cell)).Store(Sums + width + j);
                cell.Store(OfCell + j);
            }
            op._h.Map(Part(OfCell, 0, width), Part(OfCell, 0, width));
            op._f.Map(Part(Sums, 1, width), Part(Output, 0, width));
        }

        /// <summary>Of i, o, f, c, as the gates' functions get them, unbounded.</summary>
        public T* Sums { get; }

        public T* Input { get; }

        public T* Output { get; }

        public T* Forget { get; }

        public T* Change { get; }

        /// <summary>H(C).</summary>
        public T* OfCell { get; }

        /// <summary>C.</summary>
        public Vector<T> CellAt(int j) => (At(Forget, j) * At(_cell, j)) + (At(Input, j) * At(Change, j));
    }
}
