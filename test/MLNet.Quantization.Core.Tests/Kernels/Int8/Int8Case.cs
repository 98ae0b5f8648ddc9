using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>One product with its three outputs, computed by the definition once and by as many kernels as wanted.</summary>
internal sealed class Int8Case
{
    private readonly int _m, _k, _n, _zeroPoint, _outputZeroPoint, _clampMin, _clampMax;
    private readonly bool _signed;
    private readonly byte[] _a;
    private readonly sbyte[] _w;
    private readonly int[] _bias, _rowZeroPoints;
    private readonly float[] _multipliers, _columnScales, _floatBias, _rowScales;
    private readonly int[] _sums;
    private readonly byte[] _codes;
    private readonly float[] _floats;

    public Int8Case(int m, int k, int n, int seed, Fill fill = Fill.Random)
    {
        (_m, _k, _n) = (m, k, n);
        var random = new Random(seed);
        _a = new byte[m * k];
        _w = new sbyte[k * n];
        random.NextBytes(_a);
        random.NextBytes(MemoryMarshal.AsBytes(_w.AsSpan()));
        if (fill == Fill.Extreme)
        {
            byte[] codes = [255, 0, 255, 128, 1];
            sbyte[] weights = [127, -128, -127, 127, -128];
            for (int i = 0; i < _a.Length; i++) _a[i] = codes[random.Next(codes.Length)];
            for (int i = 0; i < _w.Length; i++) _w[i] = weights[random.Next(weights.Length)];
        }
        if (fill is Fill.Lowest or Fill.Highest)
        {
            _a.AsSpan().Fill(255);
            _w.AsSpan().Fill(fill == Fill.Lowest ? (sbyte)-128 : (sbyte)127);
        }
        _zeroPoint = fill == Fill.Random ? random.Next(256) : 0;
        _signed = random.Next(2) == 0;
        _outputZeroPoint = _signed ? random.Next(-128, 128) : random.Next(256);
        _clampMin = _signed ? -128 : 0;
        _clampMax = _signed ? 127 : 255;
        if (random.Next(3) == 0) _clampMin = _outputZeroPoint;
        _bias = Many(n, () => fill == Fill.Random ? random.Next(-100_000, 100_000) : 0);
        _multipliers = Many(n, () => (float)random.NextDouble() * 0.01f / (1 + k / 64));
        if (n > 2)
        {
            _multipliers[0] = float.NaN;
            _multipliers[1] = 3e9f;
        }
        _columnScales = Many(n, () => (float)random.NextDouble());
        _floatBias = Many(n, () => (float)random.NextDouble() - 0.5f);
        bool oneScale = random.Next(3) == 0, oneZero = random.Next(3) == 0;
        _rowScales = Many(oneScale ? 1 : m, () => (float)random.NextDouble());
        if (!oneScale && m > 2) _rowScales[1] = float.NaN;
        _rowZeroPoints = Many(oneZero ? 1 : m, () => random.Next(256));
        _sums = new int[m * n];
        _codes = new byte[m * n];
        _floats = new float[m * n];
        NaiveInt8.Int32(_a, _w, m, k, n, _zeroPoint, _bias, _sums);
        NaiveInt8.Requantized(_a, _w, m, k, n, _zeroPoint, _bias, _multipliers, _outputZeroPoint, _clampMin, _clampMax, _codes);
        NaiveInt8.Float(_a, _w, m, k, n, _rowScales, _rowZeroPoints, _columnScales, _floatBias, _floats);
    }

    public enum Fill { Random, Extreme, Lowest, Highest }

    public string Name => $"[{_m}, {_k}] x [{_k}, {_n}]";

    /// <summary>Runs all three products on a kernel, every buffer ending at a guard page, and compares every byte.</summary>
    public void Check(Int8Kernel kernel, bool transposed, int maxThreads)
    {
        var w = Int8Gemm.Pack(transposed ? Transposed() : _w, _k, _n, transposed, kernel);
        using var a = new GuardedMemory<byte>(_a);

        var int32 = new Int32Product(w, _zeroPoint, _bias);
        using var sums = new GuardedMemory<int>(_m * _n);
        using (var work = new GuardedMemory<byte>((int)int32.WorkspaceBytes(_m))) int32.Run(a.Span, _m, sums.Span, work.Span, maxThreads);
        Same<int>(_sums, sums.Span, kernel, "int32");

        var requantized = new RequantizedProduct(w, _zeroPoint, _bias, _multipliers, _outputZeroPoint, _clampMin, _clampMax, _signed);
        using var codes = new GuardedMemory<byte>(_m * _n);
        using (var work = new GuardedMemory<byte>((int)requantized.WorkspaceBytes(_m))) requantized.Run(a.Span, _m, codes.Span, work.Span, maxThreads);
        Same<byte>(_codes, codes.Span, kernel, "8 bits");

        var real = new FloatProduct(w, _columnScales, _floatBias);
        using var floats = new GuardedMemory<float>(_m * _n);
        using (var work = new GuardedMemory<byte>((int)real.WorkspaceBytes(_m)))
            real.Run(a.Span, _m, _rowScales, _rowZeroPoints, floats.Span, work.Span, maxThreads);
        Same<int>(MemoryMarshal.Cast<float, int>(_floats), MemoryMarshal.Cast<float, int>(floats.Span), kernel, "float");
    }

    private void Same<T>(ReadOnlySpan<T> expected, ReadOnlySpan<T> found, Int8Kernel kernel, string stage) where T : unmanaged, IEquatable<T>
    {
        int at = expected.CommonPrefixLength(found);
        if (at < expected.Length)
            Assert.Fail($"{kernel} {Name} {stage}: element [{at / _n}, {at % _n}] is {found[at]}, expected {expected[at]}.");
    }

    private sbyte[] Transposed()
    {
        var t = new sbyte[_w.Length];
        for (int l = 0; l < _k; l++)
            for (int j = 0; j < _n; j++)
                t[(j * _k) + l] = _w[(l * _n) + j];
        return t;
    }

    private static T[] Many<T>(int n, Func<T> next) => [.. Enumerable.Range(0, n).Select(_ => next())];
}
