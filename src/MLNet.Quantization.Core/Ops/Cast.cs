using System.Numerics;
using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Converts element by element: to a floating type by rounding to nearest, from one to an integer by cutting the fraction (saturating;
/// NaN gives 0), between integers by keeping the low bits, to bool by comparing with 0.
/// </summary>
internal sealed class Cast : Operator
{
    private static readonly ElementType[] Supported =
    [
        ElementType.Float, ElementType.Double, ElementType.Bool, ElementType.Int8, ElementType.Int16, ElementType.Int32, ElementType.Int64,
        ElementType.UInt8, ElementType.UInt16, ElementType.UInt32, ElementType.UInt64,
    ];

    public override string OpType => "Cast";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, Supported);
        return [ShapeEntry.Carry(x, new(Target(context), x.Shape))];
    }

    private static ElementType Target(OpContext context)
    {
        var to = (ElementType)context.Attribute("to", 0L);
        return Supported.Contains(to) ? to : throw context.Unsupported($"it converts to {to}, supported: {string.Join(", ", Supported)}");
    }

    public override Step Prepare(PrepareContext context) => context.Input(0).Type == Target(context) ? new AliasStep() : new CastStep();

    private sealed class CastStep : Step
    {
        public override void Run(in StepContext context)
        {
            ReadOnlySpan<byte> x = context.Input<byte>(0);
            switch (context.Inputs[0].Type)
            {
                case ElementType.Float: From<float>(x, context.Outputs[0]); break;
                case ElementType.Double: From<double>(x, context.Outputs[0]); break;
                case ElementType.Int8: From<sbyte>(x, context.Outputs[0]); break;
                case ElementType.Int16: From<short>(x, context.Outputs[0]); break;
                case ElementType.Int32: From<int>(x, context.Outputs[0]); break;
                case ElementType.Int64: From<long>(x, context.Outputs[0]); break;
                case ElementType.UInt16: From<ushort>(x, context.Outputs[0]); break;
                case ElementType.UInt32: From<uint>(x, context.Outputs[0]); break;
                case ElementType.UInt64: From<ulong>(x, context.Outputs[0]); break;
                default: From<byte>(x, context.Outputs[0]); break; // UInt8, and Bool, which holds 0 or 1
            }
        }

        private static void From<TFrom>(ReadOnlySpan<byte> bytes, TensorView y) where TFrom : unmanaged, INumber<TFrom>
        {
            var x = MemoryMarshal.Cast<byte, TFrom>(bytes);
            switch (y.Type)
            {
                case ElementType.Float: Convert(x, y.Write<float>()); break;
                case ElementType.Double: Convert(x, y.Write<double>()); break;
                case ElementType.Int8: Convert(x, y.Write<sbyte>()); break;
                case ElementType.Int16: Convert(x, y.Write<short>()); break;
                case ElementType.Int32: Convert(x, y.Write<int>()); break;
                case ElementType.Int64: Convert(x, y.Write<long>()); break;
                case ElementType.UInt8: Convert(x, y.Write<byte>()); break;
                case ElementType.UInt16: Convert(x, y.Write<ushort>()); break;
                case ElementType.UInt32: Convert(x, y.Write<uint>()); break;
                case ElementType.UInt64: Convert(x, y.Write<ulong>()); break;
                default:
                    var flags = y.Write<bool>();
                    for (int i = 0; i < x.Length; i++) flags[i] = x[i] != TFrom.Zero;
                    break;
            }
        }

        private static void Convert<TFrom, TTo>(ReadOnlySpan<TFrom> x, Span<TTo> y) where TFrom : unmanaged, INumber<TFrom> where TTo : unmanaged, INumber<TTo>
        {
            bool saturates = typeof(TFrom) == typeof(float) || typeof(TFrom) == typeof(double);
            for (int i = 0; i < x.Length; i++) y[i] = saturates ? TTo.CreateSaturating(x[i]) : TTo.CreateTruncating(x[i]);
        }
    }
}
