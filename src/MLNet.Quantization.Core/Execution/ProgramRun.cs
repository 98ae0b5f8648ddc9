using System.Buffers;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Execution;

/// <summary>
/// The memory of one run at a time: fill the inputs in place, execute, read the outputs. Inputs stay as they are, so a run may be
/// executed again. Not for two threads at once; rent one each. Dispose gives it back to its program.
/// </summary>
internal sealed unsafe class ProgramRun : ISubgraphRun
{
    private readonly ProgramPlan _plan;
    private readonly byte* _arena;
    private readonly MemoryHandle[] _pinned;
    private readonly TensorView[] _values;
    private readonly TensorView[] _arguments;
    private readonly BoundStep[] _steps;
    private readonly int[] _inputs;
    private readonly int[] _outputs;
    private readonly WatchedValue[] _watched;
    private readonly SparseRows?[] _sparse;
    private readonly Tensor[]?[] _made;
    private ProgramRun? _next;
    private Handover[] _handed = [];

    internal ProgramRun(ProgramPlan plan)
    {
        _plan = plan;
        var memory = plan.Memory;
        _arena = (byte*)NativeMemory.AlignedAlloc(checked((nuint)(memory.ArenaBytes + memory.WorkspaceBytes + MemoryPlanner.Alignment)), MemoryPlanner.Alignment);
        _pinned = new MemoryHandle[plan.Values.Length];
        _values = new TensorView[plan.Values.Length];
        for (int v = 0; v < _values.Length; v++) _values[v] = new(AddressOf(v), plan.Values[v].Layout);

        _arguments = [.. plan.Steps.SelectMany(s => s.Inputs.Concat(s.Outputs)).Select(v => v < 0 ? default : _values[v])];
        _steps = new BoundStep[plan.Steps.Length];
        for (int i = 0, start = 0; i < _steps.Length; i++)
        {
            var s = plan.Steps[i];
            _steps[i] = new(s.Node.Step, start, s.Inputs.Length, s.Outputs.Length, s.Needs.State, s.IsOpen);
            start += s.Inputs.Length + s.Outputs.Length;
        }
        _inputs = [.. plan.Program.Inputs.Select(i => IndexOf(i.Name))];
        _outputs = [.. plan.Program.Outputs.Select(o => IndexOf(o.Name))];
        // What another plan handed over was watched there, unless it came as a tensor.
        _watched = [.. plan.Program.Options.Watched.Select((name, i) => new WatchedValue(i, IndexOf(name), StepOf(IndexOf(name)))).Where(w => w.Value >= 0 && (w.AfterStep >= 0 || plan.IsFirstSeen(plan.Values[w.Value].Name))).OrderBy(w => w.AfterStep)];
        _sparse = new SparseRows?[_inputs.Length];
        _made = new Tensor[]?[plan.Steps.Length];
    }

    ~ProgramRun() => Free();

    /// <summary>The memory of an input, to be filled before <see cref="Execute"/>. Row-major, 64-byte aligned.</summary>
    public Span<T> Input<T>(int index) where T : unmanaged => _values[_inputs[index]].Write<T>();

    /// <summary>The result of the last <see cref="Execute"/>. Row-major; overwritten by the next one.</summary>
    public ReadOnlySpan<T> Output<T>(int index) where T : unmanaged => View(index).Read<T>();

    public int[] InputShape(int index) => _values[_inputs[index]].Dims;

    /// <exception cref="UnsupportedOperatorException">The shape depends on the data, and nothing was executed.</exception>
    public int[] OutputShape(int index) => View(index).Dims;

    /// <summary>The result of the last <see cref="Execute"/>.</summary>
    public TensorView View(int output) => _outputs[output] >= 0 ? _values[_outputs[output]] : (_next ?? throw _plan.Rest!.Unknown(output)).View(output);

    /// <summary>Bytes that this run holds: values and workspace, without constants and packed weights.</summary>
    public long ArenaBytes => _plan.Memory.ArenaBytes + _plan.Memory.WorkspaceBytes;

    /// <summary>
    /// Hands an input in as sparse rows (null: dense again). Only where <see cref="Program.AcceptsSparse"/>; there must be as many rows
    /// as the input's first extent.
    /// </summary>
    public void UseSparse(int input, SparseRows? rows)
    {
        if (rows is not null && !_plan.Program.AcceptsSparse(input)) throw new InvalidOperationException($"Input {input} must be dense.");
        if (ReferenceEquals(_sparse[input], rows)) return;
        _sparse[input] = rows;
        int value = _inputs[input];
        if (value < 0) return;
        _values[value] = new(AddressOf(value), _values[value].Layout!, rows);
        for (int s = 0, at = 0; s < _plan.Steps.Length; s++)
        {
            foreach (int v in _plan.Steps[s].Inputs.Concat(_plan.Steps[s].Outputs))
            {
                if (v == value) _arguments[at] = _values[value];
                at++;
            }
        }
    }

    /// <summary>Computes the outputs from the inputs.</summary>
    /// <param name="tap">Sees the values named in <see cref="ProgramOptions.Watched"/>.</param>
    /// <param name="maxThreads">Threads to keep busy; null: as the program's options say.</param>
    public void Execute(IValueTap? tap = null, int? maxThreads = null)
    {
        var workspace = new Span<byte>(_arena + _plan.Memory.ArenaBytes, checked((int)_plan.Memory.WorkspaceBytes));
        ReadOnlySpan<TensorView> arguments = _arguments;
        int threads = maxThreads ?? _plan.Program.Options.MaxThreads, watched = 0;
        if (_plan.WakesWorkers) WorkerPool.Awaken(threads);
        WorkerPool.Missed = 0;
        Report(tap, -1, ref watched);
        for (int i = 0; i < _steps.Length; i++)
        {
            ref readonly var s = ref _steps[i];
            var context = new StepContext(arguments.Slice(s.Start, s.InputCount), arguments.Slice(s.Start + s.InputCount, s.OutputCount), workspace, s.State, threads);
            if (s.IsOpen) _made[i] = s.Step.RunOpen(context);
            else s.Step.Run(context);
            if (tap is not null) Report(tap, i, ref watched);
        }
        if (WorkerPool.Missed > ProgramPlan.WakingTime) _plan.WakesWorkers = true;
        if (_plan.Rest is { } rest) Continue(rest, tap, threads);
        GC.KeepAlive(this);
    }

    /// <summary>Plans what comes after, now that its shapes are known, unless it was planned for the same ones before.</summary>
    private void Continue(PlanRest rest, IValueTap? tap, int threads)
    {
        var plan = rest.PlanFor(this);
        if (_next is null || !ReferenceEquals(_next._plan, plan))
        {
            _next?.Dispose();
            _next = plan.Rent();
            _handed = [.. rest.Entries.Select(name => new Handover(MakerOf(name), IndexOf(name), Array.IndexOf(_inputs, IndexOf(name)), _next.IndexOf(name)))];
        }
        foreach (ref readonly var handed in _handed.AsSpan())
        {
            var to = _next._values[handed.To].Write<byte>();
            if (handed.Made is var (step, output))
            {
                _made[step]![output].Bytes.Span.CopyTo(to);
                continue;
            }
            if (handed.Input >= 0) _next.UseSparse(handed.Input, _sparse[handed.Input]);
            if (_values[handed.Value].Sparse is null) _values[handed.Value].Read<byte>().CopyTo(to);
        }
        _next.Execute(tap, threads);
    }

    /// <summary>A value that an open step made in the last run; null for any other.</summary>
    internal Tensor? MadeBy(string name) => MakerOf(name) is var (step, output) ? _made[step]?[output] : null;

    private (int Step, int Output)? MakerOf(string name)
    {
        for (int i = 0; i < _steps.Length; i++)
            if (_steps[i].IsOpen && _plan.Steps[i].Node.Node.Outputs.IndexOf(name) is >= 0 and var output) return (i, output);
        return null;
    }

    /// <summary>A value of this plan after a run.</summary>
    internal TensorView ViewOf(string name) => _values[IndexOf(name)];

    /// <summary>Gives the memory back to the program, which hands it to the next run of these shapes.</summary>
    public void Dispose()
    {
        _next?.Dispose();
        _next = null;
        Array.Clear(_made);
        for (int i = 0; i < _sparse.Length; i++) UseSparse(i, null);
        _plan.Return(this);
    }

    private void Report(IValueTap? tap, int step, ref int next)
    {
        if (tap is null) return;
        for (; next < _watched.Length && _watched[next].AfterStep == step; next++) tap.Observe(_watched[next].Number, _values[_watched[next].Value]);
    }

    private byte* AddressOf(int value)
    {
        int root = _plan.Memory.Roots[value];
        if (_plan.Values[root].Constant is not { } constant) return _arena + _plan.Memory.Offsets[value];
        if (_pinned[root].Pointer is null) _pinned[root] = constant.Bytes.Pin();
        return (byte*)_pinned[root].Pointer;
    }

    private int IndexOf(string name) => Array.FindIndex(_plan.Values, v => v.Name == name);

    private int StepOf(int value) => Array.FindIndex(_plan.Steps, s => s.Outputs.Contains(value));

    private void Free()
    {
        NativeMemory.AlignedFree(_arena);
        foreach (var handle in _pinned ?? []) handle.Dispose();
    }

    /// <summary>A step with its place in the table of arguments.</summary>
    private readonly record struct BoundStep(Step Step, int Start, int InputCount, int OutputCount, object? State, bool IsOpen);

    /// <summary>A value that the next plan takes over.</summary>
    /// <param name="Made">The open step that made it, and its output; null where <paramref name="Value"/> of this plan holds it.</param>
    /// <param name="Value">Of this plan, or -1.</param>
    /// <param name="Input">The program's input that it is, or -1.</param>
    /// <param name="To">The next plan's value.</param>
    private readonly record struct Handover((int Step, int Output)? Made, int Value, int Input, int To);

    private readonly record struct WatchedValue(int Number, int Value, int AfterStep);
}
