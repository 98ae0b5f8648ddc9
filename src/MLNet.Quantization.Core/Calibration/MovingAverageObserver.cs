namespace MLNet.Quantization.Calibration;

/// <summary>
/// Exponential moving averages of each batch's extremes: e₁ = x₁, eₖ = (1 - c)·eₖ₋₁ + c·xₖ, in double. An average f that goes on from
/// another one's end e over n batches beginning with x₁ is f' = f + (1 - c)ⁿ·(e - x₁), so that merging parts in their order gives the
/// average over all, up to rounding of double.
/// </summary>
/// <remarks>Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018, section 3.1.</remarks>
internal sealed class MovingAverageObserver(double constant) : ActivationObserver
{
    private double _constant = constant;
    private long _batches;
    private double _min, _max, _firstMin, _firstMax;

    public override CalibrationMethod Method => CalibrationMethod.MovingAverage;

    public override (float Min, float Max) Range() => ((float)_min, (float)_max);

    public override double? ClippedShare() => null;

    protected override void Take(ReadOnlySpan<float> batch, float min, float max)
    {
        if (_batches++ == 0) (_min, _max, _firstMin, _firstMax) = (min, max, min, max);
        else (_min, _max) = (_min + _constant * (min - _min), _max + _constant * (max - _max));
    }

    public override void Merge(ActivationObserver later)
    {
        base.Merge(later);
        var other = (MovingAverageObserver)later;
        if (other._constant != _constant) throw new CalibrationException("Moving averages with different averaging constants cannot be merged.");
        if (other._batches == 0) return;
        if (_batches == 0) (_min, _max, _firstMin, _firstMax) = (other._min, other._max, other._firstMin, other._firstMax);
        else
        {
            double kept = Math.Pow(1 - _constant, other._batches);
            (_min, _max) = (other._min + kept * (_min - other._firstMin), other._max + kept * (_max - other._firstMax));
        }
        _batches += other._batches;
    }

    public override void Write(BinaryWriter writer)
    {
        base.Write(writer);
        writer.Write(_batches);
        foreach (double value in new[] { _constant, _min, _max, _firstMin, _firstMax }) writer.Write(value);
    }

    protected override void ReadState(BinaryReader reader)
    {
        _batches = reader.ReadInt64();
        _constant = reader.ReadDouble();
        (_min, _max) = (reader.ReadDouble(), reader.ReadDouble());
        (_firstMin, _firstMax) = (reader.ReadDouble(), reader.ReadDouble());
    }
}
