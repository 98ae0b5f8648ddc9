using Microsoft.ML;

namespace MLNet.Quantization;

/// <summary>How a network is trained.</summary>
public class TrainingOptions
{
    /// <summary>
    /// The column of what is to be learned: for classes a key, or whole numbers from 0; for <see cref="TrainingLoss.BinaryCrossEntropy"/> 0 and 1 or false and
    /// true; for <see cref="TrainingLoss.MeanSquaredError"/> a number, or a vector as long as the output. Not read for <see cref="TrainingLoss.Distillation"/>.
    /// </summary>
    public string LabelColumnName { get; set; } = "Label";

    /// <summary>What is made small.</summary>
    public TrainingLoss Loss { get; set; } = TrainingLoss.CrossEntropy;

    /// <summary>For <see cref="TrainingLoss.Distillation"/>: what scores are divided by before their softmax; above 0. Higher tells more of the classes that are not chosen.</summary>
    public double Temperature { get; set; } = 2;

    /// <summary>Passes over the data; 1 or more.</summary>
    public int NumberOfEpochs { get; set; } = 10;

    /// <summary>Rows of a step; 1 or more.</summary>
    public int BatchSize { get; set; } = 64;

    /// <summary>How gradients become steps.</summary>
    public TrainingOptimizer Optimizer { get; set; } = TrainingOptimizer.Adam;

    /// <summary>Length of a step; above 0.</summary>
    public double LearningRate { get; set; } = 1e-3;

    /// <summary>How the rate goes on.</summary>
    public LearningRateSchedule Schedule { get; set; } = LearningRateSchedule.Cosine;

    /// <summary>First steps in which the rate rises in a line; 0 or more.</summary>
    public int WarmUpSteps { get; set; }

    /// <summary>For <see cref="TrainingOptimizer.Sgd"/>: what is kept of the last step; 0 or more, below 1.</summary>
    public double Momentum { get; set; } = 0.9;

    /// <summary>How fast weights shrink by themselves; 0 or more. Biases and normalizations do not.</summary>
    public double WeightDecay { get; set; }

    /// <summary>Greatest length of all gradients together, to which longer ones are shortened (Pascanu, Mikolov and Bengio, 2013); above 0; null: none.</summary>
    public double? GradientClipping { get; set; }

    /// <summary>Of the order of rows. The same seed, data and number of threads give the same bits on one machine; null: rows come as the data has them.</summary>
    public int? Seed { get; set; } = 1;

    /// <summary>Rows that are shuffled among each other at a time; 1 or more.</summary>
    public int ShufflePoolSize { get; set; } = 10000;

    /// <summary>Rows with the same columns that are held back: after each epoch the model that would be deployed is scored on them. Null: none.</summary>
    public IDataView? ValidationData { get; set; }

    /// <summary>With <see cref="ValidationData"/>: epochs without a smaller validation loss after which training ends; the best epoch's weights come back. Null: all epochs, the last one counts.</summary>
    public int? EarlyStoppingPatience { get; set; }

    /// <summary>Called after each epoch, on the thread that trains.</summary>
    public Action<TrainingProgress>? Progress { get; set; }

    /// <summary>
    /// A file that is written after each epoch. Where it exists, training goes on from it as if it had never stopped; one of another model or
    /// of other options is an error. Null: none.
    /// </summary>
    public string? CheckpointPath { get; set; }

    /// <summary>Threads that training may keep busy; null for the process-wide maximum.</summary>
    public int? NumberOfThreads { get; set; }

    /// <summary>Ends training with an <see cref="OperationCanceledException"/>; the checkpoint of the last whole epoch stays.</summary>
    public CancellationToken CancellationToken { get; set; }

    internal virtual void Check()
    {
        if (Loss != TrainingLoss.Distillation) ArgumentException.ThrowIfNullOrEmpty(LabelColumnName);
        if (!Enum.IsDefined(Loss)) throw Outside(nameof(Loss), Loss, "one of CrossEntropy, BinaryCrossEntropy, MeanSquaredError, Distillation");
        if (!Enum.IsDefined(Optimizer)) throw Outside(nameof(Optimizer), Optimizer, "one of Sgd, Adam, AdamW");
        if (!Enum.IsDefined(Schedule)) throw Outside(nameof(Schedule), Schedule, "one of Constant, Cosine");
        if (NumberOfEpochs < 1) throw Outside(nameof(NumberOfEpochs), NumberOfEpochs, "at least 1");
        if (BatchSize < 1) throw Outside(nameof(BatchSize), BatchSize, "at least 1");
        if (ShufflePoolSize < 1) throw Outside(nameof(ShufflePoolSize), ShufflePoolSize, "at least 1");
        if (WarmUpSteps < 0) throw Outside(nameof(WarmUpSteps), WarmUpSteps, "at least 0");
        if (!(LearningRate > 0 && double.IsFinite(LearningRate))) throw Outside(nameof(LearningRate), LearningRate, "above 0 and finite");
        if (!(Temperature > 0 && double.IsFinite(Temperature))) throw Outside(nameof(Temperature), Temperature, "above 0 and finite");
        if (!(Momentum is >= 0 and < 1)) throw Outside(nameof(Momentum), Momentum, "at least 0 and below 1");
        if (!(WeightDecay >= 0 && double.IsFinite(WeightDecay))) throw Outside(nameof(WeightDecay), WeightDecay, "at least 0 and finite");
        if (GradientClipping is { } clip && !(clip > 0)) throw Outside(nameof(GradientClipping), clip, "above 0");
        if (EarlyStoppingPatience is < 1) throw Outside(nameof(EarlyStoppingPatience), EarlyStoppingPatience, "at least 1");
        if (EarlyStoppingPatience is not null && ValidationData is null) throw new ArgumentException($"{nameof(EarlyStoppingPatience)} needs {nameof(ValidationData)}.");
        if (NumberOfThreads is < 1) throw Outside(nameof(NumberOfThreads), NumberOfThreads, "at least 1");
    }

    private protected static ArgumentOutOfRangeException Outside(string option, object? value, string expected) => new(option, value, $"{option} must be {expected}.");
}
