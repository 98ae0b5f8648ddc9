using System.Globalization;
using MLNet.Quantization.Benchmarks;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args.FirstOrDefault())
{
    case "gemm":
        return GemmBenchmark.Run(args[1..]);
    case "peak":
        return PeakBenchmark.Run();
    default:
        Console.Error.WriteLine(
            """
            dotnet run -c Release --project test/MLNet.Quantization.Benchmarks -- COMMAND
              gemm [--threads N] [--quick] [--json FILE] [--shape M,N,K]   the INT8 product beside ONNX Runtime's
              peak                                                         what the processor can do: multiplications and memory
            """);
        return 2;
}
