using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Tests.Onnx;

/// <summary>
/// The ONNX standard's own cases (node, simple, pytorch-operator, pytorch-converted; the light models have no stored inputs). A case
/// belongs to an operator if its graph holds no other beside Constant; the rest are run as soon as all their operators are there.
/// </summary>
[TestClass]
public class ConformanceTests
{
    private const int Reported = 20;

    /// <summary>Operators that the engine is meant to have.</summary>
    public static IEnumerable<string> Operators =>
    [
        "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh", "AveragePool", "BatchNormalization", "BitShift",
        "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "Ceil", "Celu", "Clip", "Compress", "Concat", "Constant", "ConstantOfShape",
        "Conv", "ConvInteger", "ConvTranspose", "Cos", "Cosh", "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "Dropout",
        "DynamicQuantizeLinear", "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "Gather", "GatherElements",
        "GatherND", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GroupNormalization", "GRU", "Hardmax",
        "HardSigmoid", "HardSwish", "Identity", "If", "InstanceNormalization", "IsInf", "IsNaN", "LayerNormalization", "LeakyRelu", "Less",
        "LessOrEqual", "Log", "LogSoftmax", "Loop", "LpPool", "LRN", "LSTM", "MatMul", "MatMulInteger", "Max", "MaxPool", "MaxUnpool", "Mean",
        "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "NonMaxSuppression", "NonZero", "Not", "OneHot", "Or", "Pad", "Pow", "PRelu", "QLinearConv",
        "QLinearMatMul", "QuantizeLinear", "Range", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
        "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "ReverseSequence", "RNN", "Round",
        "Scan", "Scatter", "ScatterElements", "ScatterND", "Selu", "Shape", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax",
        "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Tile", "TopK",
        "Transpose", "Trilu", "Unsqueeze", "Upsample", "Where", "Xor",
    ];

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    [DynamicData(nameof(Operators))]
    public void All_cases_of_operator(string op)
    {
        var cases = ConformanceCase.All.Where(c => OperatorOf(c) == op).ToList();
        Assert.AreNotEqual(0, cases.Count, $"The archive has no case of {op}.");
        if (!OperatorSet.SupportedTypes.Contains(op)) Assert.Inconclusive($"{op} is not covered: {cases.Count} cases, the engine does not have it.");
        RunAll(cases);
    }

    [TestMethod]
    public void All_cases_of_several_operators_that_the_engine_has() =>
        RunAll(ConformanceCase.All.Where(c => OperatorOf(c) is not { } op || !Operators.Contains(op)).Where(c => c.Operators.IsSubsetOf(OperatorSet.SupportedTypes)));

    [TestMethod]
    public void A_case_that_the_engine_does_not_have_to_pass_is_refused_by_name_and_never_wrong()
    {
        var wrong = new List<string>();
        foreach (var test in ConformanceCase.All.Where(c => !ConformanceExclusions.Named.ContainsKey(c.ToString())).Where(c => ConformanceExclusions.ReasonFor(c) is not null || !c.Operators.IsSubsetOf(OperatorSet.SupportedTypes)))
        {
            try
            {
                // Outputs of training mode are random: only that nothing unexpected is thrown can be told.
                if (ConformanceRunner.Run(test) is { } difference && !test.Name.StartsWith("test_training_", StringComparison.Ordinal)) wrong.Add($"{test}: {difference}");
            }
            catch (QuantizationException)
            {
            }
            catch (Exception e)
            {
                wrong.Add($"{test}: {e.GetType().Name}: {e.Message}");
            }
        }
        Assert.AreEqual(0, wrong.Count, Listed(wrong));
    }

    [TestMethod]
    public void Cases_left_out_by_name_exist()
    {
        var names = ConformanceCase.All.Select(c => c.ToString()).ToHashSet(StringComparer.Ordinal);
        foreach (string name in ConformanceExclusions.Named.Keys) Assert.IsTrue(names.Contains(name), name);
    }

    private static string? OperatorOf(ConformanceCase test)
    {
        var others = test.Operators.Where(o => o != "Constant").ToList();
        // What a body holds is no more than the case needs.
        string[] withBodies = ["If", "Loop", "Scan"];
        return others.Count switch
        {
            0 => "Constant",
            1 => others[0],
            _ => withBodies.FirstOrDefault(op => others.Contains(op) && test.Name.StartsWith($"test_{op}", StringComparison.OrdinalIgnoreCase)),
        };
    }

    private void RunAll(IEnumerable<ConformanceCase> cases)
    {
        int passed = 0;
        var failures = new List<string>();
        foreach (var test in cases)
        {
            if (ConformanceExclusions.ReasonFor(test) is { } reason)
            {
                TestContext.WriteLine($"left out: {test} ({reason})");
                continue;
            }
            string? failure;
            try
            {
                failure = ConformanceRunner.Run(test);
            }
            catch (Exception e)
            {
                failure = $"{e.GetType().Name}: {e.Message}";
            }
            if (failure is null)
            {
                passed++;
                TestContext.WriteLine($"passed: {test}");
            }
            else
            {
                failures.Add($"{test}: {failure}");
            }
        }
        Assert.AreEqual(0, failures.Count, $"{passed} cases pass, {failures.Count} fail:{Environment.NewLine}{Listed(failures)}");
    }

    private static string Listed(List<string> lines) =>
        string.Join(Environment.NewLine, lines.Take(Reported)) + (lines.Count > Reported ? $"{Environment.NewLine}and {lines.Count - Reported} more" : "");
}
