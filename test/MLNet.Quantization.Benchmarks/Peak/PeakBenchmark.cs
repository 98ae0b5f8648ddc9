using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Benchmarks;

/// <summary>`peak`: rates of single instructions, and of reading memory, on one core.</summary>
internal static unsafe class PeakBenchmark
{
    private const long LoopRounds = 200_000;

    public static int Run()
    {
        if (new VnniKernel().WhyNot is { } why)
        {
            Console.Error.WriteLine($"The loops are emitted AVX-512 code, which cannot run here: {why}.");
            return 1;
        }
        Console.WriteLine("| register loop, one core | median G/s | best |");
        Console.WriteLine("|---|---|---|");
        RegisterLoops.Loop[] loops =
        [
            RegisterLoops.Vnni512, RegisterLoops.Vnni256, RegisterLoops.Fma512, RegisterLoops.Fma256,
            RegisterLoops.Bytes512, RegisterLoops.Words512, RegisterLoops.Words256,
        ];
        var contenders = loops.Select(l => new Contender(l.Name, () => l.Run(LoopRounds))).ToArray();
        Timing.Interleave(contenders, 11, 0.02);
        foreach (var (loop, c) in loops.Zip(contenders))
            Console.WriteLine($"| {loop.Name} | {LoopRounds * loop.WorkPerRound / c.Median / 1e9:F0} | {LoopRounds * loop.WorkPerRound / c.Best / 1e9:F0} |");

        Console.WriteLine();
        Console.WriteLine("| reading | median GB/s | best |");
        Console.WriteLine("|---|---|---|");
        long[] sizes = [16 << 10, 256 << 10, 768 << 10, 4 << 20, 12 << 20, 256 << 20];
        var buffers = sizes.Select(s => new AlignedBuffer(s)).ToArray();
        var readers = sizes.Zip(buffers, (s, b) => new Contender($"{s >> 10} KB", () => Read(b, 1))).ToArray();
        Timing.Interleave(readers, 7, 0.03);
        foreach (var (size, c) in sizes.Zip(readers)) Console.WriteLine($"| {c.Name} | {size / c.Median / 1e9:F0} | {size / c.Best / 1e9:F0} |");
        return 0;
    }

    private static void Read(AlignedBuffer buffer, long passes)
    {
        ((delegate* unmanaged<long, byte*, long, void>)RegisterLoops.Read)(passes, buffer.Pointer, buffer.Length);
        GC.KeepAlive(buffer);
    }
}
