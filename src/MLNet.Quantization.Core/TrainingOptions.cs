namespace MLNet.Quantization;

/// <summary>What training makes small: the mean over rows of a distance between the model's first output and what it should be.</summary>
public enum TrainingLoss
{
    /// <summary>-log of the softmax of the class that the label names. A Softmax at the model's end is taken into the loss.</summary>
    CrossEntropy,

    /// <summary>-log of the sigmoid of each output, or of 1 less it, for labels of 1 and 0. A Sigmoid at the model's end is taken into the loss.</summary>
    BinaryCrossEntropy,

    /// <summary>The mean over outputs of the squared difference to the label.</summary>
    MeanSquaredError,

    /// <summary>
    /// No labels: the distance to what the float model says of the same rows (Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural
    /// Network", 2015). Where the model ends in Softmax, the cross-entropy of both, else the mean squared difference.
    /// </summary>
    Distillation,
}

/// <summary>How gradients become steps.</summary>
public enum TrainingOptimizer
{
    /// <summary>v = momentum · v + g; w -= rate · v.</summary>
    Sgd,

    /// <summary>Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015. Weight decay is part of the gradient.</summary>
    Adam,

    /// <summary>Adam, with weight decay beside the gradient (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019).</summary>
    AdamW,
}

/// <summary>How the learning rate goes on from step to step.</summary>
public enum LearningRateSchedule
{
    /// <summary>Always the same.</summary>
    Constant,

    /// <summary>Half a cosine from the whole rate down to 0 (Loshchilov and Hutter, "SGDR", 2017, without restarts).</summary>
    Cosine,
}

/// <summary>Where training stands at the end of an epoch.</summary>
/// <param name="Epoch">Counted from 0.</param>
/// <param name="Loss">Mean over the epoch's rows, as they were seen.</param>
/// <param name="ValidationLoss">Of the model that would be deployed now, INT8 where quantization is trained; null without validation data.</param>
/// <param name="ValidationAccuracy">Share of validation rows with the right class, 0 to 1, of the same model; null without classes.</param>
/// <param name="LearningRate">Of the last step.</param>
/// <param name="RowsPerSecond">Rows trained, validation not counted.</param>
public sealed record TrainingProgress(int Epoch, double Loss, double? ValidationLoss, double? ValidationAccuracy, double LearningRate, double RowsPerSecond);
