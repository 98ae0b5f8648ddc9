using System.Collections;
using System.Collections.Immutable;

namespace MLNet.Quantization.Graph;

/// <summary>
/// A node's attributes by name. A value is a long, float, string, <see cref="Tensor"/>, <see cref="ModelGraph"/> (subgraph), or
/// an ImmutableArray of long, float or string. Immutable.
/// </summary>
internal sealed class AttributeMap : IReadOnlyCollection<KeyValuePair<string, object>>
{
    private readonly ImmutableSortedDictionary<string, object> _values;

    private AttributeMap(ImmutableSortedDictionary<string, object> values) => _values = values;

    public static AttributeMap Empty { get; } = new(ImmutableSortedDictionary.Create<string, object>(StringComparer.Ordinal));

    public int Count => _values.Count;

    public bool Contains(string name) => _values.ContainsKey(name);

    public AttributeMap With(string name, object value) => new(_values.SetItem(name, Checked(name, value)));

    public AttributeMap Without(string name) => new(_values.Remove(name));

    /// <summary>The value of <paramref name="name"/>, or <paramref name="absent"/> where the node does not have it.</summary>
    /// <exception cref="ModelFormatException">It is there with another type.</exception>
    public T Get<T>(string name, T absent)
    {
        if (!_values.TryGetValue(name, out object? value)) return absent;
        return value is T typed ? typed : throw new ModelFormatException($"Attribute '{name}' is of type {Describe(value)}, expected {typeof(T).Name}.");
    }

    public object? Find(string name) => _values.GetValueOrDefault(name);

    private static object Checked(string name, object value) => value switch
    {
        long or float or string or Tensor or ModelGraph => value,
        ImmutableArray<long> or ImmutableArray<float> or ImmutableArray<string> => value,
        int i => (long)i,
        _ => throw new ArgumentException($"Attribute '{name}' cannot hold a {value.GetType()}.", nameof(value)),
    };

    private static string Describe(object value) => value.GetType().IsGenericType ? "list" : value.GetType().Name;

    public IEnumerator<KeyValuePair<string, object>> GetEnumerator() => _values.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
