using Microsoft.ML;
using Microsoft.ML.Runtime;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Scoring;

namespace MLNet.Quantization.Training;

/// <summary>Trains a network of a model's graph on data views.</summary>
internal sealed class NetworkTraining
{
    private readonly OnnxModel _model;
    private readonly TrainingOptions _options;
    private readonly IHost _host;
    private readonly IChannel _channel;

    public NetworkTraining(OnnxModel model, TrainingOptions options, IHost host, IChannel channel)
    {
        _model = model;
        _options = options;
        _host = host;
        _channel = channel;
        Graph = PreparedModel.Prepare(model.Graph, new() { FoldNormalization = false }).Graph;
        Scores = Network.OutputFor(Graph, options.Loss);
    }

    /// <summary>Prepared, with its batch normalizations.</summary>
    public ModelGraph Graph { get; }

    /// <summary>The value that the loss is of.</summary>
    public string Scores { get; }

    public void Run(Network network, IDataView input)
    {
        int threads = _options.NumberOfThreads ?? 0;
        var program = Program.Compile(Graph, new() { MaxThreads = threads });
        var scoring = new ScoringModel(program, [.. _model.Inputs.Select(i => i.ColumnName)], []);
        if (!scoring.IsBatched) throw new TrainingException("The model's rows cannot be stacked: the first axis of its inputs and outputs must count rows.");
        Program? teacher = null;
        if (_options.Loss == TrainingLoss.Distillation) teacher = Program.Compile(Graph with { Outputs = [new(Scores, ElementType.Float, null)] }, new() { MaxThreads = threads });
        var data = new ViewData(new(scoring, input.Schema), input, _options, teacher, shuffles: true);
        var held = _options.ValidationData is { } view ? new ViewData(new(scoring, view.Schema), view, _options, teacher, shuffles: false) : null;
        using var progress = _host.StartProgressChannel("Training");
        var trainer = new Trainer(network, LossOf(), data, held, ToTrainerOptions(progress));
        progress.SetHeader(new(["loss", "held-back loss", "held-back accuracy"], ["epochs", "rows"]), entry =>
        {
            entry.SetProgress(0, trainer.Epoch, _options.NumberOfEpochs);
            entry.SetProgress(1, trainer.RowsDone, data.Rows ?? double.NaN);
        });
        trainer.Run();
    }

    private Loss LossOf()
    {
        if (_options.Loss != TrainingLoss.Distillation) return Loss.For(_options.Loss);
        return Scores == Graph.Outputs[0].Name ? new MeanSquaredError() : new Distillation(_options.Temperature);
    }

    private TrainerOptions ToTrainerOptions(IProgressChannel channel) => new()
    {
        Optimizer = _options.Optimizer,
        LearningRate = _options.LearningRate,
        Schedule = _options.Schedule,
        WarmUpSteps = _options.WarmUpSteps,
        Momentum = _options.Momentum,
        WeightDecay = _options.WeightDecay,
        GradientClipping = _options.GradientClipping,
        Epochs = _options.NumberOfEpochs,
        Patience = _options.EarlyStoppingPatience,
        CancellationToken = _options.CancellationToken,
        CheckpointPath = _options.CheckpointPath,
        Progress = p => Report(p, channel),
    };

    private void Report(TrainingProgress p, IProgressChannel channel)
    {
        channel.Checkpoint(p.Loss, p.ValidationLoss, p.ValidationAccuracy, p.Epoch + 1);
        string held = p.ValidationLoss is { } loss ? FormattableString.Invariant($", held back {loss:F5}{(p.ValidationAccuracy is { } right ? FormattableString.Invariant($" ({100 * right:F2} % right)") : "")}") : "";
        _channel.Info(FormattableString.Invariant($"Epoch {p.Epoch + 1} of {_options.NumberOfEpochs}: loss {p.Loss:F5}{held}, {p.RowsPerSecond:N0} rows/s."));
        _options.Progress?.Invoke(p);
    }
}
