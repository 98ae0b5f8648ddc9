using MLNet.Quantization.Numerics;

namespace MLNet.Quantization.Kernels;

/// <summary>What the pixels of a convolution's input are.</summary>
internal enum PixelForm
{
    /// <summary>u8 codes, channels last.</summary>
    Codes,

    /// <summary>s8 codes, channels last; read as u8 codes that lie 128 higher.</summary>
    SignedCodes,

    /// <summary>u8 codes, channels first.</summary>
    CodesChannelsFirst,

    /// <summary>float32, channels first, quantized to u8 as they are read.</summary>
    FloatChannelsFirst,
}

/// <summary>Where a convolution reads its pixels.</summary>
/// <param name="Form">What they are.</param>
/// <param name="Parameters">Of the u8 codes: the zero point pads, the scale quantizes floats.</param>
internal readonly record struct PixelSource(PixelForm Form, AffineParameters Parameters)
{
    public int ElementBytes => Form == PixelForm.FloatChannelsFirst ? sizeof(float) : 1;
}
