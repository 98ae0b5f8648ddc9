using System.Numerics;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Recurrent;

/// <summary>
/// One direction of a recurrent layer while training, through time and back (Werbos, "Backpropagation Through Time", 1990). Rows of the
/// batch go through the steps by themselves, spread over threads; products over x and those that give the weights' gradients are made for
/// all steps at once. A row of a step has the number step · batch + row, steps in the order in which the direction goes.
/// </summary>
internal sealed unsafe class DirectionTape<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    /// <summary>Products of all steps for which waking another thread pays.</summary>
    private const long ThreadProducts = 1 << 20;

    private static readonly RecurrentInputs At = RecurrentForm.Inputs(engine: false);

    private readonly RecurrentLayout _layout;
    private readonly int _direction, _hidden, _chunks;
    private readonly bool _isReverse;
    private readonly DirectionParameters<T> _parameters;
    private readonly GateGradient<T> _gates;
    private readonly StateProduct<T>[] _products;
    private readonly int[] _times;
    private readonly RowBuffer<T> _x, _input, _inputGradient, _states, _stateGradient, _back, _working, _scratch;
    private readonly RowBuffer<T>? _cells, _cellGradient, _resets;

    /// <param name="form">The node.</param>
    /// <param name="layout">Extents.</param>
    /// <param name="direction">0 or 1.</param>
    /// <param name="inputs">Elements of a row of x.</param>
    /// <param name="hidden">Units.</param>
    /// <param name="rounds">The state is rounded before it is multiplied.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public DirectionTape(RecurrentForm form, RecurrentLayout layout, int direction, int inputs, int hidden, bool rounds, int maxThreads)
    {
        (_layout, _direction, _hidden, _isReverse) = (layout, direction, hidden, form.IsReverse || direction == 1);
        _parameters = new(form, direction, inputs, hidden);
        _gates = GateGradient<T>.Create(form, direction);
        int rows = checked(layout.Steps * layout.Batch), batch = layout.Batch, width = _parameters.Width, columns = _parameters.Columns;
        _chunks = (int)Math.Clamp(Math.Min(Parallelism.Resolve(maxThreads), (long)rows * hidden * columns / ThreadProducts), 1, Math.Max(1, batch));
        _times = new int[rows];
        _x = new(rows, inputs);
        _input = new(rows, columns);
        _inputGradient = new(rows, columns);
        _states = new(checked(rows + batch), width);
        _stateGradient = new(batch, width);
        _back = new(batch, hidden);
        _working = new(batch, columns);
        _scratch = new(_chunks, GateGradient<T>.ScratchCount(width));
        if (form.IsLstm) (_cells, _cellGradient) = (new(rows + batch, width), new(batch, width));
        if (_gates.Products.Length > 1) _resets = new(batch, width);
        _products = new StateProduct<T>[_gates.Products.Length];
        for (int i = 0, gate = 0; i < _products.Length; gate += _gates.Products[i++])
            _products[i] = new(hidden, gate, _gates.Products[i], rows, rounds, _gates.SharesGradient ? _inputGradient : null);
    }

    /// <param name="node">The layer.</param>
    /// <param name="lengths">By row of the batch; empty: all as long as x.</param>
    public void Forward(TapeNode<T> node, ReadOnlySpan<long> lengths)
    {
        Order(lengths);
        _parameters.Take(node);
        foreach (var product in _products) product.Pack(_parameters.R(node));
        ReadOnlySpan<T> x = node.Input(0).Data;
        for (int i = 0; i < _times.Length; i++)
            if (_times[i] >= 0) x.Slice(XAt(i), _x.Width).CopyTo(_x[i]);
            else _x[i].Clear();
        Products.Multiply<T>(_x.Data, false, _parameters.W, true, _times.Length, _x.Width, _input.Width, _input.Data, add: false, node.Memory);
        for (int i = 0; i < _times.Length; i++) Vectors.Add<T>(_parameters.Bias, _input[i]);
        Take(node.Inputs, At.State, _states);
        if (_cells is not null) Take(node.Inputs, At.Cell, _cells);
        var body = new Body(this, isForward: true, null);
        WorkerPool.Run(ref body, _chunks, node.MaxThreads);
        Write(node);
    }

    public void Backward(TapeNode<T> node)
    {
        Take(node.OutputGradients, 1, _stateGradient);
        if (_cellGradient is not null) Take(node.OutputGradients, 2, _cellGradient);
        var body = new Body(this, isForward: false, ValuesAt(node.OutputGradients, 0)?.Data);
        WorkerPool.Run(ref body, _chunks, node.MaxThreads);
        Give(node.InputGradient(At.State), _stateGradient);
        if (_cells is not null)
        {
            Give(node.InputGradient(At.Cell), _cellGradient!);
            _parameters.AddPeepholeGradient(node, _inputGradient, _cells, _layout.Batch, _times.Length);
        }
        _parameters.AddGradients(node, _x, _inputGradient, _products[0].SumGradients);
        if (node.InputGradient(2) is { } r)
            foreach (var product in _products) product.AddWeightGradient(_parameters.RGradient(r), node.Memory);
        if (node.InputGradient(0) is not { } gradient) return;
        var back = node.Memory.Take<T>(3, _x.Data.Length);
        Products.Multiply<T>(_inputGradient.Data, false, _parameters.W, false, _times.Length, _input.Width, _x.Width, back, add: false, node.Memory);
        for (int i = 0; i < _times.Length; i++)
            if (_times[i] >= 0) Vectors.Add(back.Slice(i * _x.Width, _x.Width), gradient.Data.AsSpan(XAt(i), _x.Width));
    }

    private readonly struct Body(DirectionTape<T> tape, bool isForward, T[]? yGradient) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            int batch = tape._layout.Batch, steps = tape._layout.Steps;
            int first = (int)((long)batch * chunk / tape._chunks), end = (int)((long)batch * (chunk + 1) / tape._chunks);
            for (int step = 0; step < steps; step++)
                if (isForward) tape.Advance(step, first, end, chunk);
                else tape.Return(steps - 1 - step, first, end, chunk, yGradient);
        }
    }

    /// <summary>One step of some rows.</summary>
    private void Advance(int step, int first, int end, int chunk)
    {
        int from = step * _layout.Batch;
        for (int p = 0; p < _products.Length; p++)
        {
            for (int row = first; row < end; row++) _products[p].Put(p == 0 ? _states[from + row] : _resets![row], from + row);
            _products[p].Multiply(from + first, end - first, _parameters.StateBias);
            for (int row = first; row < end; row++)
            {
                if (_times[from + row] < 0)
                {
                    Keep(from + row);
                    continue;
                }
                if (p == 0) _input[from + row].CopyTo(_working[row]);
                var gates = RowOf(from, row, chunk);
                gates.Input = _working.At(row);
                _gates.Forward(gates, p);
            }
        }
    }

    /// <summary>One step back: from the gradients of the states behind it to those of the states before it.</summary>
    private void Return(int step, int first, int end, int chunk, T[]? yGradient)
    {
        int from = step * _layout.Batch;
        for (int row = first; row < end && yGradient is not null; row++)
            if (_times[from + row] >= 0) Vectors.Add(yGradient.AsSpan(YAt(from + row), _hidden), _stateGradient[row][.._hidden]);
        for (int p = _products.Length - 1; p >= 0; p--)
        {
            for (int row = first; row < end; row++)
                if (_times[from + row] >= 0) _gates.Backward(RowOf(from, row, chunk), p);
                else Clear(from + row);
            _products[p].MultiplyBack(from + first, end - first, _back.Part(first, end - first));
            for (int row = first; row < end; row++)
                if (p > 0) _back[row].CopyTo(_resets![row]);
                else Vectors.Add(_back[row], _stateGradient[row][.._hidden]);
        }
    }

    private GateRow<T> RowOf(int from, int row, int chunk) => new()
    {
        Width = _parameters.Width,
        Input = _input.At(from + row),
        Recurrent = _products[0].Sums.At(from + row),
        LastRecurrent = _products[^1].Sums.At(from + row),
        Peepholes = _parameters.Peepholes is { } peepholes ? peepholes.At(0) : null,
        State = _states.At(from + row),
        NextState = _states.At(from + row + _layout.Batch),
        Cell = _cells is null ? null : _cells.At(from + row),
        NextCell = _cells is null ? null : _cells.At(from + row + _layout.Batch),
        Reset = _resets is null ? null : _resets.At(row),
        StateGradient = _stateGradient.At(row),
        CellGradient = _cellGradient is null ? null : _cellGradient.At(row),
        InputGradient = _inputGradient.At(from + row),
        RecurrentGradient = _products[0].SumGradients.At(from + row),
        LastGradient = _products[^1].SumGradients.At(from + row),
        Scratch = _scratch.At(chunk),
    };

    /// <summary>A row that has no such step stays as it is.</summary>
    private void Keep(int row)
    {
        _states[row].CopyTo(_states[row + _layout.Batch]);
        _cells?[row].CopyTo(_cells[row + _layout.Batch]);
    }

    private void Clear(int row)
    {
        _inputGradient[row].Clear();
        foreach (var product in _products) product.SumGradients[row].Clear();
    }

    /// <summary>When each row has which step; -1 behind its end.</summary>
    private void Order(ReadOnlySpan<long> lengths)
    {
        for (int i = 0; i < _times.Length; i++)
        {
            int step = i / _layout.Batch, length = lengths.IsEmpty ? _layout.Steps : (int)lengths[i % _layout.Batch];
            _times[i] = step >= length ? -1 : _isReverse ? length - 1 - step : step;
        }
    }

    private int XAt(int row) => (int)_layout.X(_times[row], row % _layout.Batch) * _x.Width;

    private int YAt(int row) => (int)_layout.Y(_times[row], row % _layout.Batch, _direction) * _hidden;

    private int StateAt(int row) => (int)_layout.State(row, _direction) * _hidden;

    private static Values<T>? ValuesAt(Values<T>?[] all, int index) => index < all.Length ? all[index] : null;

    /// <summary>One row of states, or of their gradients, for each row of the batch; 0 where they are omitted.</summary>
    private void Take(Values<T>?[] all, int index, RowBuffer<T> states)
    {
        states.Part(0, _layout.Batch).Clear();
        for (int row = 0; row < _layout.Batch && ValuesAt(all, index) is { } values; row++) values.Data.AsSpan(StateAt(row), _hidden).CopyTo(states[row]);
    }

    private void Give(Values<T>? gradient, RowBuffer<T> states)
    {
        for (int row = 0; row < _layout.Batch && gradient is not null; row++) Vectors.Add(states[row][.._hidden], gradient.Data.AsSpan(StateAt(row), _hidden));
    }

    private void Write(TapeNode<T> node)
    {
        for (int row = 0; row < _layout.Batch; row++)
        {
            if (ValuesAt(node.Outputs, 1) is { } state) _states[_times.Length + row][.._hidden].CopyTo(state.Data.AsSpan(StateAt(row)));
            if (ValuesAt(node.Outputs, 2) is { } cell) _cells![_times.Length + row][.._hidden].CopyTo(cell.Data.AsSpan(StateAt(row)));
        }
        if (ValuesAt(node.Outputs, 0) is not { } y) return;
        for (int i = 0; i < _times.Length; i++)
            if (_times[i] >= 0) _states[i + _layout.Batch][.._hidden].CopyTo(y.Data.AsSpan(YAt(i)));
    }
}
