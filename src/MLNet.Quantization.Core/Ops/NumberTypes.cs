using System.Numerics;
using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>The element types that the engine computes with, and how a step that is written once for all of them is called for one.</summary>
internal static class NumberTypes
{
    public static ElementType[] Integers { get; } =
        [ElementType.Int32, ElementType.Int64, ElementType.Int8, ElementType.UInt8, ElementType.Int16, ElementType.UInt16, ElementType.UInt32, ElementType.UInt64];

    /// <summary>float32 and the integers.</summary>
    public static ElementType[] All { get; } = [ElementType.Float, .. Integers];

    /// <param name="type">One of <see cref="Integers"/>.</param>
    /// <param name="step">Is run for the type.</param>
    /// <param name="context">Of the run.</param>
    public static void Run(ElementType type, IIntegerStep step, in StepContext context)
    {
        switch (type)
        {
            case ElementType.Int32: step.Integers<int>(context); break;
            case ElementType.Int64: step.Integers<long>(context); break;
            case ElementType.Int8: step.Integers<sbyte>(context); break;
            case ElementType.UInt8: step.Integers<byte>(context); break;
            case ElementType.Int16: step.Integers<short>(context); break;
            case ElementType.UInt16: step.Integers<ushort>(context); break;
            case ElementType.UInt32: step.Integers<uint>(context); break;
            case ElementType.UInt64: step.Integers<ulong>(context); break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, null);
        }
    }

    /// <param name="type">One of <see cref="All"/>, or bool, which is read as bytes of 0 and 1.</param>
    /// <param name="step">Is run for the type.</param>
    /// <param name="context">Of the run.</param>
    public static void Run(ElementType type, INumberStep step, in StepContext context)
    {
        switch (type)
        {
            case ElementType.Float: step.Numbers<float>(context); break;
            case ElementType.Int32: step.Numbers<int>(context); break;
            case ElementType.Int64: step.Numbers<long>(context); break;
            case ElementType.Int8: step.Numbers<sbyte>(context); break;
            case ElementType.UInt8 or ElementType.Bool: step.Numbers<byte>(context); break;
            case ElementType.Int16: step.Numbers<short>(context); break;
            case ElementType.UInt16: step.Numbers<ushort>(context); break;
            case ElementType.UInt32: step.Numbers<uint>(context); break;
            case ElementType.UInt64: step.Numbers<ulong>(context); break;
            default: throw new ArgumentOutOfRangeException(nameof(type), type, null);
        }
    }
}

/// <summary>A step that is the same for every integer type.</summary>
internal interface IIntegerStep
{
    void Integers<T>(in StepContext context) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>;
}

/// <summary>A step that is the same for float32 and every integer type.</summary>
internal interface INumberStep
{
    void Numbers<T>(in StepContext context) where T : unmanaged, INumber<T>, IMinMaxValue<T>;
}
