using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Training;

/// <summary>
/// Scale and zero point of activations while training, one for all values that codes only move between. The first batch sets the range of a
/// value; then it is a moving average of the batches' extremes, or the zero point stays and the step is learned. Frozen, nothing moves.
/// </summary>
internal sealed class ActivationQuantizer
{
    private const int Min = 0, Max = 1, IsKnown = 2, Fields = 3;

    private readonly QuantizerOptions _options;
    private readonly float[] _ranges;

    /// <param name="values">Names of the values.</param>
    /// <param name="grid">Of their codes.</param>
    /// <param name="options">How scales come about.</param>
    public ActivationQuantizer(IReadOnlyList<string> values, CodeGrid grid, QuantizerOptions options)
    {
        _options = options;
        Values = values;
        Grid = grid;
        Ranges = new($"{values[0]}_range", new(values.Count, Fields), ParameterKind.Statistic);
        _ranges = Ranges.Value.Data;
        LogStep = options.LearnsSteps ? new($"{values[0]}_log_step", new(1), ParameterKind.Other) : null;
    }

    public IReadOnlyList<string> Values { get; }

    public CodeGrid Grid { get; }

    public bool ClipsGradients => _options.ClipsGradients;

    /// <summary>Of each value: minimum, maximum, and 1 once they are known. A checkpoint keeps them.</summary>
    public Parameter Ranges { get; }

    /// <summary>log S, one number, where steps are learned: S stays above 0 whatever happens to it.</summary>
    public Parameter? LogStep { get; private set; }

    /// <summary>Takes the parameter that is learned in place of <see cref="LogStep"/>.</summary>
    public void Bind(Parameter logStep) => LogStep = logStep;

    public bool IsFrozen { get; set; }

    public AffineParameters Current
    {
        get
        {
            var ranged = Ranged();
            return LogStep is null ? ranged : new(StepOf(LogStep.Value.Data[0]), ranged.ZeroPoint);
        }
    }

    public static float StepOf(float logStep) => Math.Max((float)Math.Exp(logStep), (float)AffineRange.LeastScale);

    /// <summary>Takes a batch's numbers in.</summary>
    /// <param name="value">Position in <see cref="Values"/>.</param>
    /// <param name="x">Any number of them.</param>
    public void Observe(int value, ReadOnlySpan<float> x)
    {
        var range = _ranges.AsSpan(value * Fields, Fields);
        bool isKnown = range[IsKnown] != 0;
        if (x.IsEmpty || isKnown && (IsFrozen || LogStep is not null) || !RangeOf(x, out float min, out float max)) return;
        float newest = isKnown ? (float)_options.AveragingConstant : 1;
        range[Min] += newest * (min - range[Min]);
        range[Max] += newest * (max - range[Max]);
        range[IsKnown] = 1;
        if (LogStep is not null) Start(x);
    }

    /// <summary>Of the range that holds those of all values.</summary>
    private AffineParameters Ranged()
    {
        float min = 0, max = 0;
        for (int i = 0; i < _ranges.Length; i += Fields) (min, max) = (Math.Min(min, _ranges[i + Min]), Math.Max(max, _ranges[i + Max]));
        return AffineRange.FromRange(min, max, Grid, _options.Scheme, out _);
    }

    /// <summary>False where a number is not finite: the loss will tell, and the range must not be lost to it.</summary>
    private static unsafe bool RangeOf(ReadOnlySpan<float> x, out float min, out float max)
    {
        fixed (float* p = x) return FloatRange.Of(p, x.Length, out min, out max);
    }

    /// <summary>The first step (<see cref="StepSearch"/>); of several values the greatest.</summary>
    private void Start(ReadOnlySpan<float> x)
    {
        var ranged = Ranged();
        float first = (float)Math.Log(StepSearch.LeastSquares(x, ranged.Scale, Grid.Min - ranged.ZeroPoint, Grid.Max - ranged.ZeroPoint));
        bool isFirst = Enumerable.Range(0, Values.Count).Count(i => _ranges[(i * Fields) + IsKnown] != 0) == 1;
        LogStep!.Value.Data[0] = isFirst ? first : Math.Max(first, LogStep.Value.Data[0]);
    }
}
