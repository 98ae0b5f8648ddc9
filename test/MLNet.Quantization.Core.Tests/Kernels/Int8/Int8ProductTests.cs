using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Tests.Kernels;

[TestClass]
public sealed class Int8ProductTests
{
    [TestMethod]
    public void ASmallProductByHand()
    {
        // a - Za = [[1, -2], [3, 0]], w = [[1, 2, 3], [-4, 5, 6]]
        byte[] a = [11, 8, 13, 10];
        var w = Int8Gemm.Pack([1, 2, 3, -4, 5, 6], 2, 3, transposed: false);
        CollectionAssert.AreEqual(new[] { -3, 7, 9 }, w.ColumnSums);

        var sums = new int[6];
        var product = new Int32Product(w, 10, [100, 0, 0]);
        product.Run(a, 2, sums, new byte[product.WorkspaceBytes(2)], 1);
        CollectionAssert.AreEqual(new[] { 109, -8, -9, 103, 6, 9 }, sums);

        var codes = new byte[6];
        var requantized = new RequantizedProduct(w, 10, [], [0.5f, 0.5f, 100f], 1, -128, 127, signedOutput: true);
        requantized.Run(a, 2, codes, new byte[requantized.WorkspaceBytes(2)], 1);
        // 4.5 rounds to 4 and 1.5 to 2, half to even, before the zero point is added.
        CollectionAssert.AreEqual(new sbyte[] { 5, -3, -128, 3, 4, 127 }, codes.Select(c => (sbyte)c).ToArray());

        var floats = new float[6];
        var real = new FloatProduct(w, [1f, 10f, 100f], [0f, 0f, 0.5f]);
        real.Run(a, 2, [2f, float.NaN], [10], floats, new byte[real.WorkspaceBytes(2)], 1);
        CollectionAssert.AreEqual(new[] { 18f, -160f, -1799.5f, float.NaN, float.NaN, float.NaN }, floats);
    }
}
