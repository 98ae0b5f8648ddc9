using System.Runtime.InteropServices;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops.Quantized;

/// <summary>Images of float32, each quantized by its own range, in the workspace of a step.</summary>
/// <param name="codes">u8, as many as there are values.</param>
/// <param name="scales">One an image.</param>
/// <param name="zeroPoints">One an image.</param>
/// <param name="rest">What is left of the workspace.</param>
internal readonly ref struct ImageCodes(ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, ReadOnlySpan<int> zeroPoints, Span<byte> rest)
{
    public readonly ReadOnlySpan<byte> Codes = codes;

    public readonly ReadOnlySpan<float> Scales = scales;

    public readonly ReadOnlySpan<int> ZeroPoints = zeroPoints;

    public readonly Span<byte> Rest = rest;

    /// <summary>What <see cref="Make"/> takes for a tensor whose first axis counts images.</summary>
    public static long WorkspaceBytes(TensorLayout images) => AlignedBuffer.Align(images.Count) + (2 * AlignedBuffer.Align(4L * images.Dims[0]));

    /// <param name="x">All images.</param>
    /// <param name="images">1 or more.</param>
    /// <param name="workspace">At least <see cref="WorkspaceBytes"/>.</param>
    /// <param name="maxThreads">0: <see cref="Parallelism.MaxThreads"/>.</param>
    public static ImageCodes Make(ReadOnlySpan<float> x, int images, Span<byte> workspace, int maxThreads)
    {
        int scalesAt = (int)AlignedBuffer.Align(x.Length), zeroPointsAt = scalesAt + (int)AlignedBuffer.Align(4L * images), restAt = zeroPointsAt + (int)AlignedBuffer.Align(4L * images);
        var codes = workspace[..x.Length];
        var scales = MemoryMarshal.Cast<byte, float>(workspace.Slice(scalesAt, 4 * images));
        var zeroPoints = MemoryMarshal.Cast<byte, int>(workspace.Slice(zeroPointsAt, 4 * images));
        RowQuantizer.Quantize(x, images, x.Length / images, codes, scales, zeroPoints, maxThreads);
        return new(codes, scales, zeroPoints, workspace[restAt..]);
    }
}
