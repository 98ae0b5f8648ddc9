using Iced.Intel;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

/// <summary>What is emitted, disassembled: no processor is needed that could run it.</summary>
[TestClass]
public sealed class EmittedCodeTests
{
    private static readonly Register[] s_volatileUnix =
        [Register.RAX, Register.RCX, Register.RDX, Register.RSI, Register.RDI, Register.R8, Register.R9, Register.R10, Register.R11];

    private static readonly Register[] s_volatileWindows =
        [Register.RAX, Register.RCX, Register.RDX, Register.R8, Register.R9, Register.R10, Register.R11];

    [TestMethod]
    public void TilesUseOnlyRegistersThatTheCallerExpectsToLose()
    {
        foreach (var (convention, general, vectors) in new[]
        {
            (CallingConvention.SystemV, s_volatileUnix, Enumerable.Range(0, 32)),
            (CallingConvention.Windows, s_volatileWindows, Enumerable.Range(0, 6).Concat(Enumerable.Range(16, 16))),
        })
        {
            var allowed = general.Concat(vectors.Select(i => Register.ZMM0 + i)).ToHashSet();
            foreach (var (shape, instructions) in Tiles(convention).Select(t => ($"{t.Shape}", t.Instructions)).Concat(DepthTiles(convention).Select(t => ($"{t.Shape}", t.Instructions))))
            {
                var factory = new InstructionInfoFactory();
                foreach (var instruction in instructions)
                {
                    // vzeroupper clears upper halves, which callers expect to lose; ret moves the stack pointer.
                    if (instruction.Mnemonic is Mnemonic.Vzeroupper or Mnemonic.Ret) continue;
                    foreach (var used in factory.GetInfo(instruction).GetUsedRegisters())
                    {
                        if (used.Access is OpAccess.Read or OpAccess.CondRead || used.Register.IsK()) continue;
                        Assert.IsTrue(allowed.Contains(used.Register.GetFullRegister()), $"{convention.Name} {shape}: {instruction} changes {used.Register}");
                    }
                    Assert.AreNotEqual(Register.RSP, instruction.MemoryBase, $"{convention.Name} {shape}: {instruction}");
                    Assert.AreNotEqual(FlowControl.Call, instruction.FlowControl);
                }
                Assert.AreEqual(Mnemonic.Ret, instructions[^1].Mnemonic);
                Assert.AreEqual(Mnemonic.Vzeroupper, instructions[^2].Mnemonic);
                Assert.AreEqual(1, instructions.Count(i => i.Mnemonic == Mnemonic.Ret));
            }
        }
    }

    [TestMethod]
    public void MultiplicationsAreThoseOfAvx512()
    {
        foreach (var (shape, instructions) in Tiles(CallingConvention.SystemV).Concat(Tiles(CallingConvention.Windows)))
        {
            var products = instructions.Where(i => i.Mnemonic == Mnemonic.Vpdpbusd).ToArray();
            Assert.AreEqual(shape.Rows * shape.Vectors * 5, products.Length, $"{shape}"); // four groups a round, one in the rest
            Assert.IsTrue(products.All(i => i.Encoding == EncodingKind.EVEX && i.Op0Register.IsZMM()));
            Assert.IsFalse(instructions.Any(i => i.IsInvalid));
        }
        foreach (var (shape, instructions) in DepthTiles(CallingConvention.SystemV).Concat(DepthTiles(CallingConvention.Windows)))
        {
            var products = instructions.Where(i => i.Mnemonic == Mnemonic.Vpdpbusd).ToArray();
            Assert.AreEqual(shape.Vectors * shape.Window * shape.Blocks, products.Length, $"{shape}");
            Assert.IsTrue(products.All(i => i.Encoding == EncodingKind.EVEX && i.Op0Register.IsZMM()));
            Assert.IsFalse(instructions.Any(i => i.IsInvalid));
        }
    }

    [TestMethod]
    public void EmissionCanBeForbidden()
    {
        Assert.IsNull(EmittedCode.Forbidden(null, switchedOn: true));
        Assert.IsNull(EmittedCode.Forbidden("1", switchedOn: true));
        StringAssert.Contains(EmittedCode.Forbidden("0", switchedOn: true), EmittedCode.Variable);
        StringAssert.Contains(EmittedCode.Forbidden(null, switchedOn: false), EmittedCode.Switch);
    }

    [TestMethod]
    public unsafe void ARefusalOfTheHostIsAnErrorCode()
    {
        Assert.IsFalse(ExecutableMemory.Seal((byte*)1, 4096, out int error)); // no page starts there
        Assert.AreNotEqual(0, error);
    }

    [TestMethod]
    public void TheChoiceSaysWhatIsUsedAndWhyNothingBetter()
    {
        StringAssert.StartsWith(Int8Gemm.Choice, $"INT8 kernel {Int8Gemm.Best.Name}");
        foreach (var better in Int8Gemm.AllKernels.TakeWhile(k => k != Int8Gemm.Best)) StringAssert.Contains(Int8Gemm.Choice, better.Name);
    }

    [TestMethod]
    public void PanelsHoldAllVectorsOnce()
    {
        var kernel = new VnniKernel(CallingConvention.SystemV);
        for (int n = 0; n < 700; n++)
        {
            int[] panels = kernel.PanelVectors(n);
            Assert.AreEqual((n + 15) / 16, panels.Sum());
            Assert.IsTrue(panels.All(p => p is >= 1 and <= 4));
        }
    }

    private static IEnumerable<(TileShape Shape, List<Instruction> Instructions)> Tiles(CallingConvention convention)
    {
        foreach (var stage in Enum.GetValues<OutputStage>())
            for (int vectors = 1; vectors <= 4; vectors++)
                for (int rows = 1; rows <= TileShape.MaxRows(convention, vectors); rows++)
                {
                    var shape = new TileShape(rows, vectors, stage);
                    yield return (shape, Decoded(VnniTile.Emit(shape, convention)));
                }
    }

    private static IEnumerable<(DepthTileShape Shape, List<Instruction> Instructions)> DepthTiles(CallingConvention convention)
    {
        foreach (int window in new[] { 1, 3, 5, 9, 16 })
            foreach (var (stride, dilation, store) in new[] { (1, 1, DepthStore.Apart), (2, 1, DepthStore.Dense), (3, 2, DepthStore.Part) })
                for (int blocks = 1; blocks <= 4; blocks++)
                    for (int vectors = 1; vectors <= DepthTileShape.MaxVectors(convention, window); vectors++)
                    {
                        var shape = new DepthTileShape(vectors, window, blocks, stride, dilation, 32, store);
                        yield return (shape, Decoded(VnniDepthTile.Emit(shape, convention)));
                    }
    }

    private static List<Instruction> Decoded(byte[] code)
    {
        var decoder = Decoder.Create(64, code);
        var instructions = new List<Instruction>();
        while (decoder.IP < (ulong)code.Length) instructions.Add(decoder.Decode());
        return instructions;
    }
}
