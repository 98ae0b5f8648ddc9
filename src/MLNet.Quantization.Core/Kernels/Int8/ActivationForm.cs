namespace MLNet.Quantization.Kernels;

/// <summary>How a kernel reads u8 activations.</summary>
internal enum ActivationForm
{
    /// <summary>As they are, in place.</summary>
    Bytes,

    /// <summary>Less 128, as s8: for instructions that multiply s8 by s8. The sums then lack 128 · Σw, which the offsets add.</summary>
    SignedBytes,

    /// <summary>Widened to int16.</summary>
    Words,
}
