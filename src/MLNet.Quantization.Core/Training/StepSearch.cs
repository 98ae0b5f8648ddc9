namespace MLNet.Quantization.Training;

/// <summary>
/// Where a learned step starts: at the one with the least squared error, as Bhalgat et al. do ("LSQ+: Improving low-bit quantization through
/// learnable offsets and better initialization", 2020, section 3.2). 2 · mean |r| / √Qp, the start of the first paper on learned steps, cuts
/// off most of what 8 bits could hold where few values are large.
/// </summary>
internal static class StepSearch
{
    /// <summary>Numbers that are enough to tell one step from another.</summary>
    private const int Enough = 16384;

    /// <summary>Candidates are the widest step and those 2^(1/4), 2^(2/4) ... times smaller, down to a sixteenth.</summary>
    private const int Candidates = 17, CandidatesAnOctave = 4;

    /// <param name="x">Numbers that will be rounded; of many, every n-th is looked at.</param>
    /// <param name="widest">The step with which none is cut off; above 0.</param>
    /// <param name="low">qmin - Z.</param>
    /// <param name="high">qmax - Z.</param>
    public static float LeastSquares(ReadOnlySpan<float> x, float widest, int low, int high)
    {
        int stride = Math.Max(1, x.Length / Enough);
        float[] sample = new float[x.Length / stride], rounded = new float[sample.Length];
        for (int i = 0; i < sample.Length; i++) sample[i] = x[i * stride];
        float best = widest;
        double least = double.PositiveInfinity;
        for (int i = 0; i < Candidates; i++)
        {
            float step = (float)(widest * Math.Pow(2, -i / (double)CandidatesAnOctave));
            FakeQuantization.Forward<float>(sample, [step], low, high, rounded);
            double error = 0;
            for (int j = 0; j < sample.Length; j++) error += ((double)sample[j] - rounded[j]) * ((double)sample[j] - rounded[j]);
            if (error < least) (least, best) = (error, step);
        }
        return best;
    }
}
