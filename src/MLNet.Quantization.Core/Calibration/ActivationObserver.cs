namespace MLNet.Quantization.Calibration;

/// <summary>
/// Watches the values of one tensor while batches stream by, in bounded memory. Every observer knows the extremes; each method adds
/// what it needs. Two observers of one kind that saw two parts of the data merge into one that saw both.
/// </summary>
internal abstract class ActivationObserver
{
    /// <summary>The smallest value seen; +infinity before the first.</summary>
    public float Min { get; protected set; } = float.PositiveInfinity;

    /// <summary>The largest value seen; -infinity before the first.</summary>
    public float Max { get; protected set; } = float.NegativeInfinity;

    /// <summary>Values seen.</summary>
    public long Count { get; protected set; }

    public abstract CalibrationMethod Method { get; }

    public static ActivationObserver Create(CalibrationMethod method, double percentile, double averagingConstant) => method switch
    {
        CalibrationMethod.MinMax => new MinMaxObserver(),
        CalibrationMethod.MovingAverage => new MovingAverageObserver(averagingConstant),
        CalibrationMethod.Percentile => new PercentileObserver(percentile),
        _ => throw new ArgumentOutOfRangeException(nameof(method), method, "Expected MinMax, MovingAverage or Percentile."),
    };

    /// <summary>Takes in one batch of any shape; an empty one changes nothing.</summary>
    /// <returns>-1, or the position of the first value that is NaN or infinite; the batch is then not taken in.</returns>
    public int Observe(ReadOnlySpan<float> batch)
    {
        float min = float.PositiveInfinity, max = float.NegativeInfinity;
        for (int i = 0; i < batch.Length; i++)
        {
            if (!float.IsFinite(batch[i])) return i;
            min = MathF.Min(min, batch[i]);
            max = MathF.Max(max, batch[i]);
        }
        if (batch.IsEmpty) return -1;
        Count += batch.Length;
        Min = MathF.Min(Min, min);
        Max = MathF.Max(Max, max);
        Take(batch, min, max);
        return -1;
    }

    /// <summary>The range that this method chooses; [0, 0] where nothing was seen.</summary>
    public abstract (float Min, float Max) Range();

    /// <summary>The share of the values seen that lie outside <see cref="Range"/>, or null where the method cannot tell.</summary>
    public abstract double? ClippedShare();

    /// <summary>Takes in what <paramref name="later"/> saw, as if its data had followed this one's.</summary>
    public virtual void Merge(ActivationObserver later)
    {
        if (later.GetType() != GetType()) throw new CalibrationException($"Statistics of method {Method} cannot be merged with those of {later.Method}.");
        Count += later.Count;
        Min = MathF.Min(Min, later.Min);
        Max = MathF.Max(Max, later.Max);
    }

    public virtual void Write(BinaryWriter writer)
    {
        writer.Write((byte)Method);
        writer.Write(Count);
        writer.Write(Min);
        writer.Write(Max);
    }

    public static ActivationObserver Read(BinaryReader reader)
    {
        ActivationObserver observer = (CalibrationMethod)reader.ReadByte() switch
        {
            CalibrationMethod.MinMax => new MinMaxObserver(),
            CalibrationMethod.MovingAverage => new MovingAverageObserver(1),
            CalibrationMethod.Percentile => new PercentileObserver(100),
            var other => throw new CalibrationException($"The calibration holds statistics of an unknown method {(int)other}."),
        };
        observer.Count = reader.ReadInt64();
        observer.Min = reader.ReadSingle();
        observer.Max = reader.ReadSingle();
        observer.ReadState(reader);
        return observer;
    }

    protected abstract void ReadState(BinaryReader reader);

    /// <param name="batch">At least one value, all finite.</param>
    /// <param name="min">Its smallest value.</param>
    /// <param name="max">Its largest value.</param>
    protected abstract void Take(ReadOnlySpan<float> batch, float min, float max);
}
