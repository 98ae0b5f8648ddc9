using System.Numerics;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>An operator that maps each element by a function of one number; any shape, in place where it can be. float32, and integers where it says so.</summary>
internal abstract class MapOperator<TFunction> : Operator where TFunction : struct, IUnaryFunction
{
    public override ValueFact[] Infer(OpContext context)
    {
        var x = context.Input(0, [ElementType.Float, .. IntegerTypes]);
        var entries = ShapeEntry.AllOf(x);
        return [ShapeEntry.With(new(x.Type, x.Shape), entries is null ? null : Array.ConvertAll(entries, e => e.Number is { } n ? ShapeEntry.Of(IntegerOf(n)) : default))];
    }

    public override Step Prepare(PrepareContext context) => new MapStep(this, FunctionOf(context));

    /// <summary>The function with the node's parameters.</summary>
    protected abstract TFunction FunctionOf(OpContext context);

    /// <summary>The function of each element.</summary>
    protected virtual void Map(in TFunction function, ReadOnlySpan<float> x, Span<float> y) => Elementwise.Map(function, x, y);

    /// <summary>The integer types that it maps, too: those of <see cref="NumberTypes.Integers"/> or some of them.</summary>
    protected virtual ElementType[] IntegerTypes => [];

    /// <summary>The integer form; wraps.</summary>
    protected virtual T IntegerOf<T>(T x) where T : IBinaryInteger<T> => throw new NotSupportedException();

    /// <summary>Nanoseconds an element: between those of a maximum and of an error function.</summary>
    private const double ElementTime = 0.2;

    /// <summary>Whole vectors of every width.</summary>
    private const int Unit = 64;

    private sealed class MapStep(MapOperator<TFunction> op, TFunction function) : Step, IIntegerStep
    {
        public override bool CanOverwrite(int input) => true;

        public override unsafe void Run(in StepContext context)
        {
            if (context.Inputs[0].Type != ElementType.Float)
            {
                NumberTypes.Run(context.Inputs[0].Type, this, context);
                return;
            }
            fixed (float* x = context.Input<float>(0), y = context.Output<float>(0))
            {
                var body = new Body(op, function, x, y);
                Ranges.Run(ref body, context.Inputs[0].Count, Unit, ElementTime, context.MaxThreads);
            }
        }

        public void Integers<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
        {
            var x = context.Input<T>(0);
            var y = context.Output<T>(0);
            for (int i = 0; i < x.Length; i++) y[i] = op.IntegerOf(x[i]);
        }
    }

    private readonly unsafe struct Body(MapOperator<TFunction> op, TFunction function, float* x, float* y) : IRangeBody
    {
        public void Run(int from, int to) => op.Map(function, new(x + from, to - from), new(y + from, to - from));
    }
}
