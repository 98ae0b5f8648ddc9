using System.Runtime.InteropServices;
using Google.Protobuf;
using MLNet.Quantization.Onnx.Proto;

namespace MLNet.Quantization.Benchmarks;

/// <summary>One product A [m, k] x W [k, n] -> Y [m, n] in each form that ONNX Runtime has for it.</summary>
internal sealed class PeerModels(int m, int n, int k, byte[] weights)
{
    private const int Float = 1, UInt8 = 2, Int8 = 3, Int32 = 6;

    public byte[] MatMul(byte[] floats) => Model(Float, Float, [Tensor("W", Float, floats, k, n)], Node("MatMul", ["A", "W"]));

    public byte[] MatMulInteger() => Model(UInt8, Int32, [Tensor("W", Int8, weights, k, n)], Node("MatMulInteger", ["A", "W"]));

    /// <summary>Scales by column, or one for all.</summary>
    public byte[] QLinearMatMul(bool perColumn) => Model(
        UInt8, UInt8,
        [
            Tensor("W", Int8, weights, k, n), Scalar("as", 0.01f), Scalar("az", 128), Scalar("ys", 0.2f), Scalar("yz", 128),
            perColumn ? Tensor("bs", Float, Same(0.01f), n) : Scalar("bs", 0.01f),
            perColumn ? Tensor("bz", Int8, new byte[n], n) : Tensor("bz", Int8, new byte[1]),
        ],
        Node("QLinearMatMul", ["A", "as", "az", "W", "bs", "bz", "ys", "yz"]));

    public byte[] DynamicQuantizeMatMul() => Model(
        Float, Float, [Tensor("W", Int8, weights, k, n), Tensor("bs", Float, Same(0.01f), n)], Node("DynamicQuantizeMatMul", ["A", "W", "bs"], "com.microsoft"));

    private byte[] Same(float value)
    {
        var values = new float[n];
        Array.Fill(values, value);
        return MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
    }

    private byte[] Model(int inputType, int outputType, TensorProto[] constants, NodeProto node)
    {
        var graph = new GraphProto { Name = "product" };
        graph.Input.Add(Value("A", inputType, m, k));
        graph.Output.Add(Value("Y", outputType, m, n));
        graph.Initializer.AddRange(constants);
        graph.Node.Add(node);
        var model = new ModelProto { IrVersion = 10, Graph = graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 21 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        return model.ToByteArray();
    }

    private static NodeProto Node(string operation, string[] inputs, string domain = "")
    {
        var node = new NodeProto { OpType = operation, Domain = domain, Name = operation };
        node.Input.AddRange(inputs);
        node.Output.Add("Y");
        return node;
    }

    private static ValueInfoProto Value(string name, int type, int rows, int columns)
    {
        var shape = new TensorShapeProto();
        shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = rows });
        shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = columns });
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = type, Shape = shape } } };
    }

    private static TensorProto Scalar(string name, float value) => Tensor(name, Float, BitConverter.GetBytes(value));

    private static TensorProto Scalar(string name, byte value) => Tensor(name, UInt8, [value]);

    private static TensorProto Tensor(string name, int type, byte[] data, params long[] shape)
    {
        var tensor = new TensorProto { Name = name, DataType = type, RawData = ByteString.CopyFrom(data) };
        tensor.Dims.AddRange(shape);
        return tensor;
    }
}
