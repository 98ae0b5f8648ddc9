namespace MLNet.Quantization.Ops;

/// <summary>The step of operators whose output is input 0's memory under another shape: Identity, Reshape, Flatten ...</summary>
internal sealed class AliasStep : Step
{
    public override int AliasedInput => 0;

    public override void Run(in StepContext context) => throw new InvalidOperationException("An aliasing step is not run.");
}
