using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// A linear layer with fixed activation scales. Inputs: x [..., K] as u8 or s8 codes, or as float32, which is then quantized to u8
/// first; weights s8 (transB: [N, K], else [K, N]); weight scales (1 or N); bias. With output_scale the result is codes and the bias
/// int32, else the result is float32 and the bias too. Attributes: transB, input_scale, input_zero_point, output_scale,
/// output_zero_point, output_signed, clamp_min, clamp_max;
/// sparse_input where float rows may come in sparse form.
/// </summary>
internal sealed class QuantizedLinear : Operator
{
    public override string OpType => nameof(QuantizedLinear);

    public override string Domain => OperatorSet.EngineDomain;

    public override ValueFact[] Infer(OpContext context)
    {
        context.Input(0, ElementType.Float, ElementType.UInt8, ElementType.Int8);
        return [new(CodeStage.OutputType(context), LinearShape.Infer(context))];
    }

    public override Step Prepare(PrepareContext context)
    {
        var (k, n) = LinearShape.Extents(context);
        var inputType = context.Input(0).Type;
        var codes = LinearShape.Weights(context).Span<sbyte>();
        bool transposed = LinearShape.IsTransposed(context);
        var stage = CodeStage.Read(context, n);
        var product = stage.Product(Int8Gemm.Pack(codes, k, n, transposed), 0);
        bool mayBeSparse = inputType == ElementType.Float && context.Attribute("sparse_input", 0L) != 0;
        if (stage.Codes is not { } output)
            return new FloatStep(k, inputType, stage.Input, (FloatProduct)product, mayBeSparse ? new(codes, k, n, transposed, stage.Scales, stage.Bias) : null);
        return new CodeStep(k, inputType, stage.Input, (RequantizedProduct)product, mayBeSparse ? new(codes, k, n, transposed, output) : null);
    }

    private abstract class LinearStep(int k, ElementType inputType, AffineParameters input, SparseProduct? sparse) : Step
    {
        protected AffineParameters Parameters { get; } = input;

        /// <summary>Workspace of the product of dense codes.</summary>
        protected abstract long ProductBytes(int rows);

        protected abstract void Multiply(ReadOnlySpan<byte> codes, int rows, in StepContext context, Span<byte> workspace);

        protected abstract void Multiply(SparseProduct product, SparseRows x, int rows, in StepContext context);

        public override bool ReadsAtRun(int input) => input == 0;

        public override bool AcceptsSparse(int input) => input == 0 && sparse is not null;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            int rows = LinearShape.Rows(inputs[0]!);
            long codes = inputType == ElementType.UInt8 ? 0 : AlignedBuffer.Align((long)rows * k);
            return new(codes + Math.Max(ProductBytes(rows), sparse?.WorkspaceBytes(rows) ?? 0));
        }

        public override void Run(in StepContext context)
        {
            int rows = LinearShape.Rows(context.Inputs[0].Layout!);
            if (context.Inputs[0].Sparse is { } x) Multiply(sparse!, x, rows, context);
            else Multiply(Codes(context, rows, out var rest), rows, context, rest);
        }

        /// <summary>The input as u8 codes: as it is, or made in the workspace, of which <paramref name="rest"/> is left.</summary>
        private ReadOnlySpan<byte> Codes(in StepContext context, int rows, out Span<byte> rest)
        {
            rest = context.Workspace;
            if (inputType == ElementType.UInt8) return context.Input<byte>(0);
            var codes = context.Workspace[..(rows * k)];
            rest = context.Workspace[(int)AlignedBuffer.Align(codes.Length)..];
            if (inputType == ElementType.Float) Quantize(context.Input<float>(0), codes, context.MaxThreads);
            else
            {
                var signed = context.Input<byte>(0);
                for (int i = 0; i < codes.Length; i++) codes[i] = (byte)(signed[i] ^ 0x80);
            }
            return codes;
        }

        /// <summary>Nanoseconds of a value that is quantized.</summary>
        private const double ValueTime = 0.15;

        private unsafe void Quantize(ReadOnlySpan<float> x, Span<byte> codes, int maxThreads)
        {
            fixed (float* from = x)
            fixed (byte* to = codes)
            {
                var body = new Quantization(from, Parameters, to);
                Ranges.Run(ref body, codes.Length, unit: 64, ValueTime, maxThreads);
            }
        }

        private readonly unsafe struct Quantization(float* x, AffineParameters parameters, byte* codes) : IRangeBody
        {
            public void Run(int from, int to) => Quantizer.Quantize(new ReadOnlySpan<float>(x + from, to - from), parameters, new Span<byte>(codes + from, to - from));
        }
    }

    private sealed class FloatStep(int k, ElementType inputType, AffineParameters input, FloatProduct product, SparseProduct? sparse)
        : LinearStep(k, inputType, input, sparse)
    {
        protected override long ProductBytes(int rows) => product.WorkspaceBytes(rows);

        protected override void Multiply(ReadOnlySpan<byte> codes, int rows, in StepContext context, Span<byte> workspace) =>
            product.Run(codes, rows, [Parameters.Scale], [Parameters.ZeroPoint], context.Output<float>(0), workspace, context.MaxThreads);

        protected override void Multiply(SparseProduct product, SparseRows x, int rows, in StepContext context) =>
            product.Run(x.Starts, x.Columns, x.Values, rows, Parameters, context.Output<float>(0), context.Workspace, context.MaxThreads);
    }

    private sealed class CodeStep(int k, ElementType inputType, AffineParameters input, RequantizedProduct product, SparseProduct? sparse)
        : LinearStep(k, inputType, input, sparse)
    {
        protected override long ProductBytes(int rows) => product.WorkspaceBytes(rows);

        protected override void Multiply(ReadOnlySpan<byte> codes, int rows, in StepContext context, Span<byte> workspace) =>
            product.Run(codes, rows, context.Output<byte>(0), workspace, context.MaxThreads);

        protected override void Multiply(SparseProduct product, SparseRows x, int rows, in StepContext context) =>
            product.Run(x.Starts, x.Columns, x.Values, rows, Parameters, context.Output<byte>(0), context.Workspace, context.MaxThreads);
    }
}
