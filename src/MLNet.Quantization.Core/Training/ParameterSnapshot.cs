namespace MLNet.Quantization.Training;

/// <summary>Parameters as they were, statistics among them, to go back to. Its memory is kept from one to the next.</summary>
internal sealed class ParameterSnapshot
{
    private readonly SortedDictionary<string, float[]> _values = new(StringComparer.Ordinal);

    public void Take(IReadOnlyList<Parameter> parameters)
    {
        var names = parameters.Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        foreach (string gone in _values.Keys.Where(n => !names.Contains(n)).ToArray()) _values.Remove(gone);
        foreach (var p in parameters)
        {
            if (!_values.TryGetValue(p.Name, out float[]? values) || values.Length != p.Value.Count) _values[p.Name] = values = new float[p.Value.Count];
            p.Value.Data.CopyTo(values, 0);
        }
    }

    /// <summary>The first parameter that is not there in that size, or null: then <see cref="Restore"/> brings back all.</summary>
    public Parameter? FirstMissing(IReadOnlyList<Parameter> parameters) =>
        parameters.FirstOrDefault(p => !_values.TryGetValue(p.Name, out float[]? values) || values.Length != p.Value.Count);

    public void Restore(IReadOnlyList<Parameter> parameters)
    {
        foreach (var p in parameters)
            if (_values.TryGetValue(p.Name, out float[]? values)) values.CopyTo(p.Value.Data, 0);
    }

    public void Clear() => _values.Clear();

    public void Write(BinaryWriter writer)
    {
        writer.Write(_values.Count);
        foreach (var (name, values) in _values)
        {
            writer.Write(name);
            TrainingCheckpoint.Write(writer, values);
        }
    }

    public void Read(BinaryReader reader)
    {
        _values.Clear();
        for (int count = reader.ReadInt32(); count > 0; count--)
        {
            string name = reader.ReadString();
            _values[name] = TrainingCheckpoint.ReadFloats(reader);
        }
    }
}
