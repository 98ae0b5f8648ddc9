using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;
using MLNet.Quantization.Ops.Recurrent;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>
/// An LSTM, GRU or RNN with s8 weights. Inputs: x as float32, each row of which is quantized by its own range, or as codes; W and R s8, shaped
/// as the standard's; a scale for each of their rows; then the standard's other inputs. The state is quantized row by row and step by step:
/// gates get ((float)accX · Sx) · Sw + b + ((float)accH · Sh) · Sr. Attributes: the standard's, and input_scale and input_zero_point of codes.
/// </summary>
internal sealed class QuantizedRecurrent(string cell) : Operator
{
    public override string OpType => TypeOf(cell);

    public override string Domain => OperatorSet.EngineDomain;

    public static string TypeOf(string cell) => $"Quantized{cell}";

    public override ValueFact[] Infer(OpContext context)
    {
        context.Input(0, ElementType.Float, ElementType.UInt8, ElementType.Int8);
        context.Input(1, ElementType.Int8);
        context.Input(2, ElementType.Int8);
        return new RecurrentForm(context, cell).Infer(context, RecurrentForm.Inputs(engine: true));
    }

    public override Step Prepare(PrepareContext context)
    {
        var form = new RecurrentForm(context, cell);
        var at = RecurrentForm.Inputs(engine: true);
        Tensor w = Constant(context, 1), r = Constant(context, 2);
        float[] wScales = Constant(context, 3).Span<float>().ToArray(), rScales = Constant(context, 4).Span<float>().ToArray();
        var type = context.Input(0).Type;
        float scale = context.Attribute("input_scale", 1f);
        int zeroPoint = (int)context.Attribute("input_zero_point", 0L) + (type == ElementType.Int8 ? 128 : 0);
        var weights = new CodeRecurrentWeights(
            form.Gates, w.Dims[2], r.Dims[2], w.Span<sbyte>().ToArray(), r.Span<sbyte>().ToArray(), wScales, rScales,
            product => type == ElementType.Float ? new DynamicRows(product) : new CodeRows(product, scale, zeroPoint, type == ElementType.Int8));
        var cells = RecurrentCell.CreateAll(form, weights, Optional(context, at.Bias), form.IsLstm ? Optional(context, at.Peepholes) : null);
        return new RecurrentStep(context, form, at, cells, null);
    }

    private static Tensor Constant(PrepareContext context, int input) => context.Constant(input) ?? throw context.Malformed($"input {input} must be constant");

    private static float[]? Optional(PrepareContext context, int input) => context.Optional(input) is null ? null : Constant(context, input).Span<float>().ToArray();
}
