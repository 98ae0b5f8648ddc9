using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Benchmarks;

/// <summary>`gemm`: the INT8 product beside ONNX Runtime's, in one process, turn by turn.</summary>
internal static class GemmBenchmark
{
    /// <summary>How long the peer's workers keep spinning after a run, and more.</summary>
    private const int PeerSpinMilliseconds = 80;

    public static int Run(string[] args)
    {
        GemmOptions options;
        try
        {
            options = GemmOptions.Parse(args);
        }
        catch (FormatException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
        if (new VnniKernel().WhyNot is { } why)
        {
            Console.Error.WriteLine($"The loops that bound the products are emitted AVX-512 code, which cannot run here: {why}.");
            return 1;
        }
        Console.WriteLine($"{Int8Gemm.Choice}; threads: {options.Threads}; medians of {options.Rounds} interleaved rounds, GMAC/s (share of the vpdpbusd peak; best round)");
        Console.WriteLine();
        Console.WriteLine("| M,N,K | peak | int32 | MatMulInteger | ratio | u8 | QLinearMatMul | ratio | dynamic | DynamicQuantizeMatMul | ratio | FP32 |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|---|");
        List<string> rows = [], notes = [];
        foreach (var shape in options.Shapes)
        {
            using var c = new GemmCase(shape, options.Threads);
            Timing.Interleave(c.All, options.Rounds, options.Seconds, options.Threads > 1 ? PeerSpinMilliseconds : 0);
            Console.WriteLine(Row(shape, c, options.Threads));
            if (c.Read is not null) notes.Add(Note(shape, c, c.Read));
            rows.Add(Json(shape, options.Threads, "s32", c, c.Int32, c.PeerInt32));
            rows.Add(Json(shape, options.Threads, "u8", c, c.Codes, c.PeerCodes));
            rows.Add(Json(shape, options.Threads, "dynamic", c, c.Dynamic, c.PeerDynamic));
        }
        Console.WriteLine();
        foreach (string note in notes) Console.WriteLine(note);
        if (options.Json is { } file) File.WriteAllText(file, $"[\n  {string.Join(",\n  ", rows)}\n]\n");
        return 0;
    }

    private static string Row(GemmShape shape, GemmCase c, int threads)
    {
        double peak = GemmCase.PeakWork / c.Peak.Median * threads, bestPeak = GemmCase.PeakWork / c.Peak.Best * threads;
        string Pair(Contender ours, Contender peer) => $"{Cell(ours)} | {Cell(peer)} | {Timing.Ratio(peer, ours):F2}";
        return $"| {shape} | {peak / 1e9:F0} | {Pair(c.Int32, c.PeerInt32)} | {Pair(c.Codes, c.PeerCodes)} | {Pair(c.Dynamic, c.PeerDynamic)} | {Rate(shape.Work / c.PeerFloat.Median)} |";

        string Cell(Contender x) => $"{Rate(shape.Work / x.Median)} ({100 * shape.Work / x.Median / peak:F0} %; {Rate(shape.Work / x.Best)}, {100 * shape.Work / x.Best / bestPeak:F0} %)";
    }

    /// <summary>A single row is bounded by memory, or by the call.</summary>
    private static string Note(GemmShape shape, GemmCase c, Contender read)
    {
        string share = $"{100 * read.Median / c.Int32.Median:F0} % of the speed of only reading the packed weights ({c.ReadBytes / read.Median / 1e9:F0} GB/s)";
        string Calls(params Contender[] all) => string.Join(", ", all.Select(x => $"{x.Median * 1e9:F0}"));
        return $"{shape}: {share}; a call takes {Calls(c.Int32, c.Codes, c.Dynamic)} ns (int32, u8, dynamic), the peer's {Calls(c.PeerInt32, c.PeerCodes, c.PeerDynamic)}.";
    }

    private static string Rate(double perSecond) => perSecond >= 100e9 ? $"{perSecond / 1e9:F0}" : perSecond >= 10e9 ? $"{perSecond / 1e9:F1}" : $"{perSecond / 1e9:F2}";

    private static string Json(GemmShape s, int threads, string output, GemmCase c, Contender ours, Contender peer)
    {
        double peak = GemmCase.PeakWork / c.Peak.Median * threads, rate = s.Work / ours.Median;
        return FormattableString.Invariant(
            $"{{\"m\": {s.M}, \"n\": {s.N}, \"k\": {s.K}, \"threads\": {threads}, \"output\": \"{output}\", \"ours_gmacs\": {rate / 1e9:F2}, \"peer_gmacs\": {s.Work / peer.Median / 1e9:F2}, \"ratio\": {Timing.Ratio(peer, ours):F3}, \"peak_share\": {rate / peak:F3}}}");
    }
}
