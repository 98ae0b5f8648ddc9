using System.Buffers;
using System.Collections.Immutable;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Execution;

/// <summary>Compiles subgraph bodies to programs of their own, whose inputs are the body's inputs and then what it captures.</summary>
internal sealed class SubgraphCompiler(IReadOnlyDictionary<string, ValueFact> outer, ProgramOptions options) : ISubgraphCompiler
{
    public ISubgraph Compile(ModelGraph body, int opset)
    {
        ImmutableArray<string> captures = [.. body.FreeNames()];
        var closed = body with { Inputs = [.. body.Inputs, .. captures.Select(c => new ValueInfo(c, outer[c].Type, outer[c].Shape))] };
        // A constant outside stays a known constant inside: shapes may depend on it.
        var constants = captures.Where(c => outer[c].Value is not null).ToDictionary(c => c, c => outer[c], StringComparer.Ordinal);
        return new Subgraph(captures, Program.Compile(closed, options with { Watched = [] }, opset, constants));
    }

    private sealed class Subgraph(ImmutableArray<string> captures, Program program) : ISubgraph
    {
        public ImmutableArray<string> Captures => captures;

        public void Run(ReadOnlySpan<TensorView> inputs, ReadOnlySpan<TensorView> outputs, int maxThreads)
        {
            var shapes = ArrayPool<int[]>.Shared.Rent(Math.Max(1, inputs.Length));
            for (int i = 0; i < inputs.Length; i++) shapes[i] = inputs[i].Dims;
            using var run = program.Rent(shapes.AsSpan(0, inputs.Length));
            ArrayPool<int[]>.Shared.Return(shapes, clearArray: true);
            for (int i = 0; i < inputs.Length; i++) inputs[i].Read<byte>().CopyTo(run.Input<byte>(i));
            run.Execute();
            for (int i = 0; i < outputs.Length; i++)
                if (outputs[i].IsPresent) run.Output<byte>(i).CopyTo(outputs[i].Write<byte>());
        }
    }
}
