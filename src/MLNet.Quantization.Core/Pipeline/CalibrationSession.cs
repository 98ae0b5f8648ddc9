using MLNet.Quantization.Calibration;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Pipeline;

/// <summary>
/// One streaming pass over calibration data: rent a run of <see cref="Program"/>, fill its inputs, hand it to <see cref="Observe"/>, as
/// often as there are batches; then <see cref="Finish"/>. For one thread; several sessions' tables merge.
/// </summary>
internal sealed class CalibrationSession : IValueTap
{
    private readonly PreparedModel _model;
    private readonly CalibrationOptions _options;
    private readonly string[] _names;
    private readonly ActivationObserver[] _observers;
    private long _firstRow, _rows;

    /// <exception cref="ArgumentOutOfRangeException">An option lies outside its range.</exception>
    public CalibrationSession(PreparedModel model, CalibrationOptions options)
    {
        if (!(options.Percentile is > 0 and <= 100)) throw new ArgumentOutOfRangeException(nameof(options), options.Percentile, "Percentile must be above 0 and at most 100.");
        if (!(options.AveragingConstant is > 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(options), options.AveragingConstant, "AveragingConstant must be above 0 and at most 1.");
        _model = model;
        _options = options;
        _names = [.. model.ActivationsToCalibrate];
        _observers = Array.ConvertAll(_names, _ => ActivationObserver.Create(options.Method, options.Percentile, options.AveragingConstant));
        Program = Program.Compile(model.Graph, new() { Watched = _names, MaxThreads = options.MaxThreads });
    }

    /// <summary>The float model, with its activations watched.</summary>
    public Program Program { get; }

    /// <summary>Executes a run whose inputs are filled, and takes in what flows through it.</summary>
    /// <param name="run">Rented from <see cref="Program"/>.</param>
    /// <param name="firstRow">Number of the run's first row in the calibration data, for errors.</param>
    /// <exception cref="CalibrationException">An activation is NaN or infinite; names tensor and row.</exception>
    public void Observe(ProgramRun run, long firstRow)
    {
        _firstRow = firstRow;
        run.Execute(this);
        _rows++;
    }

    void IValueTap.Observe(int watched, in TensorView value)
    {
        if (value.Type != ElementType.Float) throw new CalibrationException($"Tensor '{_names[watched]}' is {value.Type}, expected Float.", _names[watched]);
        var data = value.Read<float>();
        int bad = _observers[watched].Observe(data);
        if (bad < 0) return;
        int rows = value.Dims.Length == 0 ? 1 : value.Dims[0];
        long row = _firstRow + bad / Math.Max(data.Length / Math.Max(rows, 1), 1);
        throw new CalibrationException(
            FormattableString.Invariant($"Calibration row {row} gives {data[bad]} in tensor '{_names[watched]}'. Calibration data must be finite."), _names[watched], row);
    }

    /// <exception cref="CalibrationException">No data was observed.</exception>
    public CalibrationTable Finish()
    {
        if (_rows == 0 || _observers.Any(o => o.Count == 0))
            throw new CalibrationException("The calibration set is empty: no row was observed, so there are no ranges to choose from.");
        var statistics = new SortedDictionary<string, ActivationObserver>(StringComparer.Ordinal);
        for (int i = 0; i < _names.Length; i++) statistics.Add(_names[i], _observers[i]);
        return new(_model.Hash, _options.Scheme, statistics);
    }
}
