using System.Numerics;

namespace MLNet.Quantization.Training;

/// <summary>Turns gradients into steps. What it remembers goes by parameter names, so that it goes on where a network's graph changes.</summary>
internal sealed class Optimizer(TrainerOptions options)
{
    private readonly SortedDictionary<string, State> _state = new(StringComparer.Ordinal);

    /// <summary>Steps made.</summary>
    public long Steps { get; private set; }

    /// <summary>Changes every learned parameter by its gradient.</summary>
    public void Step(IEnumerable<Parameter> parameters, double rate)
    {
        Steps++;
        foreach (var p in parameters)
        {
            if (p.Kind == ParameterKind.Statistic) continue;
            float decay = p.Kind == ParameterKind.Weight ? (float)options.WeightDecay : 0;
            var state = StateOf(p, options.Optimizer == TrainingOptimizer.Sgd ? 1 : 2);
            state.Steps++;
            if (options.Optimizer == TrainingOptimizer.Sgd) StepSgd(p, state.Averages[0], (float)rate, decay);
            else StepAdam(p, state, rate, decay);
        }
    }

    public void Write(BinaryWriter writer)
    {
        writer.Write(Steps);
        writer.Write(_state.Count);
        foreach (var (name, state) in _state)
        {
            writer.Write(name);
            writer.Write(state.Steps);
            writer.Write(state.Averages.Length);
            foreach (float[] array in state.Averages) TrainingCheckpoint.Write(writer, array);
        }
    }

    public void Read(BinaryReader reader)
    {
        _state.Clear();
        Steps = reader.ReadInt64();
        for (int count = reader.ReadInt32(); count > 0; count--)
        {
            string name = reader.ReadString();
            long steps = reader.ReadInt64();
            var arrays = new float[reader.ReadInt32() is > 0 and <= 2 and var parts ? parts : throw new FormatException("An optimizer keeps 1 or 2 numbers for each parameter.")][];
            for (int i = 0; i < arrays.Length; i++) arrays[i] = TrainingCheckpoint.ReadFloats(reader);
            _state.Add(name, new(arrays) { Steps = steps });
        }
    }

    private State StateOf(Parameter p, int arrays)
    {
        if (_state.TryGetValue(p.Name, out var known) && known.Averages[0].Length == p.Value.Count) return known;
        return _state[p.Name] = new([.. Enumerable.Range(0, arrays).Select(_ => new float[p.Value.Count])]);
    }

    private void StepSgd(Parameter p, float[] velocity, float rate, float decay)
    {
        float momentum = (float)options.Momentum;
        float[] w = p.Value.Data, g = p.Gradient.Data;
        int i = 0;
        for (; i <= w.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var value = new Vector<float>(w, i);
            var v = (momentum * new Vector<float>(velocity, i)) + (new Vector<float>(g, i) + (decay * value));
            v.CopyTo(velocity, i);
            (value - (rate * v)).CopyTo(w, i);
        }
        for (; i < w.Length; i++)
        {
            velocity[i] = (momentum * velocity[i]) + (g[i] + (decay * w[i]));
            w[i] -= rate * velocity[i];
        }
    }

    private void StepAdam(Parameter p, State state, double rate, float decay)
    {
        float b1 = (float)options.Beta1, b2 = (float)options.Beta2, epsilon = (float)options.Epsilon;
        // m / (1 - b1ᵗ) over √(v / (1 - b2ᵗ)) + ε, the corrections taken together.
        float step = (float)(rate / (1 - Math.Pow(options.Beta1, state.Steps))), correction = (float)(1 / Math.Sqrt(1 - Math.Pow(options.Beta2, state.Steps)));
        float coupled = options.Optimizer == TrainingOptimizer.Adam ? decay : 0, shrink = options.Optimizer == TrainingOptimizer.AdamW ? (float)rate * decay : 0;
        float[] w = p.Value.Data, g = p.Gradient.Data, m = state.Averages[0], v = state.Averages[1];
        int i = 0;
        for (; i <= w.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var value = new Vector<float>(w, i);
            var gradient = new Vector<float>(g, i) + (coupled * value);
            var first = (b1 * new Vector<float>(m, i)) + ((1 - b1) * gradient);
            var second = (b2 * new Vector<float>(v, i)) + ((1 - b2) * gradient * gradient);
            first.CopyTo(m, i);
            second.CopyTo(v, i);
            (value - (shrink * value) - (step * first / ((Vector.SquareRoot(second) * correction) + new Vector<float>(epsilon)))).CopyTo(w, i);
        }
        for (; i < w.Length; i++)
        {
            float gradient = g[i] + (coupled * w[i]);
            m[i] = (b1 * m[i]) + ((1 - b1) * gradient);
            v[i] = (b2 * v[i]) + ((1 - b2) * gradient * gradient);
            w[i] = w[i] - (shrink * w[i]) - (step * m[i] / ((MathF.Sqrt(v[i]) * correction) + epsilon));
        }
    }

    /// <summary>What is remembered of one parameter.</summary>
    private sealed class State(float[][] averages)
    {
        public float[][] Averages => averages;

        /// <summary>Steps that the averages have seen, which Adam corrects them for: some parameters come with a later phase.</summary>
        public long Steps { get; set; }
    }
}
