namespace MLNet.Quantization;

/// <summary>Training cannot start, or has lost its way: no rows, a label out of range, a loss that is not a number, a checkpoint of another model.</summary>
public sealed class TrainingException : QuantizationException
{
    /// <summary>Makes an error that, where known, names what went wrong first.</summary>
    public TrainingException(string message, string? nodeName = null, string? tensorName = null, int? epoch = null, long? row = null, long? step = null) : base(message)
    {
        NodeName = nodeName;
        TensorName = tensorName;
        Epoch = epoch;
        Row = row;
        Step = step;
    }

    /// <summary>The first node that gave a number that is not finite, or null.</summary>
    public string? NodeName { get; }

    /// <summary>The tensor that the error is about, or null.</summary>
    public string? TensorName { get; }

    /// <summary>The epoch, counted from 0, or null.</summary>
    public int? Epoch { get; }

    /// <summary>The row of the data, counted from 0 in the order in which it was read, or null.</summary>
    public long? Row { get; }

    /// <summary>The step, counted from 0 over all epochs, or null.</summary>
    public long? Step { get; }
}
