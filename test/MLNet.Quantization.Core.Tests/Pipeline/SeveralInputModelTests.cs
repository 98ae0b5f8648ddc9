using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Pipeline;
using MLNet.Quantization.Tests.Ops;
using Tensor = MLNet.Quantization.Graph.Tensor;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Shared models with several inputs of their own extents, recurrent ones, in float32 against ONNX Runtime.</summary>
[TestClass]
public sealed class SeveralInputModelTests
{
    /// <summary>Relative to the largest number of an output, or to 1: what a sigmoid near 0 gives is as exact as its argument.</summary>
    private const float FloatTolerance = 1e-5f;

    [TestMethod]
    public void PhonemesOfWordsOfAnyLengthAreThoseOfOnnxRuntime()
    {
        var source = OnnxReader.ReadFile(SharedData.Model("g2p_en_lstm"));
        var random = new Random(51);
        var cases = Enumerable.Range(0, 40).Select(_ => (Letters: random.Next(1, 20), Before: random.Next(1, 20)));
        Agree(source, [.. cases.Select(c => (Tensor[])
        [
            Tensor.Create([.. Enumerable.Range(0, c.Letters).Select(_ => random.Next(3, 29))], 1, c.Letters),
            Tensor.Create([.. Enumerable.Range(0, c.Before).Select(_ => random.Next(3, 29))], 1, c.Before),
            Tensor.Create([random.Next(c.Letters)], 1),
        ])]);
    }

    [TestMethod]
    public void SpeechIsFoundAsByOnnxRuntimeFromAnyState()
    {
        var source = OnnxReader.ReadFile(SharedData.Model("silero_vad_16k"));
        var random = new Random(52);
        Agree(source, [.. Enumerable.Range(0, 6).Select(i => (Tensor[])
        [
            Tensor.Create([.. Enumerable.Range(0, 576).Select(s => 0.3f * MathF.Sin(s * 0.02f * (i + 1)) + (0.1f * random.NextSingle()))], 1, 576),
            OneNode.Floats(random, 2, 1, 128),
            Tensor.Scalar(16000L),
        ])]);
    }

    private static void Agree(ModelGraph source, Tensor[][] cases)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR, IntraOpNumThreads = 1 };
        using var oracle = new InferenceSession(OnnxWriter.Write(source), options);
        var program = Program.Compile(PreparedModel.Prepare(source).Graph);
        foreach (var inputs in cases)
        {
            using var expected = oracle.Run([.. inputs.Select((t, i) => Value(source.Inputs[i].Name, t))], [.. source.Outputs.Select(o => o.Name)]);
            using var run = program.Rent([.. inputs.Select(t => t.Dims)]);
            for (int i = 0; i < inputs.Length; i++) inputs[i].Bytes.Span.CopyTo(run.Input<byte>(i));
            run.Execute();
            foreach (var (value, o) in expected.Select((v, o) => (v, o)))
            {
                if (program.OutputType(o) == ElementType.Float)
                {
                    float[] wanted = value.AsTensor<float>().ToArray(), found = run.Output<float>(o).ToArray();
                    Assert.HasCount(wanted.Length, found, value.Name);
                    float tolerance = FloatTolerance * Math.Max(1, wanted.Max(MathF.Abs));
                    for (int i = 0; i < wanted.Length; i++) Assert.AreEqual(wanted[i], found[i], tolerance, value.Name);
                }
                else if (program.OutputType(o) == ElementType.Int32) CollectionAssert.AreEqual(value.AsTensor<int>().ToArray(), run.Output<int>(o).ToArray(), value.Name);
                else CollectionAssert.AreEqual(value.AsTensor<long>().ToArray(), run.Output<long>(o).ToArray(), value.Name);
            }
        }
    }

    private static NamedOnnxValue Value(string name, Tensor t) => t.Type switch
    {
        ElementType.Float => NamedOnnxValue.CreateFromTensor(name, new DenseTensor<float>(t.Span<float>().ToArray(), t.Dims)),
        ElementType.Int32 => NamedOnnxValue.CreateFromTensor(name, new DenseTensor<int>(t.Span<int>().ToArray(), t.Dims)),
        _ => NamedOnnxValue.CreateFromTensor(name, new DenseTensor<long>(t.Span<long>().ToArray(), t.Dims)),
    };
}
