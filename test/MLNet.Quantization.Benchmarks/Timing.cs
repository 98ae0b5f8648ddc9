using System.Diagnostics;

namespace MLNet.Quantization.Benchmarks;

/// <summary>Something to time, and the seconds that one call took in each round.</summary>
internal sealed class Contender(string name, Action call)
{
    private int _repetitions = 1;

    public string Name { get; } = name;

    public List<double> Rounds { get; } = [];

    public double Median => Timing.Median(Rounds);

    public double Best => Rounds.Min();

    /// <summary>Warms up, and finds out how many calls fill a round.</summary>
    public void Prepare(double seconds)
    {
        long start = Stopwatch.GetTimestamp();
        int calls = 0;
        do
        {
            call();
            calls++;
        }
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < seconds || calls < 3);
        Round(calls);
        _repetitions = Math.Max(1, (int)(seconds / Math.Max(1e-9, Rounds[^1])));
        Rounds.Clear();
    }

    public void Round() => Round(_repetitions);

    private void Round(int repetitions)
    {
        call(); // brings data and code back into the caches after the others' turns
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < repetitions; i++) call();
        Rounds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds / repetitions);
    }
}

/// <summary>Contenders take turns, so that what disturbs the machine disturbs them alike; what counts is the median over rounds.</summary>
internal static class Timing
{
    /// <param name="contenders">Take turns in this order.</param>
    /// <param name="rounds">Turns of each.</param>
    /// <param name="seconds">Of one turn.</param>
    /// <param name="gap">Milliseconds between turns, for workers that keep spinning to go to sleep.</param>
    public static void Interleave(IReadOnlyList<Contender> contenders, int rounds, double seconds, int gap = 0)
    {
        foreach (var c in contenders) c.Prepare(seconds);
        for (int r = 0; r < rounds; r++)
            foreach (var c in contenders)
            {
                if (gap > 0) Thread.Sleep(gap);
                c.Round();
            }
    }

    /// <summary>The median over rounds of how many times longer <paramref name="other"/> took.</summary>
    public static double Ratio(Contender other, Contender ours) => Median([.. other.Rounds.Zip(ours.Rounds, (o, u) => o / u)]);

    public static double Median(IReadOnlyCollection<double> values) => values.Order().ElementAt(values.Count / 2);
}
