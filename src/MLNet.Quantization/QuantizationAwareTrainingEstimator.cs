using Microsoft.ML;
using Microsoft.ML.Runtime;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Scoring;
using MLNet.Quantization.Shapes;
using MLNet.Quantization.Training;

namespace MLNet.Quantization;

/// <summary>
/// Trains a model further with the rounding of its codes in the loop, so that its weights learn to live with 2 to 8 bits, and gives a
/// transformer that scores exactly what was trained (Jacob et al., 2018; Esser et al., "Learned Step Size Quantization", 2020).
/// </summary>
/// <remarks>
/// Needs data, several passes over it. In a first part of the epochs the ranges of activations move, and batch normalization takes its
/// statistics from the batch; then both are frozen and folded, and what is trained is what will score.
/// </remarks>
public sealed class QuantizationAwareTrainingEstimator : IEstimator<QuantizedModelTransformer>
{
    private readonly IHost _host;
    private readonly OnnxModel _model;
    private readonly Options _options;

    /// <summary>How the model is trained, and with what rounding.</summary>
    public sealed class Options : TrainingOptions
    {
        /// <summary>Bits of a weight: 2 to 8. Codes are stored in bytes and clamped.</summary>
        public int WeightBits { get; set; } = 8;

        /// <summary>Bits of an activation that a layer makes: 2 to 8. The model's own inputs have 8.</summary>
        public int ActivationBits { get; set; } = 8;

        /// <summary>Steps between codes are learned with the weights, which few bits need; false: they follow the greatest weights, and moving averages of the activations' ranges.</summary>
        public bool LearnedStepSize { get; set; }

        /// <summary>No gradient goes back to numbers outside the range of their codes; false: it goes straight through everywhere.</summary>
        public bool ClippedGradients { get; set; } = true;

        /// <summary>One scale for each output channel, or one for a layer's weights.</summary>
        public WeightGranularity Granularity { get; set; } = WeightGranularity.PerChannel;

        /// <summary>How a range becomes scale and zero point.</summary>
        public QuantizationScheme Scheme { get; set; } = QuantizationScheme.Asymmetric;

        /// <summary>The weight of the newest batch in a range; above 0, at most 1.</summary>
        public double AveragingConstant { get; set; } = new QuantizerOptions().AveragingConstant;

        /// <summary>The share of the epochs, from the start, after which ranges and batch statistics are frozen; 0 to 1.</summary>
        public double FreezeAfter { get; set; } = new QuantizerOptions().MovingShare;

        /// <summary>Names of nodes that stay float.</summary>
        public IReadOnlyCollection<string> ExcludedNodes { get; set; } = [];

        internal override void Check()
        {
            base.Check();
            if (WeightBits is < 2 or > 8) throw Outside(nameof(WeightBits), WeightBits, "2 to 8");
            if (ActivationBits is < 2 or > 8) throw Outside(nameof(ActivationBits), ActivationBits, "2 to 8");
            if (!Enum.IsDefined(Granularity)) throw Outside(nameof(Granularity), Granularity, "one of PerTensor, PerChannel");
            if (!Enum.IsDefined(Scheme)) throw Outside(nameof(Scheme), Scheme, "one of Symmetric, Asymmetric");
            if (!(AveragingConstant is > 0 and <= 1)) throw Outside(nameof(AveragingConstant), AveragingConstant, "above 0 and at most 1");
            if (!(FreezeAfter is >= 0 and <= 1)) throw Outside(nameof(FreezeAfter), FreezeAfter, "0 to 1");
            ArgumentNullException.ThrowIfNull(ExcludedNodes);
        }

        internal QuantizerOptions ToQuantizerOptions() => new()
        {
            WeightBits = WeightBits,
            ActivationBits = ActivationBits,
            LearnsSteps = LearnedStepSize,
            ClipsGradients = ClippedGradients,
            Granularity = Granularity,
            Scheme = Scheme,
            AveragingConstant = AveragingConstant,
            MovingShare = FreezeAfter,
            ExcludedNodes = ExcludedNodes,
        };
    }

    internal QuantizationAwareTrainingEstimator(IHostEnvironment env, OnnxModel model, Options options)
    {
        _host = env.Register(nameof(QuantizationAwareTrainingEstimator));
        _model = model;
        _options = options;
        options.Check();
    }

    /// <summary>Trains. The model that was given stays as it is.</summary>
    /// <param name="input">Rows with the model's columns and, unless it is distilled, the label's.</param>
    /// <exception cref="ArgumentException">A column is missing or cannot be read.</exception>
    /// <exception cref="TrainingException">There are no rows, a label does not fit, the loss is not finite or has run away, or the checkpoint is another model's.</exception>
    /// <exception cref="UnsupportedOperatorException">A node between the weights and the output has no gradient.</exception>
    /// <exception cref="OperationCanceledException">It was asked for.</exception>
    public QuantizedModelTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using var channel = _host.Start("Training");
        var training = new NetworkTraining(_model, _options, _host, channel);
        var network = new QuantizationAwareNetwork(training.Graph, _options.ToQuantizerOptions(), training.Scores, _options.NumberOfThreads ?? 0);
        training.Run(network, input);
        var quantized = network.Convert();
        var transformer = new QuantizedModelTransformer(
            quantized, [.. _model.Inputs.Select(i => i.ColumnName)], [.. _model.Outputs.Select(o => new OutputColumn(o.ColumnName, o.Name))], _options.NumberOfThreads ?? 0);
        transformer.GetOutputSchema(input.Schema);
        channel.Info($"{quantized.Report.Layers.Count(l => l.IsInt8)} of {quantized.Report.Layers.Count} layers are INT8; weights {quantized.Report.WeightBytesBefore} -> {quantized.Report.WeightBytesAfter} bytes.");
        return transformer;
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A column that the model reads is missing or of another type, or the label's is missing.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        ModelShapes.CheckInputs(_model, inputSchema);
        if (_options.Loss != TrainingLoss.Distillation && !ModelShapes.TryFind(inputSchema, _options.LabelColumnName, out _))
            throw new ArgumentException($"Column '{_options.LabelColumnName}', the label, is missing. The data has: {string.Join(", ", inputSchema.Select(c => c.Name))}.");
        return ModelShapes.WithOutputs(_model, inputSchema);
    }
}
