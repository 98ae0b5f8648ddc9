using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>The tiles that Windows gets, with its fewer registers, run here: one more instruction moves the argument to where they look for it.</summary>
internal sealed class WindowsVnniKernel() : VnniKernel(CallingConvention.Windows)
{
    public override string Name => base.Name + "-windows";

    protected override byte[] Emit(TileShape shape) => OperatingSystem.IsWindows() ? base.Emit(shape) : [0x48, 0x89, 0xF9, .. base.Emit(shape)]; // mov rcx, rdi
}
