namespace MLNet.Quantization.Calibration;

/// <summary>
/// The range that holds a share of the values, (100 - percentile) / 2 percent being cut off at each end. Values are counted in bins
/// of fixed relative width: a bin is the upper 16 bits of a float32 (sign, exponent, 7 bits of mantissa), so that its ends are less
/// than 1/128 apart. At most 65,536 counters, made in pages of 256; counts add up, so merging is exact in any order and grouping.
/// </summary>
/// <remarks>
/// Bins of fixed relative width need no range beforehand and bound the error of every quantile: Masson, Rim, Lee, "DDSketch", 2019.
/// Cutting tails by percentile: Wu et al., "Integer Quantization for Deep Learning Inference", 2020.
/// </remarks>
internal sealed class PercentileObserver(double percentile) : ActivationObserver
{
    private const int PageSize = 256;

    private double _percentile = percentile;
    private readonly long[]?[] _pages = new long[]?[65536 / PageSize];

    public override CalibrationMethod Method => CalibrationMethod.Percentile;

    public override (float Min, float Max) Range()
    {
        if (Count == 0) return (0, 0);
        long cut = (long)Math.Floor(Count * ((100 - _percentile) / 200));
        long below = 0;
        float low = Min, high = Max;
        foreach (var (bin, count) in AscendingBins())
        {
            below += count;
            if (below <= cut) continue;
            low = Math.Clamp(Edge(bin, lower: true), Min, Max);
            break;
        }
        long above = 0;
        foreach (var (bin, count) in AscendingBins().Reverse())
        {
            above += count;
            if (above <= cut) continue;
            high = Math.Clamp(Edge(bin, lower: false), Min, Max);
            break;
        }
        return (low, high);
    }

    public override double? ClippedShare()
    {
        if (Count == 0) return 0;
        var (low, high) = Range();
        long outside = AscendingBins().Where(b => Edge(b.Bin, lower: false) < low || Edge(b.Bin, lower: true) > high).Sum(b => b.Count);
        return outside / (double)Count;
    }

    protected override void Take(ReadOnlySpan<float> batch, float min, float max)
    {
        foreach (float value in batch)
        {
            int bin = (int)(BitConverter.SingleToUInt32Bits(value) >> 16);
            (_pages[bin / PageSize] ??= new long[PageSize])[bin % PageSize]++;
        }
    }

    public override void Merge(ActivationObserver later)
    {
        base.Merge(later);
        var other = (PercentileObserver)later;
        if (other._percentile != _percentile) throw new CalibrationException("Statistics for different percentiles cannot be merged.");
        for (int p = 0; p < _pages.Length; p++)
        {
            if (other._pages[p] is not { } theirs) continue;
            var ours = _pages[p] ??= new long[PageSize];
            for (int i = 0; i < PageSize; i++) ours[i] += theirs[i];
        }
    }

    public override void Write(BinaryWriter writer)
    {
        base.Write(writer);
        writer.Write(_percentile);
        var bins = AscendingBins().ToList();
        writer.Write(bins.Count);
        foreach (var (bin, count) in bins)
        {
            writer.Write((ushort)bin);
            writer.Write(count);
        }
    }

    protected override void ReadState(BinaryReader reader)
    {
        _percentile = reader.ReadDouble();
        int bins = reader.ReadInt32();
        for (int i = 0; i < bins; i++)
        {
            int bin = reader.ReadUInt16();
            (_pages[bin / PageSize] ??= new long[PageSize])[bin % PageSize] = reader.ReadInt64();
        }
    }

    /// <summary>Bins that hold values, by ascending value: negative ones run backwards in their bits.</summary>
    private IEnumerable<(int Bin, long Count)> AscendingBins() =>
        Enumerable.Range(0, 32768).Select(i => 65535 - i).Concat(Enumerable.Range(0, 32768))
            .Where(bin => _pages[bin / PageSize] is { } page && page[bin % PageSize] > 0)
            .Select(bin => (bin, _pages[bin / PageSize]![bin % PageSize]));

    private static float Edge(int bin, bool lower)
    {
        bool negative = bin >= 32768;
        uint bits = (uint)bin << 16;
        return BitConverter.UInt32BitsToSingle(lower == negative ? bits | 0xFFFF : bits);
    }
}
