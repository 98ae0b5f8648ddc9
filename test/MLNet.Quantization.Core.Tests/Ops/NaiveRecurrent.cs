using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Tests.Ops;

/// <summary>
/// The definition of INT8 LSTM, GRU and RNN with the usual activations, one row, one step and one unit after the other; nothing is shared with
/// what scores but the scalar functions.
/// </summary>
internal sealed class NaiveRecurrent
{
    private readonly RecurrentNode _node;
    private readonly (sbyte[] Codes, float[] Scales) _w, _r;

    public NaiveRecurrent(RecurrentNode node)
    {
        _node = node;
        _w = Quantized(node.W);
        _r = Quantized(node.R);
        int[] all = [node.Steps, node.Directions, node.Batch, node.Hidden];
        Y = new float[OneNode.Count(all)];
        YH = new float[node.Directions * node.Batch * node.Hidden];
        YC = new float[YH.Length];
        for (int d = 0; d < node.Directions; d++)
            for (int b = 0; b < node.Batch; b++) Row(d, b);
    }

    /// <summary>[steps, directions, batch, hidden].</summary>
    public float[] Y { get; }

    /// <summary>[directions, batch, hidden].</summary>
    public float[] YH { get; }

    public float[] YC { get; }

    private static (sbyte[] Codes, float[] Scales) Quantized(Tensor weights)
    {
        int rows = weights.Dims[0] * weights.Dims[1];
        var scales = WeightQuantizer.Scales(weights.Span<float>(), rows, true, WeightGranularity.PerChannel, CodeGrid.Int8Narrow, out _);
        return (WeightQuantizer.Codes(weights.Span<float>(), rows, true, scales, CodeGrid.Int8Narrow), scales);
    }

    private void Row(int d, int b)
    {
        var n = _node;
        int hidden = n.Hidden, at = ((d * n.Batch) + b) * hidden, length = n.Lengths?[b] ?? n.Steps;
        float[] h = n.H is null ? new float[hidden] : n.H.Span<float>().Slice(at, hidden).ToArray(), c = n.C is null ? new float[hidden] : n.C.Span<float>().Slice(at, hidden).ToArray();
        for (int s = 0; s < length; s++)
        {
            int time = n.Direction == "reverse" || d == 1 ? length - 1 - s : s;
            float[] x = n.X.Span<float>().Slice(((time * n.Batch) + b) * n.Inputs, n.Inputs).ToArray();
            float[] fromInput = Product(x, _w, d, withBias: true), fromState = Product(h, _r, d, withBias: false);
            if (n.Cell == "LSTM") Lstm(fromInput, fromState, h, c);
            else if (n.Cell == "GRU") Gru(d, fromInput, fromState, h);
            else
                for (int j = 0; j < hidden; j++) h[j] = Ratio(Tanh(fromInput[j] + fromState[j]));
            h.CopyTo(Y, (((time * n.Directions) + d) * n.Batch + b) * hidden);
        }
        h.CopyTo(YH, at);
        c.CopyTo(YC, at);
    }

    private static void Lstm(float[] x, float[] r, float[] h, float[] c)
    {
        int n = h.Length;
        for (int j = 0; j < n; j++)
        {
            var (iUp, iDown) = Tanh((x[j] + r[j]) * 0.5f);
            var (oUp, oDown) = Tanh((x[n + j] + r[n + j]) * 0.5f);
            var (gUp, gDown) = Tanh(x[(3 * n) + j] + r[(3 * n) + j]);
            c[j] = MathF.FusedMultiplyAdd(Sigmoid(x[(2 * n) + j] + r[(2 * n) + j]), c[j], 0.5f * (iDown + iUp) * gUp / (iDown * gDown));
            var (hUp, hDown) = Tanh(c[j]);
            h[j] = 0.5f * (oDown + oUp) * hUp / (oDown * hDown);
        }
    }

    private void Gru(int d, float[] x, float[] r, float[] h)
    {
        int n = h.Length;
        var reset = new float[n];
        for (int j = 0; j < n; j++) reset[j] = Sigmoid(x[n + j] + r[n + j]) * h[j];
        float[] last = _node.ResetsAfter ? [] : Product(reset, _r, d, withBias: false);
        for (int j = 0; j < n; j++)
        {
            if (_node.ResetsAfter)
            {
                float bias = _node.B is { } b ? b.Span<float>()[(d * 6 * n) + (5 * n) + j] : 0;
                var (zUp, zDown) = Tanh((x[j] + r[j]) * 0.5f);
                var (gUp, gDown) = Tanh(MathF.FusedMultiplyAdd(Sigmoid(x[n + j] + r[n + j]), r[(2 * n) + j] + bias, x[(2 * n) + j]));
                h[j] = 0.5f * MathF.FusedMultiplyAdd(zDown - zUp, gUp, (zDown + zUp) * gDown * h[j]) / (zDown * gDown);
            }
            else
            {
                float z = Sigmoid(x[j] + r[j]), g = Ratio(Tanh(x[(2 * n) + j] + last[(2 * n) + j]));
                h[j] = ((1 - z) * g) + (z * h[j]);
            }
        }
    }

    /// <summary>((float)acc · S) · Sw + b, the row quantized by its own range.</summary>
    private float[] Product(float[] x, (sbyte[] Codes, float[] Scales) weights, int d, bool withBias)
    {
        float min = Math.Min(0, x.Min()), max = Math.Max(0, x.Max()), scale = (max - min) / 255f;
        int zero = 0;
        if (scale == 0) scale = 1;
        else zero = (int)MathF.Round(Math.Clamp(-min / scale, 0f, 255f), MidpointRounding.ToEven);
        int rows = _node.Gates * _node.Hidden, k = x.Length;
        var y = new float[rows];
        for (int j = 0; j < rows; j++)
        {
            long sum = 0;
            for (int i = 0; i < k; i++) sum += (Quantizer.Code(x[i], new(scale, zero), CodeGrid.UInt8) - zero) * (long)weights.Codes[(((d * rows) + j) * k) + i];
            float bias = 0;
            if (withBias && _node.B is { } b)
            {
                bias = b.Span<float>()[(d * 2 * rows) + j];
                // What the reset gate multiplies gets its own bias within.
                if (!_node.ResetsAfter || j < 2 * _node.Hidden) bias += b.Span<float>()[(d * 2 * rows) + rows + j];
            }
            y[j] = NaiveInt8.Scale(sum, scale, weights.Scales[(d * rows) + j], bias);
        }
        return y;
    }

    private static float Sigmoid(float x) => MathF.FusedMultiplyAdd(0.5f, Ratio(Tanh(x * 0.5f)), 0.5f);

    private static float Ratio((float Up, float Down) ratio) => ratio.Up / ratio.Down;

    private static (float Up, float Down) Tanh(float x)
    {
        var ratio = GateRatio<LanesScalar, float, int>.Tanh(x);
        return (ratio.Numerator, ratio.Denominator);
    }
}
