using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using MLNet.Quantization.Training;

namespace MLNet.Quantization.Tests.Training;

/// <summary>Whoever watches an ML.NET environment sees training go on, as with ML.NET's own trainers.</summary>
[TestClass]
public sealed class ProgressTests
{
    private const int Rows = 100, Epochs = 3;

    private sealed class Row
    {
        [VectorType(2)]
        public float[] Features { get; set; } = [];

        public float Label { get; set; }
    }

    [TestMethod]
    public void EpochsAndRowsGoThroughTheProgressChannel()
    {
        var ml = new MLContext(1);
        var view = ml.Data.LoadFromEnumerable(Enumerable.Range(0, Rows).Select(i => new Row { Features = [i % 2, i % 3], Label = i % 2 }).ToList());
        var recorder = new Recorder();
        var host = DispatchProxy.Create<IHost, RecordingHost>();
        ((RecordingHost)(object)host).Recorder = recorder;
        var rowsSeen = new List<double>();
        var options = new TrainingOptions
        {
            NumberOfEpochs = Epochs,
            ValidationData = view,
            Progress = _ => rowsSeen.Add(recorder.Now(1)),
        };
        using (var channel = ((IHostEnvironment)ml).Register("test").Start("training"))
        {
            var training = new NetworkTraining(new NetworkBuilder(2, "Features").Dense(2).Build("Score"), options, host, channel);
            training.Run(new FloatNetwork(training.Graph, training.Scores, 1), view);
        }
        Assert.IsTrue(recorder.IsDisposed);
        Assert.AreEqual("epochs rows", string.Join(" ", recorder.Header!.UnitNames));
        Assert.HasCount(3, recorder.Header.MetricNames);
        Assert.HasCount(Epochs, recorder.Checkpoints);
        for (int epoch = 0; epoch < Epochs; epoch++)
        {
            Assert.IsTrue(recorder.Checkpoints[epoch][..3].All(v => v is { } value && double.IsFinite(value)));
            Assert.AreEqual(epoch + 1, recorder.Checkpoints[epoch][3]);
            Assert.AreEqual(Rows, rowsSeen[epoch]);
        }
        Assert.AreEqual((Epochs - 1, (double)Epochs), (recorder.Now(0), recorder.Limits[0]));
        Assert.AreEqual(Rows, recorder.Limits[1]);
    }

    /// <summary>A host of which nothing but the progress channel is asked for.</summary>
    public class RecordingHost : DispatchProxy
    {
        internal Recorder? Recorder { get; set; }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
            targetMethod?.Name == nameof(IProgressChannelProvider.StartProgressChannel) ? Recorder : throw new NotSupportedException(targetMethod?.Name);
    }

    internal sealed class Recorder : IProgressChannel, IProgressEntry
    {
        private readonly double[] _now = new double[2];
        private Action<IProgressEntry>? _fill;

        public ProgressHeader? Header { get; private set; }

        public List<double?[]> Checkpoints { get; } = [];

        public double[] Limits { get; } = new double[2];

        public bool IsDisposed { get; private set; }

        public double Now(int unit)
        {
            _fill!(this);
            return _now[unit];
        }

        public void SetHeader(ProgressHeader header, Action<IProgressEntry> fillAction) => (Header, _fill) = (header, fillAction);

        public void Checkpoint(params double?[] values) => Checkpoints.Add(values);

        public IProgressChannel StartProgressChannel(string name) => this;

        public void Dispose() => IsDisposed = true;

        public void SetProgress(int index, double value) => SetProgress(index, value, double.NaN);

        public void SetProgress(int index, double value, double lim) => (_now[index], Limits[index]) = (value, lim);

        public void SetMetric(int index, double value)
        {
        }
    }
}
