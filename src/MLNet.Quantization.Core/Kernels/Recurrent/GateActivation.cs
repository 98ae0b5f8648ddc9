using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Kernels;

/// <summary>The functions that the ONNX standard lists for gates.</summary>
internal enum GateFunctionKind
{
    Affine,
    Elu,
    HardSigmoid,
    LeakyRelu,
    Relu,
    ScaledTanh,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedRelu,
}

/// <summary>One of the functions, chosen when the layer is prepared.</summary>
internal readonly record struct GateActivation(GateFunctionKind Kind, float Alpha, float Beta) : IUnaryFunction
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TFloats Apply<L, TFloats, TInts>(TFloats x) where L : ILanes<TFloats, TInts> where TFloats : unmanaged where TInts : unmanaged => Kind switch
    {
        GateFunctionKind.Affine => L.Add(L.Multiply(L.Create(Alpha), x), L.Create(Beta)),
        GateFunctionKind.Elu => new ExponentialLinearFunction(Alpha, 1, 1).Apply<L, TFloats, TInts>(x),
        GateFunctionKind.HardSigmoid => new HardSigmoidFunction(Alpha, Beta).Apply<L, TFloats, TInts>(x),
        GateFunctionKind.LeakyRelu => new LeakyReluFunction(Alpha).Apply<L, TFloats, TInts>(x),
        GateFunctionKind.Relu => new ReluFunction().Apply<L, TFloats, TInts>(x),
        GateFunctionKind.ScaledTanh => L.Multiply(L.Create(Alpha), new TanhFunction().Apply<L, TFloats, TInts>(L.Multiply(L.Create(Beta), x))),
        GateFunctionKind.Sigmoid => new SigmoidFunction().Apply<L, TFloats, TInts>(x),
        GateFunctionKind.Softplus => new SoftplusFunction().Apply<L, TFloats, TInts>(x),
        GateFunctionKind.Softsign => new SoftsignFunction().Apply<L, TFloats, TInts>(x),
        GateFunctionKind.Tanh => new TanhFunction().Apply<L, TFloats, TInts>(x),
        _ => new ThresholdFunction(Alpha).Apply<L, TFloats, TInts>(x),
    };
}
