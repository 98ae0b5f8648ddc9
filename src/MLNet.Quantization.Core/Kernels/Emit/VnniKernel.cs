using System.Runtime.Intrinsics.X86;

namespace MLNet.Quantization.Kernels;

/// <summary>
/// AVX-512 VNNI by emitted code, since .NET 10 has no intrinsic for vpdpbusd on zmm registers. Panels are 48 columns wide, up to two of
/// 64 (whatever fills vectors mod 3); tiles are emitted when a product first asks for them.
/// </summary>
/// <param name="convention">Whose registers the tiles use.</param>
internal class VnniKernel(CallingConvention convention) : Int8Kernel
{
    private readonly Lock _lock = new();
    private readonly Dictionary<TileShape, nint> _tiles = [];
    private readonly Dictionary<DepthTileShape, nint> _depthTiles = [];
    private readonly int[] _maxRows = [0, .. Enumerable.Range(1, 4).Select(v => TileShape.MaxRows(convention, v))];

    public VnniKernel() : this(CallingConvention.Native)
    {
    }

    public override string Name => "avx512vnni";

    public override string? WhyNot => !HasInstructions ? "the processor lacks AVX-512 VNNI" : EmittedCode.WhyNot;

    public override int GroupSize => 4;

    public override ActivationForm Form => ActivationForm.Bytes;

    public override int Lanes => 16;

    public override bool IsNative => true;

    private static bool HasInstructions =>
        Avx512F.IsSupported && Avx512BW.IsSupported && (X86Base.CpuId(7, 0).Ecx & (1 << 11)) != 0;

    public override int[] PanelVectors(int n)
    {
        int vectors = (n + 15) / 16;
        if (vectors <= 4) return vectors == 0 ? [] : [vectors];
        if (vectors == 5) return [3, 2];
        int wide = vectors % 3;
        var panels = new int[((vectors - (4 * wide)) / 3) + wide];
        Array.Fill(panels, 3);
        Array.Fill(panels, 4, panels.Length - wide, wide);
        return panels;
    }

    public override int MaxRows(int vectors) => _maxRows[vectors];

    public override nint Tile(OutputStage stage, int vectors, int rows, bool segmented)
    {
        var shape = new TileShape(rows, vectors, stage, segmented);
        lock (_lock)
        {
            if (!_tiles.TryGetValue(shape, out nint tile)) _tiles.Add(shape, tile = EmittedCode.Publish(Emit(shape)));
            return tile;
        }
    }

    public override int MaxDepthVectors(int window) => DepthTileShape.MaxVectors(convention, window);

    public override nint DepthTile(DepthTileShape shape)
    {
        lock (_lock)
        {
            if (!_depthTiles.TryGetValue(shape, out nint tile)) _depthTiles.Add(shape, tile = EmittedCode.Publish(Emit(shape)));
            return tile;
        }
    }

    protected virtual byte[] Emit(TileShape shape) => VnniTile.Emit(shape, convention);

    protected virtual byte[] Emit(DepthTileShape shape) => VnniDepthTile.Emit(shape, convention);
}
