using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Execution;

/// <summary>Sees watched values while a run goes on, each right after it was computed (graph inputs: before the first step).</summary>
internal interface IValueTap
{
    /// <param name="watched">Position in <see cref="ProgramOptions.Watched"/>.</param>
    /// <param name="value">Valid only during the call.</param>
    void Observe(int watched, in TensorView value);
}
