using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Pipeline;

/// <summary>Decides whether a batch of 1 that is baked into a model may become a batch of any size.</summary>
internal static class BatchCheck
{
    /// <summary>The graph with a symbolic batch where two stacked random rows score, bit for bit, as each alone; else as it was.</summary>
    public static ModelGraph SymbolicWhereSound(ModelGraph graph) =>
        SymbolicBatch.TryApply(graph) is { } candidate && ScoresRowsAlone(graph, candidate) ? candidate : graph;

    private static bool ScoresRowsAlone(ModelGraph single, ModelGraph batched)
    {
        if (single.Inputs.Any(i => i.Type != ElementType.Float || !i.Shape!.IsKnown)) return false;
        try
        {
            var one = Program.Compile(single);
            var many = Program.Compile(batched);
            using var pair = many.Rent([.. single.Inputs.Select(i => i.Shape!.ToInts()).Select(d => (int[])[2, .. d[1..]])]);
            using var alone = one.Rent([.. single.Inputs.Select(i => i.Shape!.ToInts())]);
            var random = new Random(1);
            for (int i = 0; i < single.Inputs.Length; i++)
                foreach (ref float x in pair.Input<float>(i)) x = random.NextSingle() * 2 - 1;
            pair.Execute();
            for (int row = 0; row < 2; row++)
            {
                for (int i = 0; i < single.Inputs.Length; i++)
                {
                    var input = alone.Input<float>(i);
                    pair.Input<float>(i).Slice(row * input.Length, input.Length).CopyTo(input);
                }
                alone.Execute();
                for (int o = 0; o < single.Outputs.Length; o++)
                {
                    var expected = alone.Output<byte>(o);
                    var found = pair.Output<byte>(o);
                    if (pair.OutputShape(o) is not [2, ..] || found.Length != 2 * expected.Length) return false;
                    if (!found.Slice(row * expected.Length, expected.Length).SequenceEqual(expected)) return false;
                }
            }
            return true;
        }
        catch (QuantizationException)
        {
            // The shapes do not work out for two rows (or the model does not run at all, which its caller finds out).
            return false;
        }
    }
}
