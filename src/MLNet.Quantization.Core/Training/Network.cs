using MLNet.Quantization.Execution;

namespace MLNet.Quantization.Training;

/// <summary>What a trainer trains. For one thread.</summary>
internal abstract class Network
{
    /// <summary>Learned ones and statistics, in a fixed order: a checkpoint holds them all. May change in <see cref="BeginEpoch"/>.</summary>
    public abstract IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>A pass over so many rows; the same object for the same number. Parameters and their gradients are shared by all.</summary>
    public abstract Tape<float> TapeOf(int rows);

    /// <summary>Called before each epoch, 0-based: phases of quantization change here.</summary>
    /// <returns>True where <see cref="Parameters"/> are others than before.</returns>
    public virtual bool BeginEpoch(int epoch, int epochs) => false;

    /// <summary>What would score if training ended here: for quantization-aware training the INT8 program itself.</summary>
    public abstract Program Deployed();
}
