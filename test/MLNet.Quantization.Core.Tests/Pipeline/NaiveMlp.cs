using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>The scoring semantics of dense1 (transB, Relu), dense2, written down plainly and read from the QDQ graph.</summary>
internal static class NaiveMlp
{
    public static float[] Static(ModelGraph graph, float[] x, int k, int hidden, int n)
    {
        var (s1, z1) = Parameters(graph, "x");
        var (s2, z2) = Parameters(graph, "r");
        sbyte[] w1 = Codes(graph, "dense1"), w2 = Codes(graph, "dense2");
        float[] sw1 = Scales(graph, "dense1"), sw2 = Scales(graph, "dense2");
        int[] b1 = Bias(graph, "dense1"), b2 = Bias(graph, "dense2");
        int rows = x.Length / k;
        var y = new float[rows * n];
        for (int row = 0; row < rows; row++)
        {
            int[] a = [.. x.Skip(row * k).Take(k).Select(v => Code(v / s1, z1))];
            var h = new int[hidden];
            for (int j = 0; j < hidden; j++)
            {
                int sum = b1[j];
                for (int i = 0; i < k; i++) sum += (a[i] - z1) * w1[j * k + i];
                float product = s1 * sw1[j % sw1.Length];
                float m = product / s2;
                h[j] = Math.Max(Code((float)sum * m, z2), z2);
            }
            for (int j = 0; j < n; j++)
            {
                int sum = 0;
                for (int i = 0; i < hidden; i++) sum += (h[i] - z2) * w2[i * n + j];
                float sw = sw2[j % sw2.Length], scaled = (float)sum * s2;
                scaled *= sw;
                float biasScale = s2 * sw, bias = b2[j] * biasScale;
                y[row * n + j] = scaled + bias;
            }
        }
        return y;
    }

    public static float[] Dynamic(ModelGraph graph, float[] x, int k, int hidden, int n)
    {
        var y = new float[x.Length / k * n];
        for (int row = 0; row < x.Length / k; row++)
        {
            float[] h = Layer(graph, "dense1", [.. x.Skip(row * k).Take(k)], hidden, transposed: true);
            Layer(graph, "dense2", [.. h.Select(v => MathF.Max(v, 0))], n, transposed: false).CopyTo(y, row * n);
        }
        return y;
    }

    private static float[] Layer(ModelGraph graph, string name, float[] x, int n, bool transposed)
    {
        float min = MathF.Min(0, x.Min()), max = MathF.Max(0, x.Max()), s = (max - min) / 255;
        int z = 0;
        if (s == 0) s = 1;
        else z = (int)MathF.Round(Math.Clamp(-min / s, 0, 255), MidpointRounding.ToEven);
        int[] a = [.. x.Select(v => Code(v / s, z))];
        sbyte[] w = Codes(graph, name);
        float[] sw = Scales(graph, name);
        var bias = graph.Initializers[$"{name}_bias"].Span<float>();
        var y = new float[n];
        for (int j = 0; j < n; j++)
        {
            int sum = 0;
            for (int i = 0; i < x.Length; i++) sum += (a[i] - z) * w[transposed ? j * x.Length + i : i * n + j];
            float scaled = (float)sum * s;
            scaled *= sw[j % sw.Length];
            y[j] = scaled + bias[j];
        }
        return y;
    }

    private static int Code(float v, int z) => (int)MathF.Round(Math.Clamp(v, -z, 255 - z), MidpointRounding.ToEven) + z;

    private static (float Scale, int ZeroPoint) Parameters(ModelGraph graph, string name) =>
        (graph.Initializers[$"{name}_scale"].Span<float>()[0], graph.Initializers[$"{name}_zero_point"].Span<byte>()[0]);

    private static sbyte[] Codes(ModelGraph graph, string layer) => graph.Initializers[$"{layer}_weights_quantized"].Span<sbyte>().ToArray();

    private static float[] Scales(ModelGraph graph, string layer) => graph.Initializers[$"{layer}_weights_scale"].Span<float>().ToArray();

    private static int[] Bias(ModelGraph graph, string layer) => graph.Initializers[$"{layer}_bias_quantized"].Span<int>().ToArray();
}
