namespace MLNet.Quantization.Calibration;

/// <summary>The range from the smallest to the largest value seen. Merging is exact, in any order and grouping.</summary>
internal sealed class MinMaxObserver : ActivationObserver
{
    public override CalibrationMethod Method => CalibrationMethod.MinMax;

    public override (float Min, float Max) Range() => Count == 0 ? (0, 0) : (Min, Max);

    public override double? ClippedShare() => 0;

    protected override void Take(ReadOnlySpan<float> batch, float min, float max) { }

    protected override void ReadState(BinaryReader reader) { }
}
