using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Benchmarks;

/// <summary>`verify`: random small products on every kernel, all three output stages, every byte held against the definition. Too long for a test run.</summary>
internal static class VerifyCommand
{
    private const int MostRows = 16, MostColumns = 112, MostDepth = 72;

    public static int Run(string[] args)
    {
        int count = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : 1_000_000;
        foreach (var kernel in Int8Gemm.Kernels)
        {
            long start = Stopwatch.GetTimestamp();
            var random = new Random(1);
            for (int i = 0; i < count; i++)
            {
                // Small extents most of the time: edges are met there.
                int m = 1 + (int)(MostRows * Math.Pow(random.NextDouble(), 2)), n = 1 + (int)(MostColumns * Math.Pow(random.NextDouble(), 2)), k = 1 + (int)(MostDepth * Math.Pow(random.NextDouble(), 2));
                if (Same(kernel, random, m, n, k)) continue;
                Console.WriteLine($"{kernel}: product {i}, [{m}, {k}] x [{k}, {n}], differs from the definition");
                return 1;
            }
            Console.WriteLine($"{kernel}: {count} random products, int32, 8-bit and float, the bytes of the definition ({Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s)");
        }
        return 0;
    }

    private static bool Same(Int8Kernel kernel, Random random, int m, int n, int k)
    {
        var a = new byte[m * k];
        var w = new sbyte[k * n];
        random.NextBytes(a);
        random.NextBytes(MemoryMarshal.AsBytes(w.AsSpan()));
        int zeroPoint = random.Next(256), outputZeroPoint = random.Next(256);
        var bias = new int[n];
        float[] scales = new float[n], floatBias = new float[n], rowScales = [random.NextSingle()];
        for (int j = 0; j < n; j++)
        {
            bias[j] = random.Next(-10_000, 10_000);
            scales[j] = random.NextSingle() * 0.01f;
            floatBias[j] = random.NextSingle();
        }
        var packed = Int8Gemm.Pack(w, k, n, transposed: false, kernel);
        int[] sums = new int[m * n], expectedSums = new int[m * n];
        NaiveInt8.Int32(a, w, m, k, n, zeroPoint, bias, expectedSums);
        var int32 = new Int32Product(packed, zeroPoint, bias);
        int32.Run(a, m, sums, new byte[int32.WorkspaceBytes(m)], 1);
        if (!sums.AsSpan().SequenceEqual(expectedSums)) return false;

        var codes = new byte[m * n];
        var requantized = new RequantizedProduct(packed, zeroPoint, bias, scales, outputZeroPoint, 0, 255, signedOutput: false);
        requantized.Run(a, m, codes, new byte[requantized.WorkspaceBytes(m)], 1);
        var floats = new float[m * n];
        var real = new FloatProduct(packed, scales, floatBias);
        real.Run(a, m, rowScales, [zeroPoint], floats, new byte[real.WorkspaceBytes(m)], 1);
        for (int i = 0; i < m * n; i++)
        {
            int j = i % n;
            if (codes[i] != NaiveInt8.Requantize(expectedSums[i], scales[j], outputZeroPoint, -outputZeroPoint, 255 - outputZeroPoint)) return false;
            if (floats[i] != NaiveInt8.Scale(expectedSums[i] - bias[j], rowScales[0], scales[j], floatBias[j])) return false;
        }
        return true;
    }
}
