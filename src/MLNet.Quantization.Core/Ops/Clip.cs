using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// y = min(max(x, low), high), element-wise; either bound may be missing. Bounds are attributes before opset 11 and scalar inputs after.
/// float32, and the integer types.
/// </summary>
internal sealed partial class Clip : Operator
{
    public override string OpType => "Clip";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float, ElementType.Int8, ElementType.UInt8, ElementType.Int16, ElementType.UInt16, ElementType.Int32, ElementType.UInt32, ElementType.Int64, ElementType.UInt64);
        for (int i = 1; i <= 2 && context.Opset >= 11; i++)
            if (context.Optional(i) is { } bound && (bound.Type != x.Type || bound.Shape is { IsKnown: true, ElementCount: not 1 }))
                throw context.Malformed($"bound '{context.Node.Inputs[i]}' is {bound}, expected one {x.Type}");
        return [new(x.Type, x.Shape)];
    }

    public override Step Prepare(PrepareContext context) => context.Opset >= 11
        ? new ClipStep(null, null)
        : new ClipStep(context.Attribute("min", float.MinValue), context.Attribute("max", float.MaxValue));

    private sealed class ClipStep(float? min, float? max) : Step
    {
        public override bool CanOverwrite(int input) => input == 0;

        public override void Run(in StepContext context)
        {
            switch (context.Inputs[0].Type)
            {
                case ElementType.Float:
                    var (low, high) = (min ?? Bound(context, 1, float.NegativeInfinity), max ?? Bound(context, 2, float.PositiveInfinity));
                    Elementwise.Map(new ClipFunction(low, high), context.Input<float>(0), context.Output<float>(0));
                    break;
                case ElementType.Int8: Integers<sbyte>(context); break;
                case ElementType.UInt8: Integers<byte>(context); break;
                case ElementType.Int16: Integers<short>(context); break;
                case ElementType.UInt16: Integers<ushort>(context); break;
                case ElementType.Int32: Integers<int>(context); break;
                case ElementType.UInt32: Integers<uint>(context); break;
                case ElementType.Int64: Integers<long>(context); break;
                default: Integers<ulong>(context); break;
            }
        }

        private static T Bound<T>(in StepContext context, int index, T absent) where T : unmanaged =>
            index < context.Inputs.Length && context.Inputs[index].IsPresent ? context.Input<T>(index)[0] : absent;

        private static void Integers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>
        {
            T low = Bound(context, 1, T.MinValue), high = Bound(context, 2, T.MaxValue);
            var x = context.Input<T>(0);
            var y = context.Output<T>(0);
            for (int i = 0; i < y.Length; i++) y[i] = T.Min(T.Max(x[i], low), high);
        }
    }
}
