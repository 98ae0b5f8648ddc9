namespace MLNet.Quantization.Kernels;

/// <summary>
/// The one instruction, or sequence, in which the tile loops differ. <typeparamref name="TSums"/> holds <see cref="Lanes"/> int32 sums,
/// one a column; <typeparamref name="TOperand"/> holds <see cref="Group"/> values for each of them.
/// </summary>
internal unsafe interface IInt8Dot<TSums, TOperand> where TSums : unmanaged where TOperand : unmanaged
{
    static abstract string Name { get; }

    static abstract bool IsSupported { get; }

    static abstract ActivationForm Form { get; }

    /// <summary>Values of k that one step sums.</summary>
    static abstract int Group { get; }

    static abstract int Lanes { get; }

    /// <summary>How many accumulators the registers hold beside the operands: 24 with 32 registers, 12 with 16.</summary>
    static abstract int Accumulators { get; }

    /// <summary>Lanes · Group weights of s8: [column][k within group].</summary>
    static abstract TOperand LoadWeights(sbyte* weights);

    /// <summary>One group of activations, in <see cref="Form"/>, repeated for every lane.</summary>
    static abstract TOperand Broadcast(byte* activations);

    /// <summary>Lane j becomes sums[j] + Σ over the group of activations[j, g] · weights[j, g], exact in int32.</summary>
    static abstract TSums Accumulate(TSums sums, TOperand activations, TOperand weights);
}

/// <summary>A number that the compiler knows for each instance of a generic loop.</summary>
internal interface ICount
{
    static abstract int Value { get; }
}

internal readonly struct C1 : ICount { public static int Value => 1; }
internal readonly struct C2 : ICount { public static int Value => 2; }
internal readonly struct C3 : ICount { public static int Value => 3; }
internal readonly struct C4 : ICount { public static int Value => 4; }
internal readonly struct C5 : ICount { public static int Value => 5; }
internal readonly struct C6 : ICount { public static int Value => 6; }
internal readonly struct C7 : ICount { public static int Value => 7; }
internal readonly struct C8 : ICount { public static int Value => 8; }
internal readonly struct C9 : ICount { public static int Value => 9; }
internal readonly struct C10 : ICount { public static int Value => 10; }
internal readonly struct C11 : ICount { public static int Value => 11; }
internal readonly struct C12 : ICount { public static int Value => 12; }
