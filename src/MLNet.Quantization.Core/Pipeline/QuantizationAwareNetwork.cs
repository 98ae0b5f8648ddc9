using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Pipeline;

/// <summary>
/// A network that learns with the rounding in the loop (Jacob et al., "Quantization and Training of Neural Networks for Efficient
/// Integer-Arithmetic-Only Inference", 2018, section 3). In a first part of the epochs ranges and batch statistics move; then ranges are frozen,
/// batch normalization is folded with its running statistics, and what is trained is exactly what will score.
/// </summary>
internal sealed class QuantizationAwareNetwork : Network
{
    private readonly QuantizerOptions _options;
    private readonly string _output;
    private UnfoldedModel _model;
    private FakeQuantizedGraph _graph;
    private bool _isFrozen;

    /// <param name="unfolded">Prepared with <see cref="PrepareOptions.FoldNormalization"/> false.</param>
    /// <param name="options">How rounding is simulated.</param>
    /// <param name="output">The value that the loss is of.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public QuantizationAwareNetwork(ModelGraph unfolded, QuantizerOptions options, string output, int maxThreads) : base(maxThreads)
    {
        _options = options;
        _model = new(unfolded);
        _output = output;
        _graph = new(_model, options, output);
    }

    public override TrainingGraph Graph => _graph.Training;

    public override IReadOnlyList<Parameter> Parameters => _graph.Parameters;

    public override bool BeginEpoch(int epoch, int epochs)
    {
        if (_isFrozen || epoch == 0 || epoch < Math.Ceiling(_options.MovingShare * epochs)) return false;
        _isFrozen = true;
        _model = new(_graph.TrainedFloat(), keepNormalization: false);
        _graph = new(_model, _options, _output, _graph);
        Renew();
        return true;
    }

    public QuantizedModel Convert() => _graph.Convert();

    public override Program Deployed() => QuantizedModel.FromGraph(WithScores(Convert().Graph)).Compile(new() { MaxThreads = Memory.MaxThreads });
}
