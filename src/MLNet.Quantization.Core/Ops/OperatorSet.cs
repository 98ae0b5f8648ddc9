using System.Collections.Frozen;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Every operator that the engine runs. A new one is one file and one line here.</summary>
internal static class OperatorSet
{
    /// <summary>Domain of the engine's own fused INT8 operators. They live in lowered graphs only and are never saved.</summary>
    public const string EngineDomain = "mlnet.quantization";

    private static readonly Operator[] All =
    [
        new Abs(),
        new Add(),
        new And(),
        new ArgMax(),
        new ArgMin(),
        new AveragePool(),
        new BatchNormalization(),
        new Cast(),
        new Ceil(),
        new Celu(),
        new Clip(),
        new Concat(),
        new Constant(),
        new ConstantOfShape(),
        new Conv(),
        new ConvTranspose(),
        new CumSum(),
        new DepthToSpace(),
        new DequantizeLinear(),
        new Div(),
        new Dropout(),
        new DynamicQuantizeLinear(),
        new Elu(),
        new Equal(),
        new Erf(),
        new Exp(),
        new Expand(),
        new Flatten(),
        new Floor(),
        new Gather(),
        new Gelu(),
        new Gemm(),
        new GlobalAveragePool(),
        new GlobalLpPool(),
        new GlobalMaxPool(),
        new Greater(),
        new GreaterOrEqual(),
        new GroupNormalization(),
        new HardSigmoid(),
        new HardSwish(),
        new Identity(),
        new If(),
        new InstanceNormalization(),
        new IsInf(),
        new IsNaN(),
        new LayerNormalization(),
        new LeakyRelu(),
        new Less(),
        new LessOrEqual(),
        new Log(),
        new LogSoftmax(),
        new LpPool(),
        new Lrn(),
        new MatMul(),
        new MatMulInteger(),
        new Max(),
        new MaxPool(),
        new Mean(),
        new Min(),
        new Mish(),
        new Mod(),
        new Mul(),
        new Neg(),
        new Not(),
        new Or(),
        new Pad(),
        new Pow(),
        new PRelu(),
        new QLinearMatMul(),
        new QuantizeLinear(),
        new Reciprocal(),
        new Recurrent.RecurrentOperator("RNN"),
        new Recurrent.RecurrentOperator("GRU"),
        new Recurrent.RecurrentOperator("LSTM"),
        new ReduceL1(),
        new ReduceL2(),
        new ReduceLogSum(),
        new ReduceLogSumExp(),
        new ReduceMax(),
        new ReduceMean(),
        new ReduceMin(),
        new ReduceProd(),
        new ReduceSum(),
        new ReduceSumSquare(),
        new Relu(),
        new Reshape(),
        new Resize(),
        new Round(),
        new Selu(),
        new Shape(),
        new Sigmoid(),
        new Sign(),
        new Size(),
        new Slice(),
        new Softmax(),
        new Softplus(),
        new Softsign(),
        new SpaceToDepth(),
        new Sqrt(),
        new Squeeze(),
        new Sub(),
        new Sum(),
        new Tanh(),
        new ThresholdedRelu(),
        new Transpose(),
        new Unsqueeze(),
        new Upsample(),
        new Where(),
        new Xor(),
        new Quantized.QuantizedArithmetic(),
        new Quantized.QuantizedConv(),
        new Quantized.QuantizedConvTranspose(),
        new Quantized.QuantizedGather(),
        new Quantized.QuantizedPool(),
        new Quantized.QuantizedResize(),
        new Quantized.QuantizedLinear(),
        new Quantized.QuantizedRecurrent("GRU"),
        new Quantized.QuantizedRecurrent("LSTM"),
        new Quantized.QuantizedRecurrent("RNN"),
        new Quantized.CodeTable(),
        new Quantized.ChannelTable(),
        new Quantized.DynamicQuantizedConv(),
        new Quantized.DynamicQuantizedConvTranspose(),
        new Quantized.DynamicQuantizedLinear(),
    ];

    private static readonly FrozenDictionary<(string Domain, string OpType), Operator> ByName =
        All.ToFrozenDictionary(o => (o.Domain, o.OpType));

    /// <summary>The operator types that are supported, sorted.</summary>
    public static IEnumerable<string> SupportedTypes => All.Where(o => o.Domain.Length == 0).Select(o => o.OpType).Order(StringComparer.Ordinal);

    public static bool Supports(Node node) => ByName.ContainsKey((Canonical(node.Domain), node.OpType));

    /// <exception cref="UnsupportedOperatorException">The engine does not have it.</exception>
    public static Operator For(Node node) =>
        ByName.TryGetValue((Canonical(node.Domain), node.OpType), out var op) ? op
        : throw new UnsupportedOperatorException(
            $"Node '{node.DisplayName}' is a {Describe(node)}, which the managed engine does not run. Supported: {string.Join(", ", SupportedTypes)}.",
            node.DisplayName, node.OpType, node.Domain);

    private static string Canonical(string domain) => domain == "ai.onnx" ? "" : domain;

    private static string Describe(Node node) => node.Domain.Length == 0 ? node.OpType : $"{node.Domain}.{node.OpType}";
}
