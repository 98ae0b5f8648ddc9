using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>A matrix of the shape of x with ones on the diagonal that lies <c>k</c> to the right of the main one, of type <c>dtype</c> or that of x.</summary>
internal sealed class EyeLike : Operator
{
    public override string OpType => "EyeLike";

    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0);
        if (x.Shape is { Rank: not 2 } shape) throw context.Malformed($"x has shape {shape}, expected a matrix");
        var type = (ElementType)context.Attribute("dtype", (long)x.Type);
        if (!NumberTypes.All.Contains(type) && type is not (ElementType.Double or ElementType.Bool)) throw context.Unsupported($"dtype is {type}, supported: {string.Join(", ", NumberTypes.All)}, Double, Bool");
        return [new(type, x.Shape)];
    }

    public override Step Prepare(PrepareContext context) => new EyeStep(context.Attribute("k", 0L));

    private sealed class EyeStep(long k) : Step, INumberStep
    {
        public override bool ReadsAtRun(int input) => false;

        public override void Run(in StepContext context)
        {
            context.Output<byte>(0).Clear();
            if (context.Outputs[0].Type == ElementType.Double) Fill<double>(context);
            else NumberTypes.Run(context.Outputs[0].Type, this, context);
        }

        public void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T> => Fill<T>(context);

        private void Fill<T>(in StepContext context) where T : unmanaged, INumber<T>
        {
            int rows = context.Outputs[0].Dims[0], columns = context.Outputs[0].Dims[1];
            var y = context.Output<T>(0);
            for (int r = 0; r < rows; r++)
                if (r + k >= 0 && r + k < columns) y[(r * columns) + (int)(r + k)] = T.One;
        }
    }
}
