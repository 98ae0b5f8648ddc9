using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;

namespace MLNet.Quantization.Tests.Onnx;

/// <summary>Runs a case on the engine and compares with what the standard's reference gave.</summary>
internal static class ConformanceRunner
{
    // The tolerances of the standard's own test runner.
    private const double Relative = 1e-3;
    private const double Absolute = 1e-7;

    /// <summary>Null where all outputs agree, else what differs.</summary>
    /// <exception cref="QuantizationException">The engine refuses the case.</exception>
    public static string? Run(ConformanceCase test)
    {
        var graph = OnnxReader.Read(test.Model);
        foreach (var data in test.Data)
        {
            Tensor[] inputs = [.. data.Inputs.Select(i => OnnxReader.ReadTensor(i))];
            var program = Program.Compile(WithConstantShapes(graph, ref inputs));
            if (inputs.Length != program.Inputs.Length) return $"{inputs.Length} inputs are stored, the model has {program.Inputs.Length}";
            using var run = program.Rent([.. inputs.Select(i => i.Dims)]);
            for (int i = 0; i < inputs.Length; i++)
            {
                if (inputs[i].Type != program.Inputs[i].Type) return $"input {i} is stored as {inputs[i].Type}, the model reads {program.Inputs[i].Type}";
                inputs[i].Bytes.Span.CopyTo(run.Input<byte>(i));
            }
            run.Execute();
            for (int o = 0; o < data.Outputs.Count; o++)
            {
                var expected = OnnxReader.ReadTensor(data.Outputs[o]);
                if (expected.Type != program.Outputs[o].Type) return $"output {o} is {program.Outputs[o].Type}, expected {expected.Type}";
                if (!expected.Dims.SequenceEqual(run.OutputShape(o))) return $"output {o} has shape [{string.Join(',', run.OutputShape(o))}], expected {expected}";
                if (Difference(expected, run.Output<byte>(o)) is { } difference) return $"output {o} {difference}";
            }
        }
        return null;
    }

    /// <summary>
    /// The cases feed shapes, axes and bounds as graph inputs. The engine wants them constant, as models have them: those inputs become
    /// constants of the graph.
    /// </summary>
    private static ModelGraph WithConstantShapes(ModelGraph graph, ref Tensor[] inputs)
    {
        string[] named = ["ConstantOfShape", "Expand", "MaxUnpool", "OneHot", "Pad", "Range", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Tile", "TopK", "Unsqueeze", "Upsample"];
        var shapes = graph.Nodes.Where(n => named.Contains(n.OpType) || n.OpType.StartsWith("Reduce", StringComparison.Ordinal)).SelectMany(n => n.Inputs.Skip(n.OpType switch { "ConstantOfShape" or "Range" => 0, "MaxUnpool" => 2, _ => 1 })).ToHashSet(StringComparer.Ordinal);
        if (inputs.Length != graph.Inputs.Length || !graph.Inputs.Any(i => shapes.Contains(i.Name))) return graph;
        var constants = graph.Initializers;
        for (int i = 0; i < inputs.Length; i++)
            if (shapes.Contains(graph.Inputs[i].Name)) constants = constants.SetItem(graph.Inputs[i].Name, inputs[i]);
        inputs = [.. inputs.Where((_, i) => !shapes.Contains(graph.Inputs[i].Name))];
        return graph with { Inputs = [.. graph.Inputs.Where(i => !shapes.Contains(i.Name))], Initializers = constants };
    }

    private static string? Difference(Tensor expected, ReadOnlySpan<byte> actual)
    {
        if (expected.Bytes.Length != actual.Length) return $"has {actual.Length} bytes, expected {expected.Bytes.Length}";
        if (expected.Type == ElementType.Double) return Difference(expected.Span<double>(), MemoryMarshal.Cast<byte, double>(actual));
        if (expected.Type != ElementType.Float) return expected.Bytes.Span.SequenceEqual(actual) ? null : $"of {expected} is not the expected one";
        return Difference(expected.Span<float>(), MemoryMarshal.Cast<byte, float>(actual));
    }

    private static string? Difference<T>(ReadOnlySpan<T> wanted, ReadOnlySpan<T> found) where T : unmanaged, INumber<T>
    {
        for (int i = 0; i < wanted.Length; i++)
        {
            double x = double.CreateChecked(wanted[i]), y = double.CreateChecked(found[i]);
            if (y.Equals(x) || Math.Abs(y - x) <= Absolute + (Relative * Math.Abs(x))) continue;
            return string.Create(CultureInfo.InvariantCulture, $"is {y:R} at element {i}, expected {x:R}");
        }
        return null;
    }
}
