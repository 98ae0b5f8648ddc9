using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Passes;

namespace MLNet.Quantization.Pipeline;

/// <summary>Decides whether a batch of 1 that is baked into a model may become a batch of any size.</summary>
internal static class BatchCheck
{
    /// <summary>Magnitudes that are tried: what saturates for large values may hide a difference that small ones show.</summary>
    private static readonly float[] Spans = [0.1f, 1, 16];

    /// <summary>The graph with a symbolic batch where two stacked random rows score, bit for bit, as each alone; else as it was.</summary>
    public static ModelGraph SymbolicWhereSound(ModelGraph graph) =>
        SymbolicBatch.TryApply(graph) is { } candidate && ScoresRowsAlone(graph, candidate) ? candidate : graph;

    private static bool ScoresRowsAlone(ModelGraph single, ModelGraph batched)
    {
        if (single.Inputs.Any(i => !i.Shape!.IsKnown || i.Type.SizeOf() == 0)) return false;
        try
        {
            var one = Program.Compile(single);
            var many = Program.Compile(batched);
            using var pair = many.Rent([.. single.Inputs.Select(i => i.Shape!.ToInts()).Select(d => (int[])[2, .. d[1..]])]);
            using var alone = one.Rent([.. single.Inputs.Select(i => i.Shape!.ToInts())]);
            return Spans.All(span => RowsAgree(single, pair, alone, span));
        }
        catch (QuantizationException)
        {
            // The shapes do not work out for two rows (or the model does not run at all, which its caller finds out).
            return false;
        }
    }

    private static bool RowsAgree(ModelGraph single, ProgramRun pair, ProgramRun alone, float span)
    {
        var random = new Random(1);
        for (int i = 0; i < single.Inputs.Length; i++) Fill(single.Inputs[i].Type, pair, i, random, span);
        pair.Execute();
        for (int row = 0; row < 2; row++)
        {
            for (int i = 0; i < single.Inputs.Length; i++)
            {
                var input = alone.Input<byte>(i);
                pair.Input<byte>(i).Slice(row * input.Length, input.Length).CopyTo(input);
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

    /// <summary>Floats are random; integers are 0 or 1, which index any table, and differ everywhere between the two rows.</summary>
    private static void Fill(ElementType type, ProgramRun pair, int input, Random random, float span)
    {
        if (type == ElementType.Float)
        {
            foreach (ref float x in pair.Input<float>(input)) x = (random.NextSingle() * 2 - 1) * span;
            return;
        }
        if (type == ElementType.Double)
        {
            foreach (ref double x in pair.Input<double>(input)) x = (random.NextDouble() * 2 - 1) * span;
            return;
        }
        var bytes = pair.Input<byte>(input);
        int size = type.SizeOf(), half = bytes.Length / 2;
        bool isReal = type is ElementType.Float16 or ElementType.BFloat16;
        bytes.Clear();
        for (int at = 0; at < half; at += size)
        {
            // Little-endian, so that the first byte is the low one; of a 16-bit float the high one holds the exponent.
            int low = at + (isReal ? 1 : 0), row = random.Next(2);
            bytes[row * half + low] = (byte)(isReal ? 0x3C : 1);
        }
    }
}
