using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>The tiles that Windows gets, with its fewer registers, run here: one more instruction moves the argument to where they look for it.</summary>
internal sealed class WindowsVnniKernel() : VnniKernel(CallingConvention.Windows)
{
    public override string Name => base.Name + "-windows";

    protected override byte[] Emit(TileShape shape) => Moved(base.Emit(shape));

    protected override byte[] Emit(DepthTileShape shape) => Moved(base.Emit(shape));

    private static byte[] Moved(byte[] code) => OperatingSystem.IsWindows() ? code : [0x48, 0x89, 0xF9, .. code]; // mov rcx, rdi
}
