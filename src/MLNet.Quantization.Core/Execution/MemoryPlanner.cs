namespace MLNet.Quantization.Execution;

/// <summary>Where the values of a plan lie. All offsets are multiples of 64 bytes.</summary>
/// <param name="Roots">For each value the value whose memory it uses: itself, or one that it aliases or overwrites.</param>
/// <param name="Offsets">Byte offset in the arena by value; -1 where the root is a constant.</param>
/// <param name="ArenaBytes">Size of the values' part of the arena.</param>
/// <param name="WorkspaceBytes">Size of the scratch memory behind it, shared by all steps.</param>
internal sealed record MemoryLayout(int[] Roots, long[] Offsets, long ArenaBytes, long WorkspaceBytes);

/// <summary>
/// Places values by lifetime: largest first, each at the lowest offset that is free while it lives. Graph inputs and outputs live through
/// the whole run, so that a caller may fill inputs once and read outputs at leisure; so does what a rest of the program reads.
/// </summary>
internal static class MemoryPlanner
{
    public const int Alignment = 64;

    /// <param name="boundary">Names of values that live through the whole run.</param>
    /// <param name="values">All values.</param>
    /// <param name="steps">In order.</param>
    public static MemoryLayout Plan(IReadOnlySet<string> boundary, PlannedValue[] values, IReadOnlyList<PlannedStep> steps)
    {
        int[] lasting = [.. Enumerable.Range(0, values.Length).Where(v => boundary.Contains(values[v].Name))];
        var root = SharedMemory(lasting, values, steps);
        var first = new int[values.Length];
        var last = new int[values.Length];
        Array.Fill(first, int.MaxValue);
        Array.Fill(last, -1);
        void Use(int value, int time)
        {
            if (value < 0) return;
            first[root[value]] = Math.Min(first[root[value]], time);
            last[root[value]] = Math.Max(last[root[value]], time);
        }
        for (int s = 0; s < steps.Count; s++)
        {
            foreach (int v in steps[s].Inputs) Use(v, s);
            foreach (int v in steps[s].Outputs) Use(v, s);
        }
        foreach (int v in lasting)
        {
            Use(v, -1);
            Use(v, steps.Count);
        }

        var offsets = new long[values.Length];
        Array.Fill(offsets, -1);
        long arena = 0;
        var placed = new List<int>();
        foreach (int v in Enumerable.Range(0, values.Length).Where(v => root[v] == v && values[v].Constant is null).OrderByDescending(v => values[v].Layout.ByteCount))
        {
            long size = RoundUp(Math.Max(values[v].Layout.ByteCount, 1));
            offsets[v] = LowestFree(placed.Where(p => first[p] <= last[v] && first[v] <= last[p]).Select(p => (offsets[p], RoundUp(Math.Max(values[p].Layout.ByteCount, 1)))), size);
            placed.Add(v);
            arena = Math.Max(arena, offsets[v] + size);
        }
        for (int v = 0; v < values.Length; v++) offsets[v] = offsets[root[v]];
        return new(root, offsets, arena, steps.Count == 0 ? 0 : steps.Max(s => RoundUp(s.Needs.WorkspaceBytes)));
    }

    private static int[] SharedMemory(int[] lasting, PlannedValue[] values, IReadOnlyList<PlannedStep> steps)
    {
        var root = Enumerable.Range(0, values.Length).ToArray();
        var boundary = lasting.ToHashSet();
        var lastRead = new int[values.Length];
        for (int s = 0; s < steps.Count; s++)
            foreach (int v in steps[s].Inputs)
                if (v >= 0) lastRead[v] = s;

        // The end of the life of a whole group that shares memory, kept at its root.
        var groupEnd = (int[])lastRead.Clone();
        foreach (int v in boundary) groupEnd[v] = int.MaxValue;
        for (int s = 0; s < steps.Count; s++)
        {
            var step = steps[s];
            if (step.Outputs.Length == 0 || step.Outputs[0] < 0) continue;
            int output = step.Outputs[0];
            int shared = step.Node.Step.AliasedInput is >= 0 and var aliased ? step.Inputs[aliased] : Overwritten(step, s);
            if (shared < 0) continue;
            int group = root[shared];
            if (values[group].Constant is not null && boundary.Contains(output)) continue;
            if (boundary.Contains(group) && boundary.Contains(output)) continue;
            root[output] = group;
            groupEnd[group] = Math.Max(groupEnd[group], groupEnd[output]);
            if (boundary.Contains(output)) boundary.Add(group);
        }
        return root;

        int Overwritten(PlannedStep step, int s)
        {
            for (int i = 0; i < step.Inputs.Length; i++)
            {
                int v = step.Inputs[i];
                if (v < 0 || !step.Node.Step.CanOverwrite(i)) continue;
                int group = root[v];
                bool onlyReadHere = step.Inputs.Count(x => x >= 0 && root[x] == group) == 1;
                if (onlyReadHere && values[group].Constant is null && groupEnd[group] <= s && values[group].Layout.ByteCount == values[step.Outputs[0]].Layout.ByteCount)
                    return v;
            }
            return -1;
        }
    }

    private static long LowestFree(IEnumerable<(long Offset, long Size)> taken, long size)
    {
        long offset = 0;
        foreach (var (start, length) in taken.OrderBy(t => t.Offset))
        {
            if (start - offset >= size) break;
            offset = Math.Max(offset, start + length);
        }
        return offset;
    }

    private static long RoundUp(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}
