namespace MLNet.Quantization.Training;

/// <summary>The epoch with the least validation loss so far, and the parameters at its end.</summary>
internal sealed class BestEpoch
{
    private readonly ParameterSnapshot _parameters = new();

    public double Loss { get; private set; } = double.PositiveInfinity;

    /// <summary>Counted from 0. Patience counts from here.</summary>
    public int Epoch { get; private set; }

    /// <summary>What follows cannot be compared with what was.</summary>
    public void Forget(int epoch)
    {
        (Loss, Epoch) = (double.PositiveInfinity, epoch);
        _parameters.Clear();
    }

    /// <param name="epoch">Just done.</param>
    /// <param name="loss">Its validation loss.</param>
    /// <param name="parameters">Kept where the loss is the least so far; null: not kept.</param>
    public void Consider(int epoch, double loss, IReadOnlyList<Parameter>? parameters)
    {
        if (!(loss < Loss)) return;
        (Loss, Epoch) = (loss, epoch);
        if (parameters is not null) _parameters.Take(parameters);
    }

    public void Restore(IReadOnlyList<Parameter> parameters) => _parameters.Restore(parameters);

    public void Write(BinaryWriter writer)
    {
        writer.Write(Loss);
        writer.Write(Epoch);
        _parameters.Write(writer);
    }

    public void Read(BinaryReader reader)
    {
        (Loss, Epoch) = (reader.ReadDouble(), reader.ReadInt32());
        _parameters.Read(reader);
    }
}
