using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Where the elements of x that are not 0 lie: Int64 [rank, count], one column an element, in row-major order. NaN is not 0; -0 is.</summary>
internal sealed class NonZero : Operator
{
    public override string OpType => "NonZero";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, ElementType.Float, ElementType.Bool, ElementType.Int32, ElementType.Int64, ElementType.UInt8, ElementType.Int8);
        if (x.Shape is not { } shape) return [new(ElementType.Int64, null)];
        var count = x.Value is { } known ? new Dimension(CountOf(known.Type, known.Bytes.Span)) : Dimension.Unknown;
        return [new(ElementType.Int64, new(shape.Rank, count))];
    }

    public override Step Prepare(PrepareContext context) => new NonZeroStep();

    private static int CountOf(ElementType type, ReadOnlySpan<byte> bytes)
    {
        int count = 0;
        for (int i = 0, n = bytes.Length / type.SizeOf(); i < n; i++)
            if (IsSet(type, bytes, i)) count++;
        return count;
    }

    private static bool IsSet(ElementType type, ReadOnlySpan<byte> bytes, int i) => type switch
    {
        ElementType.Float => MemoryMarshal.Cast<byte, float>(bytes)[i] != 0,
        ElementType.Int32 => MemoryMarshal.Cast<byte, int>(bytes)[i] != 0,
        ElementType.Int64 => MemoryMarshal.Cast<byte, long>(bytes)[i] != 0,
        _ => bytes[i] != 0,
    };

    private sealed class NonZeroStep : Step
    {
        public override bool CanSizeOutputs => true;

        public override void Run(in StepContext context) => Write(context.Inputs[0], context.Output<long>(0));

        public override Tensor[] RunOpen(in StepContext context)
        {
            var x = context.Inputs[0];
            int count = CountOf(x.Type, x.Read<byte>());
            var indices = new long[checked(x.Dims.Length * count)];
            Write(x, indices);
            return [Tensor.Create(indices, x.Dims.Length, count)];
        }

        private static void Write(in TensorView x, Span<long> indices)
        {
            var bytes = x.Read<byte>();
            int rank = x.Dims.Length, count = rank == 0 ? 0 : indices.Length / rank;
            for (int i = 0, column = 0; column < count; i++)
            {
                if (!IsSet(x.Type, bytes, i)) continue;
                for (int axis = rank - 1, rest = i; axis >= 0; axis--)
                {
                    indices[(axis * count) + column] = rest % x.Dims[axis];
                    rest /= x.Dims[axis];
                }
                column++;
            }
        }
    }
}
