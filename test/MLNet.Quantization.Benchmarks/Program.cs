using System.Globalization;
using MLNet.Quantization.Benchmarks;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args.FirstOrDefault())
{
    case "gemm":
        return GemmBenchmark.Run(args[1..]);
    case "models":
        return ModelBenchmark.Run(args[1..]);
    case "peak":
        return PeakBenchmark.Run();
    case "training":
        return TrainingBenchmark.Run(args[1..]);
    case "verify":
        return VerifyCommand.Run(args[1..]);
    default:
        Console.Error.WriteLine(
            """
            dotnet run -c Release --project test/MLNet.Quantization.Benchmarks -- COMMAND
              gemm [--threads N] [--quick] [--json FILE] [--shape M,N,K]   the INT8 product beside ONNX Runtime's
              models [--model A,B] [--threads 1,2] [--batch 1,16] [--quick] [--json FILE] [--profile] [--products] [--folder PATH]
                                                                           whole models beside ONNX Runtime, or step by step
              peak                                                         what the processor can do: multiplications and memory
              training [--threads 1,2] [--quick] [--json FILE]             an epoch in float and with rounding beside its products
              verify [COUNT]                                               COUNT random products on every kernel against the definition
            """);
        return 2;
}
