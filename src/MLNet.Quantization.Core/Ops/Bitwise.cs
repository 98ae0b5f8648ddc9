using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>Two tensors of integers combined bit by bit, broadcast as NumPy does.</summary>
internal abstract class BitwiseOperator : BinaryOperator
{
    protected sealed override ElementType[] Types => NumberTypes.Integers;
}

/// <summary>Bits that are set on both sides.</summary>
internal sealed class BitwiseAnd : BitwiseOperator
{
    public override string OpType => "BitwiseAnd";

    protected override T Combine<T>(OpContext node, T x, T y) => x & y;
}

/// <summary>Bits that are set on one side or both.</summary>
internal sealed class BitwiseOr : BitwiseOperator
{
    public override string OpType => "BitwiseOr";

    protected override T Combine<T>(OpContext node, T x, T y) => x | y;
}

/// <summary>Bits that differ.</summary>
internal sealed class BitwiseXor : BitwiseOperator
{
    public override string OpType => "BitwiseXor";

    protected override T Combine<T>(OpContext node, T x, T y) => x ^ y;
}

/// <summary>Every bit of an integer turned round.</summary>
internal sealed class BitwiseNot : Operator
{
    public override string OpType => "BitwiseNot";

    public override ValueFact[] Infer(OpContext context) => [context.Input(0, NumberTypes.Integers) with { Value = null, Entries = null }];

    public override Step Prepare(PrepareContext context) => new NotStep();

    private sealed class NotStep : Step, IIntegerStep
    {
        public override bool CanOverwrite(int input) => true;

        public override void Run(in StepContext context) => NumberTypes.Run(context.Inputs[0].Type, this, context);

        public void Integers<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
        {
            var x = context.Input<T>(0);
            var y = context.Output<T>(0);
            for (int i = 0; i < y.Length; i++) y[i] = ~x[i];
        }
    }
}
