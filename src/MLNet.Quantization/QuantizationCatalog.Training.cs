using Microsoft.ML;
using MLNet.Quantization.Training;

namespace MLNet.Quantization;

public sealed partial class QuantizationCatalog
{
    /// <summary>Trains a model further with the rounding of its codes in the loop, and gives what scores exactly what was trained.</summary>
    /// <param name="model">The float model: trained elsewhere, or by <see cref="Train"/>.</param>
    /// <param name="options">Null: 8 bits, 10 epochs of Adam, cross-entropy with column "Label".</param>
    /// <exception cref="ArgumentOutOfRangeException">An option lies outside its range.</exception>
    public QuantizationAwareTrainingEstimator QuantizationAwareTraining(OnnxModel model, QuantizationAwareTrainingEstimator.Options? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new(_env, model, options ?? new());
    }

    /// <summary>Trains a float model, such as <see cref="NetworkBuilder"/> makes with random weights. It is not changed.</summary>
    /// <param name="model">What to train.</param>
    /// <param name="data">Rows with the model's columns and the label's.</param>
    /// <param name="options">Null: 10 epochs of Adam, cross-entropy with column "Label".</param>
    /// <returns>The trained model, with the same inputs, outputs and columns; batch normalizations, Pads and the like may have been joined with their neighbours.</returns>
    /// <exception cref="ArgumentException">A column is missing or cannot be read, or an option lies outside its range.</exception>
    /// <exception cref="TrainingException">There are no rows, a label does not fit, the loss is not finite or has run away, or the checkpoint is another model's.</exception>
    /// <exception cref="UnsupportedOperatorException">A node between the weights and the output has no gradient.</exception>
    /// <exception cref="OperationCanceledException">It was asked for.</exception>
    public OnnxModel Train(OnnxModel model, IDataView data, TrainingOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(data);
        options ??= new();
        options.Check();
        var host = _env.Register(nameof(Train));
        using var channel = host.Start("Training");
        var training = new NetworkTraining(model, options, host, channel);
        var network = new FloatNetwork(training.Graph, training.Scores, options.NumberOfThreads ?? 0);
        training.Run(network, data);
        return model.With(network.Graph.Trained());
    }
}
