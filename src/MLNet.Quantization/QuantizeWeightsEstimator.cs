using Microsoft.ML;
using Microsoft.ML.Runtime;
using MLNet.Quantization.Calibration;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Scoring;
using MLNet.Quantization.Shapes;

namespace MLNet.Quantization;

/// <summary>
/// Quantizes the weights of a model's linear layers to 8 bits, symmetric, and gives a transformer that scores with INT8 kernels.
/// Activations are quantized by each row's own range (dynamic, no data needed) or by calibrated ranges (static, after
/// <see cref="CalibrateActivationsEstimator"/>).
/// </summary>
public sealed class QuantizeWeightsEstimator : IEstimator<QuantizedModelTransformer>
{
    private readonly IHost _host;
    private readonly OnnxModel _model;
    private readonly Options _options;

    /// <summary>How weights are quantized, and what activations are quantized by.</summary>
    public sealed class Options
    {
        /// <summary>Where the scales of activations come from.</summary>
        public ActivationQuantization Activations { get; set; } = ActivationQuantization.Dynamic;

        /// <summary>One scale for each output channel, or one for a layer's weights.</summary>
        public WeightGranularity Granularity { get; set; } = WeightGranularity.PerChannel;

        /// <summary>
        /// Compute products of two activations (MatMul, as attention has them) in INT8 too. Static, both factors have the scales of their
        /// calibrated ranges; dynamic, the left one has a scale for each row, the right one for each column. A column that runs over the tokens of
        /// a sequence then has a scale that depends on all of them, padding among them.
        /// </summary>
        public bool ActivationProducts { get; set; }

        /// <summary>Names of nodes that stay float.</summary>
        public IReadOnlyCollection<string> ExcludedNodes { get; set; } = [];

        /// <summary>Threads that scoring one batch may keep busy; null for the process-wide maximum. Scores do not depend on it.</summary>
        public int? NumberOfThreads { get; set; }
    }

    internal QuantizeWeightsEstimator(IHostEnvironment env, OnnxModel model, Options options)
    {
        _host = env.Register(nameof(QuantizeWeightsEstimator));
        _model = model;
        _options = options;
        if (!Enum.IsDefined(options.Activations)) throw new ArgumentOutOfRangeException(nameof(options), options.Activations, "Activations is none of Static, Dynamic.");
        if (!Enum.IsDefined(options.Granularity)) throw new ArgumentOutOfRangeException(nameof(options), options.Granularity, "Granularity is none of PerTensor, PerChannel.");
        if (options.NumberOfThreads is < 1) throw new ArgumentOutOfRangeException(nameof(options), options.NumberOfThreads, "NumberOfThreads must be at least 1.");
    }

    private bool IsStatic => _options.Activations == ActivationQuantization.Static;

    private string FirstColumn => _model.Inputs[0].ColumnName;

    /// <summary>Quantizes the model. Reads no rows.</summary>
    /// <param name="input">Its schema is checked; for static quantization it carries the calibration.</param>
    /// <exception cref="ArgumentException">A column is missing or cannot be read, or <see cref="Options.ExcludedNodes"/> names a node that is not there.</exception>
    /// <exception cref="CalibrationException">Static: there is no calibration, or it is another model's.</exception>
    /// <exception cref="QuantizationException">The model cannot be run.</exception>
    public QuantizedModelTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        foreach (var tensor in _model.Inputs)
            if (input.Schema.GetColumnOrNull(tensor.ColumnName) is null)
                throw new ArgumentException($"Column '{tensor.ColumnName}', which input '{tensor.Name}' of the model reads, is missing. The data has: {string.Join(", ", input.Schema.Select(c => c.Name).Distinct())}.");
        using var channel = _host.Start("Quantization");
        var weights = new WeightOptions { Granularity = _options.Granularity, ActivationProducts = _options.ActivationProducts, ExcludedNodes = _options.ExcludedNodes };
        var quantized = IsStatic
            ? QuantizationRecipe.QuantizeStatic(_model.Prepared, CalibrationAnnotation.Read(input.Schema, FirstColumn), weights)
            : QuantizationRecipe.QuantizeDynamic(_model.Prepared, weights);
        var transformer = new QuantizedModelTransformer(
            quantized, [.. _model.Inputs.Select(i => i.ColumnName)], [.. _model.Outputs.Select(o => new OutputColumn(o.ColumnName, o.Name))], _options.NumberOfThreads ?? 0);
        transformer.GetOutputSchema(input.Schema);
        channel.Info($"{quantized.Report.Layers.Count(l => l.IsInt8)} of {quantized.Report.Layers.Count} layers are INT8; weights {quantized.Report.WeightBytesBefore} -> {quantized.Report.WeightBytesAfter} bytes.");
        channel.Info($"{Int8Gemm.Choice}.");
        return transformer;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A column that the model reads is missing or of another type.</exception>
    /// <exception cref="CalibrationException">Static: no stage before this one calibrates.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        ModelShapes.CheckInputs(_model, inputSchema);
        ModelShapes.TryFind(inputSchema, FirstColumn, out var first);
        if (IsStatic && first.Annotations.All(a => a.Name != CalibrationAnnotation.Name)) throw CalibrationAnnotation.Missing(FirstColumn);
        return ModelShapes.WithOutputs(_model, inputSchema);
    }
}
