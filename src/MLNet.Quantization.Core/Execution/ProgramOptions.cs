namespace MLNet.Quantization.Execution;

/// <summary>How a graph is made runnable.</summary>
internal sealed record ProgramOptions
{
    public static ProgramOptions Default { get; } = new();

    /// <summary>Threads that one run may keep busy, the caller included; 0 for the process-wide maximum.</summary>
    public int MaxThreads { get; init; }

    /// <summary>Values that an <see cref="IValueTap"/> will watch; they are computed even where no output needs them.</summary>
    public IReadOnlyCollection<string> Watched { get; init; } = [];
}
