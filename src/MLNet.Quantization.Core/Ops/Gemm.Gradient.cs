using System.Numerics;

namespace MLNet.Quantization.Ops;

// The gradient: with G = ∂L/∂Y, ∂L/∂A' = alpha · G · B'ᵀ, ∂L/∂B' = alpha · A'ᵀ · G, and ∂L/∂C = beta · G summed over what was broadcast.
internal sealed partial class Gemm : IDifferentiable
{
    public void Forward<T>(OpContext node, ReadOnlySpan<Values<T>?> inputs, Values<T> output) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var f = new Form(node, inputs[0]!.Dims, output.Dims, inputs.Length > 2 ? inputs[2]?.Dims : null);
        T alpha = T.CreateChecked(f.Alpha), beta = T.CreateChecked(f.Beta);
        for (int i = 0; i < f.M; i++)
            for (int j = 0; j < f.N; j++)
            {
                T sum = T.Zero;
                for (int l = 0; l < f.K; l++) sum += inputs[0]!.Data[f.A(i, l)] * inputs[1]!.Data[f.B(l, j)];
                output.Data[(i * f.N) + j] = (alpha * sum) + (f.HasC ? beta * inputs[2]!.Data[f.C(i, j)] : T.Zero);
            }
    }

    public void Backward<T>(OpContext node, ReadOnlySpan<Values<T>?> inputs, Values<T> outputGradient, ReadOnlySpan<Values<T>?> inputGradients)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        var f = new Form(node, inputs[0]!.Dims, outputGradient.Dims, inputs.Length > 2 ? inputs[2]?.Dims : null);
        T alpha = T.CreateChecked(f.Alpha), beta = T.CreateChecked(f.Beta);
        for (int i = 0; i < f.M; i++)
            for (int j = 0; j < f.N; j++)
            {
                T g = outputGradient.Data[(i * f.N) + j];
                for (int l = 0; l < f.K; l++)
                {
                    if (inputGradients[0] is { } a) a.Data[f.A(i, l)] += alpha * g * inputs[1]!.Data[f.B(l, j)];
                    if (inputGradients[1] is { } b) b.Data[f.B(l, j)] += alpha * g * inputs[0]!.Data[f.A(i, l)];
                }
                if (f.HasC && inputGradients[2] is { } c) c.Data[f.C(i, j)] += beta * g;
            }
    }

    /// <summary>The node's attributes, and where an element of each operand stands.</summary>
    private sealed class Form(OpContext node, int[] a, int[] y, int[]? c)
    {
        private readonly bool _transA = node.Attribute("transA", 0L) != 0;
        private readonly bool _transB = node.Attribute("transB", 0L) != 0;
        private readonly int _cRow = c is [.., > 1, var width] ? width : 0;
        private readonly int _cColumn = c is [.., > 1] ? 1 : 0;

        public float Alpha { get; } = node.Attribute("alpha", 1f);

        public float Beta { get; } = node.Attribute("beta", 1f);

        public int M => y[0];

        public int N => y[1];

        public int K => a[_transA ? 0 : 1];

        public bool HasC => c is not null;

        public int A(int row, int l) => _transA ? (l * M) + row : (row * K) + l;

        public int B(int l, int column) => _transB ? (column * K) + l : (l * N) + column;

        public int C(int row, int column) => (row * _cRow) + (column * _cColumn);
    }
}
