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
        var free = body.FreeNames().ToList();
        // A constant outside is one inside: weights are packed, and shapes may depend on it.
        var constants = free.Where(c => outer[c].Value is not null).Select(c => KeyValuePair.Create(c, outer[c].Value!));
        ImmutableArray<string> captures = [.. free.Where(c => outer[c].Value is null)];
        var closed = body with
        {
            Inputs = [.. body.Inputs, .. captures.Select(c => new ValueInfo(c, outer[c].Type, outer[c].Shape))],
            Initializers = body.Initializers.AddRange(constants),
        };
        return new Subgraph(captures, Program.Compile(closed, options with { Watched = [] }, opset, null));
    }

    private sealed class Subgraph(ImmutableArray<string> captures, Program program) : ISubgraph
    {
        public ImmutableArray<string> Captures => captures;

        public void Run(ReadOnlySpan<TensorView> inputs, ReadOnlySpan<TensorView> outputs, int maxThreads)
        {
            using var run = Start(inputs, maxThreads);
            for (int i = 0; i < outputs.Length; i++)
                if (outputs[i].IsPresent) run.View(i).Read<byte>().CopyTo(outputs[i].Write<byte>());
        }

        public ISubgraphRun Start(ReadOnlySpan<TensorView> inputs, int maxThreads)
        {
            var shapes = ArrayPool<int[]>.Shared.Rent(Math.Max(1, inputs.Length));
            for (int i = 0; i < inputs.Length; i++) shapes[i] = inputs[i].Dims;
            var run = program.Rent(shapes.AsSpan(0, inputs.Length));
            ArrayPool<int[]>.Shared.Return(shapes, clearArray: true);
            try
            {
                for (int i = 0; i < inputs.Length; i++) inputs[i].Read<byte>().CopyTo(run.Input<byte>(i));
                run.Execute(null, maxThreads);
                return run;
            }
            catch
            {
                run.Dispose();
                throw;
            }
        }
    }
}
