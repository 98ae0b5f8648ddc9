using System.Runtime.InteropServices;
using Google.Protobuf;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Onnx.Proto;
using DataType = MLNet.Quantization.Onnx.Proto.TensorProto.Types.DataType;

namespace MLNet.Quantization.Tests.Onnx;

/// <summary>Constants: raw, typed and external data of every element type, and data that does not fit.</summary>
[TestClass]
public class OnnxTensorTests
{
    public static IEnumerable<object[]> TypedForms =>
    [
        Case(DataType.Float, t => t.FloatData.AddRange([1.5f, -0f]), [1.5f, -0f]),
        Case(DataType.Double, t => t.DoubleData.AddRange([1.5, -2]), [1.5, -2.0]),
        Case(DataType.Int64, t => t.Int64Data.AddRange([long.MinValue, 2]), [long.MinValue, 2L]),
        Case(DataType.Uint64, t => t.Uint64Data.AddRange([ulong.MaxValue, 2]), [ulong.MaxValue, 2ul]),
        Case(DataType.Uint32, t => t.Uint64Data.AddRange([uint.MaxValue, 2]), [uint.MaxValue, 2u]),
        Case(DataType.Int32, t => t.Int32Data.AddRange([int.MinValue, 2]), [int.MinValue, 2]),
        Case(DataType.Int16, t => t.Int32Data.AddRange([short.MinValue, 2]), [short.MinValue, (short)2]),
        Case(DataType.Uint16, t => t.Int32Data.AddRange([ushort.MaxValue, 2]), [ushort.MaxValue, (ushort)2]),
        Case(DataType.Int8, t => t.Int32Data.AddRange([-128, 127]), [(sbyte)-128, (sbyte)127]),
        Case(DataType.Uint8, t => t.Int32Data.AddRange([0, 255]), [(byte)0, (byte)255]),
        Case(DataType.Bool, t => t.Int32Data.AddRange([1, 0]), [true, false]),
        Case(DataType.Float16, t => t.Int32Data.AddRange([0x3c00, 0xbc00]), [(Half)1, (Half)(-1)]),
    ];

    [TestMethod]
    [DynamicData(nameof(TypedForms))]
    public void Typed_and_raw_data_give_the_same_tensor(string name, object typedProto, object expected)
    {
        var (typed, tensor) = ((TensorProto)typedProto, (Tensor)expected);
        GraphAssert.AreSame(tensor, OnnxReader.ReadTensor(typed.ToByteArray()));
        var raw = new TensorProto { DataType = typed.DataType, Dims = { typed.Dims }, RawData = ByteString.CopyFrom(tensor.Bytes.Span) };
        GraphAssert.AreSame(tensor, OnnxReader.ReadTensor(raw.ToByteArray()));
        Assert.AreEqual(name, tensor.Type.ToString(), ignoreCase: true);
    }

    [TestMethod]
    public void The_bits_of_bfloat16_are_kept()
    {
        var tensor = OnnxReader.ReadTensor(new TensorProto { DataType = (int)DataType.Bfloat16, Dims = { 1 }, Int32Data = { 0x3f80 } }.ToByteArray());
        CollectionAssert.AreEqual(new byte[] { 0x80, 0x3f }, tensor.Bytes.ToArray());
    }

    [TestMethod]
    public void Scalars_and_tensors_without_elements_are_read()
    {
        Assert.AreEqual(0, OnnxReader.ReadTensor(new TensorProto { DataType = 1, FloatData = { 7 } }.ToByteArray()).Rank);
        Assert.AreEqual(0, OnnxReader.ReadTensor(new TensorProto { DataType = 1, Dims = { 3, 0, 5 } }.ToByteArray()).Count);
    }

    [TestMethod]
    [DataRow((int)DataType.Int4)]
    [DataRow((int)DataType.Uint4)]
    [DataRow((int)DataType.String)]
    [DataRow((int)DataType.Complex64)]
    [DataRow((int)DataType.Float8E4M3Fn)]
    [DataRow((int)DataType.Undefined)]
    [DataRow(99)]
    [DataRow(-1)]
    public void An_element_type_that_is_not_supported_is_named(int type) =>
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = type, Dims = { 2 }, Int32Data = { 1 } }), "'c'", ((DataType)type).ToString(), "supported");

    [TestMethod]
    [DataRow(8)]
    [DataRow(16)]
    [DataRow(0)]
    public void Raw_data_of_another_length_than_the_shape_takes_is_refused(int bytes) =>
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = 1, Dims = { 3 }, RawData = ByteString.CopyFrom(new byte[bytes]) }), "'c'", $"{bytes} bytes", "12");

    [TestMethod]
    [DataRow(2)]
    [DataRow(4)]
    [DataRow(0)]
    public void Typed_data_of_another_length_than_the_shape_takes_is_refused(int elements) =>
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = 1, Dims = { 3 }, FloatData = { new float[elements] } }), "'c'", $"{elements} elements", "3");

    [TestMethod]
    public void An_impossible_shape_is_refused()
    {
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = 1, Dims = { -1 } }), "'c'", "-1");
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = 1, Dims = { long.MaxValue } }), "'c'", "extent");
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = 1, Dims = { 1 << 20, 1 << 20, 1 << 20, 1 << 20 } }), "'c'", "elements");
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = 11, Dims = { int.MaxValue } }), "'c'", "bytes");
    }

    [TestMethod]
    public void Elements_outside_their_type_are_refused()
    {
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = (int)DataType.Uint8, Dims = { 1 }, Int32Data = { 256 } }), "'c'", "256");
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = (int)DataType.Int8, Dims = { 1 }, Int32Data = { -129 } }), "'c'", "-129");
        OnnxReaderTests.Refused(SmallModels.WithConstant(new() { DataType = (int)DataType.Bool, Dims = { 1 }, RawData = ByteString.CopyFrom(2) }), "'c'", "booleans");
    }

    [TestMethod]
    public void External_data_is_read_from_its_place_in_the_file()
    {
        using var folder = new TemporaryFolder();
        byte[] file = new byte[64 + 12];
        MemoryMarshal.AsBytes<float>([1, 2, 3]).CopyTo(file.AsSpan(64));
        Directory.CreateDirectory(folder.File("weights"));
        folder.Write("weights/w.bin", file);
        string model = folder.Write("model.onnx", SmallModels.WithConstant(External("weights/w.bin", "64", "12")));
        CollectionAssert.AreEqual(new float[] { 1, 2, 3 }, OnnxReader.ReadFile(model).Initializers["c"].Span<float>().ToArray());
        folder.Write("whole.bin", [.. file[64..]]);
        CollectionAssert.AreEqual(new float[] { 1, 2, 3 }, OnnxReader.Read(SmallModels.WithConstant(External("whole.bin")), folder.Path).Initializers["c"].Span<float>().ToArray());
    }

    [TestMethod]
    [DataRow("missing.bin", null, null, "missing.bin")]
    [DataRow("w.bin", "8", null, "w.bin")]
    [DataRow("w.bin", "9223372036854775807", null, "w.bin")]
    [DataRow("w.bin", "-4", null, "offset")]
    [DataRow("w.bin", "zero", null, "offset")]
    [DataRow("w.bin", null, "16", "16 bytes")]
    [DataRow("../w.bin", null, null, "below the model's folder")]
    [DataRow("sub/../../w.bin", null, null, "below the model's folder")]
    [DataRow("/etc/hostname", null, null, "below the model's folder")]
    [DataRow("", null, null, "below the model's folder")]
    [DataRow(".", null, null, "below the model's folder")]
    [DataRow(null, null, null, "which file")]
    public void External_data_that_cannot_be_read_is_named(string? location, string? offset, string? length, string expected)
    {
        using var folder = new TemporaryFolder();
        folder.Write("w.bin", new byte[16]);
        byte[] model = SmallModels.WithConstant(External(location, offset, length));
        var e = Assert.ThrowsExactly<ModelFormatException>(() => OnnxReader.Read(model, folder.Path));
        Assert.AreEqual("c", e.TensorName);
        StringAssert.Contains(e.Message, expected);
    }

    [TestMethod]
    public void External_data_without_a_folder_is_refused() => OnnxReaderTests.Refused(SmallModels.WithConstant(External("w.bin")), "'c'", "w.bin");

    private static TensorProto External(string? location, string? offset = null, string? length = null)
    {
        var tensor = new TensorProto { DataType = 1, Dims = { 3 }, DataLocation = TensorProto.Types.DataLocation.External };
        foreach (var (key, value) in new[] { ("location", location), ("offset", offset), ("length", length) })
            if (value is not null) tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
        return tensor;
    }

    private static object[] Case<T>(DataType type, Action<TensorProto> fill, T[] values) where T : unmanaged
    {
        var proto = new TensorProto { DataType = (int)type, Dims = { 2 } };
        fill(proto);
        return [type.ToString(), proto, Tensor.Create(values, 2)];
    }
}
