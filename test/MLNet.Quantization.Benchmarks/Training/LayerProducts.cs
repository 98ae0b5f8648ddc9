using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Benchmarks;

/// <summary>The products of a network's layers alone, by the code that trains: forward, by the weights, and by the input where its gradient is wanted.</summary>
internal sealed class LayerProducts
{
    private readonly List<Action> _products = [];

    /// <param name="nodes">Of a tape that has run.</param>
    /// <param name="threads">That they may use.</param>
    public LayerProducts(IEnumerable<TapeNode<float>> nodes, int threads)
    {
        var memory = new TapeMemory(threads);
        foreach (var node in nodes)
            if (node.Context.Node.OpType == "Conv") AddConvolution(node, threads);
            else if (node.Context.Node.OpType is "Gemm" or "MatMul") AddProduct(node, memory);
    }

    public void Run()
    {
        foreach (var product in _products) product();
    }

    private void AddConvolution(TapeNode<float> node, int threads)
    {
        float[] x = node.Input(0).Data, w = node.Input(1).Data, y = new float[node.Output().Count], wGradient = new float[w.Length], xGradient = new float[x.Length];
        var products = new ConvolutionProducts<float>(ConvolutionShapes.Resolve(node.Context, node.Input(0).Dims, node.Input(1).Dims), threads);
        _products.Add(() => products.Forward(x, w, y));
        _products.Add(() => products.AddWeightGradient(x, wGradient, y));
        if (node.InputGradients[0] is not null) _products.Add(() => products.InputGradient(xGradient, w, y, add: false));
    }

    /// <summary>[m, k] · [k, n].</summary>
    private void AddProduct(TapeNode<float> node, TapeMemory memory)
    {
        int m = node.Input(0).Dims[0], k = node.Input(0).Dims[1], n = node.Output().Dims[1];
        float[] x = node.Input(0).Data, w = node.Input(1).Data, y = new float[m * n], wGradient = new float[k * n], xGradient = new float[m * k];
        _products.Add(() => Products.Multiply<float>(x, false, w, false, m, k, n, y, add: false, memory));
        _products.Add(() => Products.Multiply<float>(x, true, y, false, k, m, n, wGradient, add: false, memory));
        if (node.InputGradients[0] is not null) _products.Add(() => Products.Multiply<float>(y, false, w, true, m, n, k, xGradient, add: false, memory));
    }
}
