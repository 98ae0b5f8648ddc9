namespace MLNet.Quantization.Training;

/// <summary>How a <see cref="Trainer"/> goes about it.</summary>
internal sealed record TrainerOptions
{
    public TrainingOptimizer Optimizer { get; init; } = TrainingOptimizer.Adam;

    public double LearningRate { get; init; } = 1e-3;

    public LearningRateSchedule Schedule { get; init; } = LearningRateSchedule.Constant;

    /// <summary>Steps in which the rate rises in a line from 0.</summary>
    public int WarmUpSteps { get; init; }

    public double Momentum { get; init; } = 0.9;

    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.999;

    public double Epsilon { get; init; } = 1e-8;

    public double WeightDecay { get; init; }

    /// <summary>Greatest length of all gradients together, to which longer ones are shortened (Pascanu et al., 2013); null: none.</summary>
    public double? GradientClipping { get; init; }

    public int Epochs { get; init; } = 1;

    /// <summary>Epochs without a better validation loss after which training ends and the best epoch comes back; null: all epochs, the last one counts.</summary>
    public int? Patience { get; init; }

    public Action<TrainingProgress>? Progress { get; init; }

    public CancellationToken CancellationToken { get; init; }

    /// <summary>A file that is written after each epoch, and read first where it exists; null: none.</summary>
    public string? CheckpointPath { get; init; }

    /// <summary>The rate of a step.</summary>
    /// <param name="step">Counted from 0.</param>
    /// <param name="progress">Share of the whole training that is done; 0 to 1.</param>
    public double RateAt(long step, double progress)
    {
        double rate = Schedule == LearningRateSchedule.Cosine ? LearningRate * 0.5 * (1 + Math.Cos(Math.PI * progress)) : LearningRate;
        return step < WarmUpSteps ? rate * (step + 1) / WarmUpSteps : rate;
    }
}
