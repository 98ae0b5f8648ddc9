namespace MLNet.Quantization.Tests.Architecture;

/// <summary>
/// The rooms of an assembly, which are the namespaces below its root, and the rooms that each may use. The root itself is a room without
/// a name: everybody may use it, and it may use nobody.
/// </summary>
internal sealed class LayeringTable(string rootNamespace, IReadOnlyDictionary<string, IReadOnlySet<string>> mayUse)
{
    /// <summary>Reads the table whose columns are "room", "responsibility" and "may use" from a Markdown file.</summary>
    public static LayeringTable Read(string rootNamespace, IEnumerable<string> markdown)
    {
        var rows = markdown.SkipWhile(l => !l.StartsWith("| room |", StringComparison.Ordinal)).TakeWhile(l => l.StartsWith('|'))
            .Skip(2).Select(l => l.Split('|', StringSplitOptions.TrimEntries)).ToList();
        var rooms = rows.Select(r => r[1]).ToArray();
        return new(rootNamespace, rows.ToDictionary(
            r => r[1],
            r => (IReadOnlySet<string>)(r[3] == "all" ? rooms : r[3].Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).ToHashSet(StringComparer.Ordinal),
            StringComparer.Ordinal));
    }

    public IEnumerable<string> Rooms => mayUse.Keys;

    /// <summary>The table without one permission.</summary>
    public LayeringTable Without(string room, string used) =>
        new(rootNamespace, mayUse.ToDictionary(r => r.Key, r => r.Key == room ? r.Value.Where(u => u != used).ToHashSet(StringComparer.Ordinal) : r.Value, StringComparer.Ordinal));

    /// <summary>What in an assembly contradicts the table.</summary>
    public IReadOnlyList<string> Violations(IReadOnlyList<string> types, IReadOnlyList<(string User, string Used)> references)
    {
        var inhabited = types.Select(RoomOf).OfType<string>().Where(r => r.Length > 0).ToHashSet(StringComparer.Ordinal);
        return
        [
            .. inhabited.Except(mayUse.Keys).Order().Select(r => $"Room {r} has types, but is not in the table."),
            .. mayUse.Keys.Except(inhabited).Order().Select(r => $"Room {r} is in the table, but has no types."),
            .. mayUse.SelectMany(r => r.Value.Except(mayUse.Keys).Select(u => $"Room {r.Key} may use {u}, which is not in the table.")),
            .. references.Where(r => !IsAllowed(RoomOf(r.User), RoomOf(r.Used))).Select(r => $"{r.User} uses {r.Used}, but {Named(RoomOf(r.User))} may not use {RoomOf(r.Used)}."),
        ];
    }

    private bool IsAllowed(string? user, string? used) =>
        user is null || used is null || used.Length == 0 || user == used || (mayUse.TryGetValue(user, out var allowed) && allowed.Contains(used));

    /// <summary>Null outside the root namespace (what the compiler adds).</summary>
    private string? RoomOf(string type)
    {
        string prefix = rootNamespace + ".";
        if (!type.StartsWith(prefix, StringComparison.Ordinal)) return null;
        string[] rest = type[prefix.Length..].Split('.');
        return rest.Length == 1 ? "" : rest[0];
    }

    private static string Named(string? room) => string.IsNullOrEmpty(room) ? "the root namespace" : room;
}
