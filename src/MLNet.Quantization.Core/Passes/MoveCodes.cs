using System.Collections.Immutable;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Passes;

/// <summary>
/// Lets codes flow where a graph moves them as floats. Quantizing and dequantizing with one scale commute with data movement, so
/// QuantizeLinear goes up through it and DequantizeLinear down; where they meet with equal parameters both fall away, and of several
/// equal quantizers of one value one remains. The graph computes the same bits as before.
/// </summary>
internal static class MoveCodes
{
    public static ModelGraph Apply(ModelGraph graph)
    {
        // Quantizers only go up, dequantizers only down, so this ends.
        while (true)
        {
            var moved = new Round(graph).Run();
            if (ReferenceEquals(moved, graph)) return graph;
            graph = moved;
        }
    }

    /// <summary>One sweep over the graph. A change claims its nodes and their neighbours, so that no two changes of a sweep touch one value.</summary>
    private sealed class Round(ModelGraph graph)
    {
        private readonly GraphIndex _index = new(graph);
        private readonly GraphPatch _patch = new(graph);
        private readonly HashSet<Node> _touched = new(ReferenceEqualityComparer.Instance);

        public ModelGraph Run()
        {
            foreach (var node in graph.Nodes)
            {
                if (node.Domain.Length > 0) continue;
                if (node.OpType == "QuantizeLinear") _ = Cancel(node) || GoUp(node) || MergeTwins(node);
                else if (node.OpType == "DequantizeLinear") MergeTwins(node);
                else if (Movement.Is(_index, node)) _ = GoDown(node) || GoDownByChannel(node);
            }
            return _patch.IsEmpty ? graph : RemoveDeadNodes.Apply(_patch.Apply());
        }

        /// <summary>Codes that are dequantized and quantized as they were are the codes.</summary>
        private bool Cancel(Node quantize)
        {
            if (_index.ProducerOf(quantize.Inputs[0], "DequantizeLinear") is not { } dequantize || graph.IsOutput(quantize.Outputs[0])) return false;
            if (QuantizedValue.PerTensor(_index, quantize) is not { SurvivesRoundTrip: true } parameters || QuantizedValue.PerTensor(_index, dequantize) != parameters) return false;
            if (!Claim(quantize, dequantize)) return false;
            _patch.Remove(quantize).RenameUses(quantize.Outputs[0], dequantize.Inputs[0]);
            return true;
        }

        private bool GoUp(Node quantize)
        {
            if (_index.Producers.GetValueOrDefault(quantize.Inputs[0]) is not { } movement || !Movement.Is(_index, movement)) return false;
            if (QuantizedValue.PerTensor(_index, quantize) is not { } parameters || _index.OnlyConsumerOf(movement.Outputs[0]) is null) return false;
            // Nothing makes codes above graph inputs; there the first layer quantizes what it reads.
            var data = movement.Inputs.Take(Movement.DataInputs(movement)).ToList();
            if (data.All(d => _index.IsInput(d) || _index.Constant(d) is not null)) return false;
            // Nor in front of a table of codes: its rows are picked as they are.
            if (EmbeddingLayer.MatchQuantized(_index, movement) is not null) return false;
            if (!Claim(quantize, movement)) return false;
            var codes = data.ConvertAll(d => _patch.NewName($"{d}_codes"));
            for (int i = 0; i < data.Count; i++)
                _patch.Add(quantize with { Name = _patch.NewName($"{quantize.DisplayName}_up"), Inputs = quantize.Inputs.SetItem(0, data[i]), Outputs = [codes[i]] });
            _patch.Remove(quantize).Replace(movement, Movement.OnCodes(_index, _patch, movement, codes, quantize.Outputs[0], parameters));
            return true;
        }

        private bool GoDown(Node movement)
        {
            var sources = movement.Inputs.Take(Movement.DataInputs(movement)).Select(d => _index.ProducerOf(d, "DequantizeLinear")).ToList();
            if (sources[0] is not { } first || QuantizedValue.PerTensor(_index, first) is not { } parameters) return false;
            if (sources.Any(s => s is null || QuantizedValue.PerTensor(_index, s) != parameters) || !Movement.AddsCodes(_index, movement, parameters)) return false;
            if (!Claim([movement, .. sources!])) return false;
            PutAbove(movement, first, codes => Movement.OnCodes(_index, _patch, movement, sources.ConvertAll(s => s!.Inputs[0]), codes, parameters));
            return true;
        }

        /// <summary>Weights with a scale for each channel that are transposed: the axis of channels moves along.</summary>
        private bool GoDownByChannel(Node transpose)
        {
            if (transpose.OpType != "Transpose" || _index.ProducerOf(transpose.Inputs[0], "DequantizeLinear") is not { } dequantize) return false;
            if (_index.Constant(dequantize.Inputs[0]) is not { } codes || _index.Constant(dequantize.Inputs[1]) is not { Rank: 1, Count: > 1 } || dequantize.Attributes.Get("block_size", 0L) != 0) return false;
            long axis = dequantize.Attributes.Get("axis", 1L);
            if (axis < 0) axis += codes.Rank;
            var given = transpose.Attributes.Get("perm", default(ImmutableArray<long>));
            long[] order = given.IsDefault ? [.. Enumerable.Range(1, codes.Rank).Select(i => (long)codes.Rank - i)] : [.. given];
            if (Array.IndexOf(order, axis) is var moved && moved < 0 || !Claim(transpose, dequantize)) return false;
            PutAbove(transpose, dequantize with { Attributes = dequantize.Attributes.With("axis", (long)moved) }, codes => transpose with { Inputs = [dequantize.Inputs[0]], Outputs = [codes] });
            return true;
        }

        private void PutAbove(Node movement, Node dequantize, Func<string, Node> onCodes)
        {
            string codes = _patch.NewName($"{movement.Outputs[0]}_codes");
            _patch.Replace(
                movement, onCodes(codes),
                dequantize with { Name = _patch.NewName($"{movement.DisplayName}_DequantizeLinear"), Inputs = dequantize.Inputs.SetItem(0, codes), Outputs = [movement.Outputs[0]] });
        }

        private bool MergeTwins(Node node)
        {
            if (QuantizedValue.PerTensor(_index, node) is not { } parameters) return false;
            var twin = _index.Consumers[node.Inputs[0]].FirstOrDefault(t =>
                !ReferenceEquals(t, node) && t.OpType == node.OpType && t.Inputs[0] == node.Inputs[0] && !graph.IsOutput(t.Outputs[0]) && QuantizedValue.PerTensor(_index, t) == parameters);
            if (twin is null || !Claim(node, twin)) return false;
            _patch.Remove(twin).RenameUses(twin.Outputs[0], node.Outputs[0]);
            return true;
        }

        private bool Claim(params ReadOnlySpan<Node> nodes)
        {
            var wanted = new HashSet<Node>(ReferenceEqualityComparer.Instance);
            foreach (var node in nodes)
            {
                wanted.Add(node);
                wanted.UnionWith(node.Inputs.Select(_index.Producers.GetValueOrDefault).OfType<Node>());
                wanted.UnionWith(node.Outputs.SelectMany(o => _index.Consumers[o]));
            }
            if (wanted.Overlaps(_touched)) return false;
            _touched.UnionWith(wanted);
            return true;
        }
    }
}
