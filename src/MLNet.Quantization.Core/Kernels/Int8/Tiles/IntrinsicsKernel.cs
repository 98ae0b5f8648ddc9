namespace MLNet.Quantization.Kernels;

/// <summary>A tier whose tiles are <see cref="Int8Tile{TDot, TSums, TOperand, TRows, TVectors}"/> over one instruction.</summary>
internal sealed unsafe class IntrinsicsKernel<TDot, TSums, TOperand> : Int8Kernel
    where TDot : IInt8Dot<TSums, TOperand>
    where TSums : unmanaged
    where TOperand : unmanaged
{
    public override string Name => TDot.Name;

    public override string? WhyNot => TDot.IsSupported ? null : "the processor lacks its instructions";

    public override int GroupSize => TDot.Group;

    public override ActivationForm Form => TDot.Form;

    public override int Lanes => TDot.Lanes;

    /// <summary>Two vectors each; the last panel has one where that is enough.</summary>
    public override int[] PanelVectors(int n)
    {
        int vectors = (n + TDot.Lanes - 1) / TDot.Lanes;
        var panels = new int[(vectors + 1) / 2];
        Array.Fill(panels, 2);
        if (vectors % 2 == 1) panels[^1] = 1;
        return panels;
    }

    public override int MaxRows(int vectors) => Math.Min(12, TDot.Accumulators / vectors);

    public override nint Tile(OutputStage stage, int vectors, int rows, bool segmented) => (nint)(vectors == 1 ? OneVector(rows) : TwoVectors(rows));

    private static delegate*<TileArguments*, void> OneVector(int rows) => rows switch
    {
        1 => &Int8Tile<TDot, TSums, TOperand, C1, C1>.Run,
        2 => &Int8Tile<TDot, TSums, TOperand, C2, C1>.Run,
        3 => &Int8Tile<TDot, TSums, TOperand, C3, C1>.Run,
        4 => &Int8Tile<TDot, TSums, TOperand, C4, C1>.Run,
        5 => &Int8Tile<TDot, TSums, TOperand, C5, C1>.Run,
        6 => &Int8Tile<TDot, TSums, TOperand, C6, C1>.Run,
        7 => &Int8Tile<TDot, TSums, TOperand, C7, C1>.Run,
        8 => &Int8Tile<TDot, TSums, TOperand, C8, C1>.Run,
        9 => &Int8Tile<TDot, TSums, TOperand, C9, C1>.Run,
        10 => &Int8Tile<TDot, TSums, TOperand, C10, C1>.Run,
        11 => &Int8Tile<TDot, TSums, TOperand, C11, C1>.Run,
        12 => &Int8Tile<TDot, TSums, TOperand, C12, C1>.Run,
        _ => throw new ArgumentOutOfRangeException(nameof(rows)),
    };

    private static delegate*<TileArguments*, void> TwoVectors(int rows) => rows switch
    {
        1 => &Int8Tile<TDot, TSums, TOperand, C1, C2>.Run,
        2 => &Int8Tile<TDot, TSums, TOperand, C2, C2>.Run,
        3 => &Int8Tile<TDot, TSums, TOperand, C3, C2>.Run,
        4 => &Int8Tile<TDot, TSums, TOperand, C4, C2>.Run,
        5 => &Int8Tile<TDot, TSums, TOperand, C5, C2>.Run,
        6 => &Int8Tile<TDot, TSums, TOperand, C6, C2>.Run,
        7 => &Int8Tile<TDot, TSums, TOperand, C7, C2>.Run,
        8 => &Int8Tile<TDot, TSums, TOperand, C8, C2>.Run,
        9 => &Int8Tile<TDot, TSums, TOperand, C9, C2>.Run,
        10 => &Int8Tile<TDot, TSums, TOperand, C10, C2>.Run,
        11 => &Int8Tile<TDot, TSums, TOperand, C11, C2>.Run,
        12 => &Int8Tile<TDot, TSums, TOperand, C12, C2>.Run,
        _ => throw new ArgumentOutOfRangeException(nameof(rows)),
    };
}
