using System.Diagnostics;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Training;

/// <summary>
/// Trains a network: forward, loss, backward and a step for each batch, and after each epoch the loss of what would be deployed. The same data,
/// options and number of threads give the same bits.
/// </summary>
/// <param name="network">What is trained; holds the result.</param>
/// <param name="loss">What is made small.</param>
/// <param name="data">Rows to learn from.</param>
/// <param name="validation">Rows that are held back, or null.</param>
/// <param name="options">How.</param>
internal sealed class Trainer(Network network, Loss loss, ITrainingData data, ITrainingData? validation, TrainerOptions options)
{
    private readonly Optimizer _optimizer = new(options);
    private readonly ParameterSnapshot _lastGood = new();
    private readonly BestEpoch _best = new();

    /// <summary>An epoch whose loss is so many times that of a network which always answers 0 has learned nothing but to be wrong.</summary>
    private const double Diverged = 1000;

    /// <summary>The epoch at hand, counted from 0. May be read from any thread.</summary>
    public int Epoch { get; private set; }

    /// <summary>Rows of the epoch at hand that were learned from. May be read from any thread.</summary>
    public long RowsDone { get; private set; }

    /// <exception cref="TrainingException">No rows; a label that does not fit; a loss that is not finite or has run away, after which the network holds the parameters of the last good epoch.</exception>
    /// <exception cref="OperationCanceledException">Asked for; the checkpoint of the last whole epoch stays.</exception>
    public void Run()
    {
        int epoch = 0;
        var checkpoint = options.CheckpointPath is { } path ? new TrainingCheckpoint(path, network, loss, options) : null;
        if (checkpoint?.Exists == true) epoch = checkpoint.Load(_optimizer, _best);
        for (; epoch < options.Epochs && !HasLostPatience(epoch); epoch++)
        {
            (Epoch, RowsDone) = (epoch, 0);
            if (network.BeginEpoch(epoch, options.Epochs)) _best.Forget(epoch);
            _lastGood.Take(network.Parameters);
            var watch = Stopwatch.StartNew();
            var (mean, rows, rate) = RunEpoch(epoch);
            double seconds = watch.Elapsed.TotalSeconds;
            // No loss has seen the last step.
            if (network.Parameters.FirstOrDefault(p => !AllFinite(p.Value.Data)) is { } bad) throw Lost(network.Graph.Graph.Nodes.FirstOrDefault(n => n.Inputs.Contains(bad.Name)), bad.Name, "parameter", epoch);
            var (validationLoss, accuracy) = validation is null ? (null, null) : Validate(epoch);
            if (validationLoss is { } v) _best.Consider(epoch, v, options.Patience is null ? null : network.Parameters);
            checkpoint?.Save(epoch + 1, _optimizer, _best);
            options.Progress?.Invoke(new(epoch, mean, validationLoss, accuracy, rate, rows / Math.Max(seconds, 1e-9)));
        }
        if (options.Patience is not null && validation is not null) _best.Restore(network.Parameters);
    }

    private bool HasLostPatience(int epoch) => options.Patience is { } patience && validation is not null && epoch > 0 && epoch - 1 - _best.Epoch >= patience;

    private (double Loss, long Rows, double Rate) RunEpoch(int epoch)
    {
        double sum = 0, silent = 0, rate = options.LearningRate;
        long rows = 0;
        foreach (var batch in data.Read(epoch))
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            var tape = network.TapeOf(batch.InputDims);
            batch.CopyTo(tape);
            foreach (var p in network.Parameters) Array.Clear(p.Gradient.Data);
            tape.Forward();
            double batchLoss = loss.Evaluate(tape.Output, batch.Labels, tape.OutputGradient, rows);
            if (!double.IsFinite(batchLoss)) throw Lost(tape, epoch);
            tape.Backward();
            double progress = (epoch + (data.Rows is > 0 and var all ? Math.Min(1, rows / (double)all) : 0)) / options.Epochs;
            rate = options.RateAt(_optimizer.Steps, progress);
            if (!Clip()) throw Lost(tape, epoch);
            _optimizer.Step(network.Parameters, rate);
            sum += batchLoss * batch.Rows;
            if (rows == 0) silent = SilentLoss(batch, rows);
            RowsDone = rows += batch.Rows;
        }
        if (rows == 0) throw new TrainingException("The training set is empty.");
        // The first batch tells whether all need to be looked at.
        if (sum > rows * Diverged * silent) ThrowIfAway(sum / rows, epoch);
        return (sum / rows, rows, rate);
    }

    /// <summary>The loss of a network that always answers 0.</summary>
    private double SilentLoss(TrainingBatch batch, long firstRow) => loss.Evaluate(new(network.TapeOf(batch.InputDims).Output.Dims), batch.Labels, null, firstRow);

    private void ThrowIfAway(double mean, int epoch)
    {
        double silent = 0;
        long rows = 0;
        foreach (var batch in data.Read(epoch))
        {
            silent += SilentLoss(batch, rows) * batch.Rows;
            rows += batch.Rows;
        }
        silent /= Math.Max(1, rows);
        if (!(silent > 0) || mean <= Diverged * silent) return;
        _lastGood.Restore(network.Parameters);
        throw new TrainingException(
            FormattableString.Invariant($"Training ran away in epoch {epoch}: its loss is {mean:G4}, where a network that always answers 0 has {silent:G4}. The parameters are those of the last good epoch. A smaller learning rate (here {options.LearningRate}) or GradientClipping may help."),
            epoch: epoch, step: _optimizer.Steps);
    }

    /// <summary>Shortens the gradients where they are too long; false where they are not finite.</summary>
    private bool Clip()
    {
        double squares = 0;
        foreach (var p in network.Parameters)
        {
            float sum = Vectors.SumOfSquares<float>(p.Gradient.Data, 0);
            // Squares of finite numbers overflow float, not double.
            squares += float.IsFinite(sum) ? sum : p.Gradient.Data.Sum(g => (double)g * g);
        }
        if (!double.IsFinite(squares)) return false;
        double length = Math.Sqrt(squares);
        if (options.GradientClipping is not { } most || length <= most) return true;
        foreach (var p in network.Parameters)
            for (int i = 0; i < p.Gradient.Count; i++) p.Gradient.Data[i] *= (float)(most / length);
        return true;
    }

    private (double? Loss, double? Accuracy) Validate(int epoch)
    {
        var program = network.Deployed();
        int scores = program.Outputs.Select(o => o.Name).ToList().IndexOf(network.Graph.Output);
        double sum = 0;
        long rows = 0;
        (long Right, long All) labels = default;
        foreach (var batch in validation!.Read(epoch))
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            using var run = program.Rent(batch.InputDims);
            for (int i = 0; i < batch.Inputs.Length; i++) Load(run, i, program.Inputs[i].Type, batch);
            run.Execute();
            var output = new Values<float>(run.OutputShape(scores), run.Output<float>(scores).ToArray());
            sum += loss.Evaluate(output, batch.Labels, null, rows) * batch.Rows;
            if (loss.CountRight(output, batch.Labels) is { } count) labels = (labels.Right + count.Right, labels.All + count.All);
            rows += batch.Rows;
        }
        return rows > 0 ? (sum / rows, labels.All > 0 ? labels.Right / (double)labels.All : null) : throw new TrainingException("The validation set is empty.");
    }

    private static void Load(ProgramRun run, int input, ElementType type, TrainingBatch batch)
    {
        int count = batch.InputDims[input].Aggregate(1, (a, b) => a * b);
        switch (batch.Inputs[input])
        {
            case float[] reals: reals.AsSpan(0, count).CopyTo(run.Input<float>(input)); break;
            case long[] integers when type == ElementType.Int64: integers.AsSpan(0, count).CopyTo(run.Input<long>(input)); break;
            case long[] integers:
                var narrow = run.Input<int>(input);
                for (int i = 0; i < count; i++) narrow[i] = checked((int)integers[i]);
                break;
        }
    }

    /// <summary>Finds the first number that is not finite, and goes back to the last good parameters.</summary>
    private TrainingException Lost(Tape<float> tape, int epoch)
    {
        var (node, tensor, where) = FirstBad(tape);
        return Lost(node, tensor, where, epoch);
    }

    private TrainingException Lost(Node? node, string? tensor, string where, int epoch)
    {
        _lastGood.Restore(network.Parameters);
        string place = node is null ? "the loss or its gradient" : $"{where} '{tensor}' of node '{node.DisplayName}' ({node.OpType})";
        return new(
            FormattableString.Invariant($"Training lost its way in epoch {epoch}, step {_optimizer.Steps}: {place} is not finite. The parameters are those of the last good epoch. A smaller learning rate (here {options.LearningRate}) or GradientClipping may help."),
            node?.DisplayName, tensor, epoch, step: _optimizer.Steps);
    }

    private (Node? Node, string? Tensor, string Where) FirstBad(Tape<float> tape)
    {
        foreach (var node in tape.Nodes)
        {
            for (int i = 0; i < node.Inputs.Length; i++)
                if (node.Inputs[i] is { } x && !AllFinite(x.Data)) return (node.Context.Node, node.Context.Node.Inputs[i], "input");
            for (int i = 0; i < node.Outputs.Length; i++)
                if (node.Outputs[i] is { } y && !AllFinite(y.Data)) return (node.Context.Node, node.Context.Node.Outputs[i], "output");
        }
        if (!AllFinite(tape.OutputGradient.Data)) return (null, null, "");
        // Gradients share memory, so one more way back, looking at each as it comes.
        foreach (var p in network.Parameters) Array.Clear(p.Gradient.Data);
        if (tape.BackwardUntil(n => BadGradient(n) >= 0) is not { Context.Node: var last } found) return (null, null, "");
        return (last, last.Inputs[BadGradient(found)], "the gradient at input");
    }

    private static int BadGradient(TapeNode<float> node) => Array.FindIndex(node.InputGradients, g => g is not null && !AllFinite(g.Data));

    private static bool AllFinite(float[] values) => !Array.Exists(values, v => !float.IsFinite(v));
}
