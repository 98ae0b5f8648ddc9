using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using MLNet.Quantization.Calibration;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Scoring;
using MLNet.Quantization.Shapes;

namespace MLNet.Quantization;

/// <summary>
/// Runs a float model over data, watches the activations that feed its linear layers, and chooses a range for each. One pass, memory that
/// does not grow with the number of rows. The rows pass through unchanged; the ranges go with them, for
/// <see cref="QuantizeWeightsEstimator"/> further down the pipeline.
/// </summary>
public sealed class CalibrateActivationsEstimator : IEstimator<ActivationCalibrationTransformer>
{
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromSeconds(1);

    private readonly IHost _host;
    private readonly OnnxModel _model;
    private readonly Options _options;

    /// <summary>How ranges are taken from data.</summary>
    public sealed class Options
    {
        /// <summary>How a range follows from the values seen.</summary>
        public CalibrationMethod Method { get; set; } = CalibrationMethod.MinMax;

        /// <summary>For <see cref="CalibrationMethod.Percentile"/>: the share of values, in percent, that a range holds; above 0, at most 100.</summary>
        public double Percentile { get; set; } = CalibrationOptions.Default.Percentile;

        /// <summary>For <see cref="CalibrationMethod.MovingAverage"/>: the weight of the newest batch; above 0, at most 1.</summary>
        public double AveragingConstant { get; set; } = CalibrationOptions.Default.AveragingConstant;

        /// <summary>How a range becomes scale and zero point.</summary>
        public QuantizationScheme Scheme { get; set; } = QuantizationScheme.Asymmetric;

        /// <summary>Threads that the float model may keep busy; null for the process-wide maximum.</summary>
        public int? NumberOfThreads { get; set; }

        /// <summary>Ends the pass with an <see cref="OperationCanceledException"/>.</summary>
        public CancellationToken CancellationToken { get; set; }
    }

    internal CalibrateActivationsEstimator(IHostEnvironment env, OnnxModel model, Options options)
    {
        _host = env.Register(nameof(CalibrateActivationsEstimator));
        _model = model;
        _options = options;
        if (!Enum.IsDefined(options.Method)) throw new ArgumentOutOfRangeException(nameof(options), options.Method, "Method is none of MinMax, MovingAverage, Percentile.");
        if (options.Percentile is not (> 0 and <= 100)) throw new ArgumentOutOfRangeException(nameof(options), options.Percentile, "Percentile must be above 0 and at most 100.");
        if (options.AveragingConstant is not (> 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(options), options.AveragingConstant, "AveragingConstant must be above 0 and at most 1.");
        if (options.NumberOfThreads is < 1) throw new ArgumentOutOfRangeException(nameof(options), options.NumberOfThreads, "NumberOfThreads must be at least 1.");
    }

    /// <summary>Reads all rows once.</summary>
    /// <param name="input">Calibration data: rows such as the model will score.</param>
    /// <exception cref="ArgumentException">A column is missing, or of a type or length that the model cannot take.</exception>
    /// <exception cref="CalibrationException">There are no rows, or a row makes an activation NaN or infinite.</exception>
    /// <exception cref="QuantizationException">The model cannot be run.</exception>
    public ActivationCalibrationTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var session = new CalibrationSession(_model.Prepared, new()
        {
            Method = _options.Method,
            Percentile = _options.Percentile,
            AveragingConstant = _options.AveragingConstant,
            Scheme = _options.Scheme,
            MaxThreads = _options.NumberOfThreads ?? 0,
        });
        var scoring = new ScoringModel(session.Program, [.. _model.Inputs.Select(i => i.ColumnName)], []);
        var bound = new BoundModel(scoring, input.Schema);
        using var channel = _host.Start("Calibration");
        long rows;
        try
        {
            rows = Observe(session, bound, input, channel);
        }
        catch (CalibrationException e) when (_model.Inputs.FirstOrDefault(i => i.Name == e.TensorName) is { } tensor)
        {
            throw new CalibrationException($"{e.Message} It is read from column '{tensor.ColumnName}'.", e.TensorName, e.Row);
        }
        var table = session.Finish();
        channel.Info($"Calibrated {table.Statistics.Count} activations on {rows} rows.");
        return new(_model.Inputs[0].ColumnName, table.ToBytes());
    }

    private long Observe(CalibrationSession session, BoundModel bound, IDataView input, IChannel channel)
    {
        using var cursor = input.GetRowCursor(bound.Inputs.Select(i => i.Column).DistinctBy(c => c.Index));
        InputReader[] readers = [.. bound.Inputs.Select(i => InputReader.Create(i, cursor, acceptsSparse: false))];
        var sinceReport = Stopwatch.StartNew();
        long rows = 0;
        for (bool isMore = true; isMore;)
        {
            _options.CancellationToken.ThrowIfCancellationRequested();
            int count = 0;
            while (count < bound.MaxBatch && (isMore = cursor.MoveNext()))
            {
                foreach (var reader in readers) reader.Read(count);
                count++;
            }
            if (count == 0) break;
            // Exactly as many rows as there are: what pads a batch would be observed too.
            using var run = bound.RentExactly(count);
            for (int i = 0; i < readers.Length; i++) readers[i].Load(run, i, count);
            session.Observe(run, rows);
            rows += count;
            if (sinceReport.Elapsed < ProgressInterval) continue;
            channel.Info(input.GetRowCount() is { } all ? $"Calibrating: {rows} of {all} rows." : $"Calibrating: {rows} rows.");
            sinceReport.Restart();
        }
        return rows;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A column that the model reads is missing or of another type.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        ModelShapes.CheckInputs(_model, inputSchema);
        string name = _model.Inputs[0].ColumnName;
        return new(inputSchema.Select(c => c.Name == name ? ModelShapes.Annotated(c, CalibrationAnnotation.Name) : c));
    }
}
