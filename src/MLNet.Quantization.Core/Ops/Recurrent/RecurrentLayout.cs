namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>Where rows lie in the tensors of a recurrent layer.</summary>
/// <param name="Steps">T.</param>
/// <param name="Batch">B.</param>
/// <param name="Directions">D: 1 or 2.</param>
/// <param name="BatchFirst">x [B, T, ...], Y [B, T, D, hidden] and states [B, D, hidden], in place of [T, B, ...], [T, D, B, hidden] and [D, B, hidden].</param>
internal readonly record struct RecurrentLayout(int Steps, int Batch, int Directions, bool BatchFirst)
{
    /// <summary>Row of x.</summary>
    public long X(int time, int row) => BatchFirst ? ((long)row * Steps) + time : ((long)time * Batch) + row;

    /// <summary>Row of Y.</summary>
    public long Y(int time, int row, int direction) =>
        BatchFirst ? ((((long)row * Steps) + time) * Directions) + direction : ((((long)time * Directions) + direction) * Batch) + row;

    /// <summary>Row of Y_h, Y_c, initial_h and initial_c.</summary>
    public long State(int row, int direction) => BatchFirst ? ((long)row * Directions) + direction : ((long)direction * Batch) + row;
}
