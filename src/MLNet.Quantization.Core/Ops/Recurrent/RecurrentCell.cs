using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>One direction of a recurrent layer, prepared: its products and gates. Immutable.</summary>
internal abstract unsafe class RecurrentCell
{
    protected RecurrentCell(RowProduct input, RecurrentWeights weights, float clip)
    {
        Input = input;
        Width = weights.Width;
        Hidden = weights.Hidden;
        Clip = clip;
    }

    /// <summary>x · W + bias.</summary>
    public RowProduct Input { get; }

    /// <summary>Floats of one row of the state.</summary>
    public int Width { get; }

    public int Hidden { get; }

    protected float Clip { get; }

    /// <summary>Scratch memory of <see cref="Advance"/> for so many rows.</summary>
    public abstract long ScratchBytes(int rows);

    /// <summary>One step.</summary>
    /// <param name="rows">Rows of a batch, at most <paramref name="capacity"/>.</param>
    /// <param name="capacity">What the scratch is for.</param>
    /// <param name="input">[rows, Input.N]; may be overwritten.</param>
    /// <param name="state">h [rows, Width], replaced.</param>
    /// <param name="cell">c [rows, Width], replaced; null where the cell has none.</param>
    /// <param name="scratch"><see cref="ScratchBytes"/>.</param>
    /// <param name="fromEnd">Which end of the weights to begin at; steps should alternate (<see cref="RowProduct.Run"/>).</param>
    /// <param name="maxThreads">Most threads.</param>
    public abstract void Advance(int rows, int capacity, float* input, float* state, float* cell, byte* scratch, bool fromEnd, int maxThreads);

    /// <summary>One cell for each direction.</summary>
    /// <param name="form">The node.</param>
    /// <param name="weights">Its W and R.</param>
    /// <param name="bias">B [directions, 2 · gates · hidden], or null.</param>
    /// <param name="peepholes">P [directions, 3 · hidden], or null.</param>
    public static RecurrentCell[] CreateAll(RecurrentForm form, RecurrentWeights weights, float[]? bias, float[]? peepholes)
    {
        var cells = new RecurrentCell[form.DirectionCount];
        for (int d = 0; d < cells.Length; d++) cells[d] = Create(form, weights, d, Part(bias, d), Part(peepholes, d));
        return cells;

        ReadOnlySpan<float> Part(float[]? all, int direction) => all is null ? default : all.AsSpan(direction * (all.Length / form.DirectionCount), all.Length / form.DirectionCount);
    }

    /// <summary>The kernel of one direction's gates.</summary>
    public static RecurrentGates GatesOf(RecurrentForm form, int direction)
    {
        var f = form.Activations[direction];
        return form.Cell switch
        {
            "LSTM" => new LstmGates(f[0], f[1], f[2]),
            "GRU" when form.ResetsAfter => new GruGates(f[0], f[1]),
            "GRU" => new ResetGates(f[0], f[1]),
            _ => new RnnGates(f[0]),
        };
    }

    /// <param name="form">The node.</param>
    /// <param name="weights">Its W and R.</param>
    /// <param name="direction">0 or 1.</param>
    /// <param name="bias">B of the direction [2 · gates · hidden], that of W before that of R; or empty.</param>
    /// <param name="peepholes">P of the direction [3 · hidden], or empty.</param>
    private static RecurrentCell Create(RecurrentForm form, RecurrentWeights weights, int direction, ReadOnlySpan<float> bias, ReadOnlySpan<float> peepholes)
    {
        int gates = form.Gates;
        float[] inputBias = bias.IsEmpty ? [] : weights.PadGates(bias, 0, gates), recurrentBias = bias.IsEmpty ? [] : weights.PadGates(bias, gates, gates);
        // What is multiplied by the reset gate, its bias with it, cannot be added beforehand.
        int joined = form is { Cell: "GRU", ResetsAfter: true } ? 2 : gates;
        for (int i = 0; i < inputBias.Length && i < joined * weights.Width; i++)
        {
            inputBias[i] += recurrentBias[i];
            recurrentBias[i] = 0;
        }
        var input = weights.Input(direction, inputBias);
        if (form.Cell == "GRU" && !form.ResetsAfter)
            return new ResetCell(input, weights.Recurrent(direction, 0, 2, []), weights.Recurrent(direction, 2, 1, []), weights, form.Clip, (ResetGates)GatesOf(form, direction));
        var recurrent = weights.Recurrent(direction, 0, gates, joined < gates ? recurrentBias : []);
        return new PlainCell(input, recurrent, weights, form.Clip, GatesOf(form, direction), peepholes.IsEmpty ? [] : weights.PadGates(peepholes, 0, 3), form.CouplesGates);
    }

    /// <summary>LSTM, RNN, and GRU with linear_before_reset: one product over the state, then the gates.</summary>
    private sealed class PlainCell(RowProduct input, RowProduct recurrent, RecurrentWeights weights, float clip, RecurrentGates gates, float[] peepholes, bool coupled)
        : RecurrentCell(input, weights, clip)
    {
        private readonly int _sums = recurrent.N;

        public override long ScratchBytes(int rows) => AlignedBuffer.Align(recurrent.SlotBytes(rows)) + AlignedBuffer.Align(4L * rows * _sums);

        public override void Advance(int rows, int capacity, float* input, float* state, float* cell, byte* scratch, bool fromEnd, int maxThreads)
        {
            float* sums = (float*)(scratch + AlignedBuffer.Align(recurrent.SlotBytes(capacity)));
            recurrent.Put((byte*)state, sizeof(float) * (long)Width, rows, 0, scratch, capacity);
            recurrent.Run(rows, scratch, capacity, sums, fromEnd, maxThreads);
            fixed (float* p = peepholes)
            {
                var a = new GateArguments
                {
                    Width = Width,
                    Rows = rows,
                    InputStep = _sums,
                    RecurrentStep = _sums,
                    Input = input,
                    Recurrent = sums,
                    Peepholes = p,
                    Cell = cell,
                    State = state,
                    Clip = Clip,
                    Coupled = coupled,
                };
                gates.Run(&a);
            }
        }
    }

    /// <summary>GRU without linear_before_reset: a second product, over r ⊙ h.</summary>
    private sealed class ResetCell(RowProduct input, RowProduct first, RowProduct last, RecurrentWeights weights, float clip, ResetGates gates) : RecurrentCell(input, weights, clip)
    {
        public override long ScratchBytes(int rows) => AlignedBuffer.Align(Math.Max(first.SlotBytes(rows), last.SlotBytes(rows))) + AlignedBuffer.Align(4L * rows * first.N) + AlignedBuffer.Align(4L * rows * Width);

        public override void Advance(int rows, int capacity, float* input, float* state, float* cell, byte* scratch, bool fromEnd, int maxThreads)
        {
            float* sums = (float*)(scratch + AlignedBuffer.Align(Math.Max(first.SlotBytes(capacity), last.SlotBytes(capacity))));
            float* reset = (float*)((byte*)sums + AlignedBuffer.Align(4L * capacity * first.N));
            long rowBytes = sizeof(float) * (long)Width;
            first.Put((byte*)state, rowBytes, rows, 0, scratch, capacity);
            first.Run(rows, scratch, capacity, sums, fromEnd, maxThreads);
            var a = Arguments(rows, input, sums, first.N, state, reset);
            gates.Run(&a);
            last.Put((byte*)reset, rowBytes, rows, 0, scratch, capacity);
            last.Run(rows, scratch, capacity, sums, fromEnd, maxThreads);
            a = Arguments(rows, input, sums, last.N, state, reset);
            gates.Finish(&a);
        }

        private GateArguments Arguments(int rows, float* input, float* sums, int sumsStep, float* state, float* reset) => new()
        {
            Width = Width,
            Rows = rows,
            InputStep = Input.N,
            RecurrentStep = sumsStep,
            Input = input,
            Recurrent = sums,
            State = state,
            Reset = reset,
            Clip = Clip,
        };
    }
}
