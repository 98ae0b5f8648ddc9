using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime.Tensors;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Benchmarks;

/// <summary>One shape: the data, our products and the peer's models over the same data, and the loops that bound them.</summary>
internal sealed unsafe class GemmCase : IDisposable
{
    private const long PeakRounds = 20_000;

    private readonly List<Peer> _peers = [];
    private readonly List<AlignedBuffer> _buffers = [];

    public GemmCase(GemmShape shape, int threads)
    {
        var (m, n, k) = shape;
        byte* a = Buffer((long)m * k), codes = Buffer((long)m * n);
        float* x = (float*)Buffer(4L * m * k), c = (float*)Buffer(4L * m * n);
        int* sums = (int*)Buffer(4L * m * n);
        var random = new Random(1);
        random.NextBytes(new Span<byte>(a, m * k));
        for (long i = 0; i < (long)m * k; i++) x[i] = (a[i] - 128) * 0.01f;
        var w = new sbyte[n * k];
        random.NextBytes(MemoryMarshal.AsBytes(w.AsSpan()));
        float[] multipliers = Same(n, 0.0005f), columnScales = Same(n, 0.01f);

        var packed = Int8Gemm.Pack(w, k, n, transposed: false);
        var int32 = new Int32Product(packed, 0, []);
        var requantized = new RequantizedProduct(packed, 128, [], multipliers, 128, 0, 255, signedOutput: false);
        var dynamic = new DynamicProduct(packed, columnScales, []);
        int work = (int)new[] { int32.WorkspaceBytes(m), requantized.WorkspaceBytes(m), dynamic.WorkspaceBytes(m) }.Max();
        byte* workspace = Buffer(work);
        Int32 = new("int32", () => int32.Run(new(a, m * k), m, new(sums, m * n), new(workspace, work), threads));
        Codes = new("u8", () => requantized.Run(new(a, m * k), m, new(codes, m * n), new(workspace, work), threads));
        Dynamic = new("dynamic", () => dynamic.Run(new(x, m * k), m, new(c, m * n), new(workspace, work), threads));

        byte[] bytes = MemoryMarshal.AsBytes(w.AsSpan()).ToArray(), floats = MemoryMarshal.AsBytes(Array.ConvertAll(w, v => v * 0.01f).AsSpan()).ToArray();
        var models = new PeerModels(m, n, k, bytes);
        long[] input = [m, k], output = [m, n];
        void* y = Buffer(4L * m * n);
        Contender Of(string name, byte[] model, bool floatIn, TensorElementType type)
        {
            var peer = new Peer(model, threads, floatIn ? x : a, floatIn ? TensorElementType.Float : TensorElementType.UInt8, input, y, type, output);
            _peers.Add(peer);
            return new(name, peer.Run);
        }
        PeerInt32 = Of("MatMulInteger", models.MatMulInteger(), false, TensorElementType.Int32);
        PeerCodes = Fastest(
            Of("QLinearMatMul, scales by column", models.QLinearMatMul(perColumn: true), false, TensorElementType.UInt8),
            Of("QLinearMatMul, one scale", models.QLinearMatMul(perColumn: false), false, TensorElementType.UInt8));
        PeerDynamic = Of("DynamicQuantizeMatMul", models.DynamicQuantizeMatMul(), true, TensorElementType.Float);
        PeerFloat = Of("MatMul, FP32", models.MatMul(floats), true, TensorElementType.Float);

        Peak = new("vpdpbusd", () => RegisterLoops.Vnni512.Run(PeakRounds));
        long read = packed.PackedBytes / 512 * 512;
        Read = m == 1 && read > 0 ? new("read", () => ((delegate* unmanaged<long, sbyte*, long, void>)RegisterLoops.Read)(1, packed.Pointer, read)) : null;
        ReadBytes = read;
        Packed = packed;
    }

    public Contender Int32 { get; }

    public Contender Codes { get; }

    public Contender Dynamic { get; }

    public Contender PeerInt32 { get; }

    public Contender PeerCodes { get; }

    public Contender PeerDynamic { get; }

    public Contender PeerFloat { get; }

    public Contender Peak { get; }

    /// <summary>Only reads the packed weights; where m is 1.</summary>
    public Contender? Read { get; }

    public long ReadBytes { get; }

    public Int8Weights Packed { get; }

    public static double PeakWork => PeakRounds * RegisterLoops.Vnni512.WorkPerRound;

    public IReadOnlyList<Contender> All =>
        [Peak, Int32, PeerInt32, Codes, PeerCodes, Dynamic, PeerDynamic, PeerFloat, .. Read is null ? Array.Empty<Contender>() : [Read]];

    public void Dispose()
    {
        foreach (var peer in _peers) peer.Dispose();
        GC.KeepAlive(_buffers);
    }

    private static Contender Fastest(params Contender[] forms)
    {
        Timing.Interleave(forms, 5, 0.01);
        var best = forms.MinBy(f => f.Median)!;
        best.Rounds.Clear();
        return best;
    }

    private static float[] Same(int n, float value) => [.. Enumerable.Repeat(value, n)];

    private byte* Buffer(long bytes)
    {
        var buffer = new AlignedBuffer(bytes + 64);
        _buffers.Add(buffer);
        return buffer.Pointer;
    }
}
