using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace MLNet.Quantization;

/// <summary>What became of each layer when a model was quantized, and why.</summary>
public sealed class QuantizationReport
{
    internal QuantizationReport(IReadOnlyList<QuantizedLayer> layers) => Layers = layers;

    /// <summary>The layers with weights and the products of two activations, in the order in which they are computed.</summary>
    public IReadOnlyList<QuantizedLayer> Layers { get; }

    /// <summary>Bytes of the layers' weights, biases and scales before, as float32.</summary>
    public long WeightBytesBefore => Layers.Sum(l => l.WeightBytesBefore);

    /// <summary>Bytes of the layers' weights, biases and scales now.</summary>
    public long WeightBytesAfter => Layers.Sum(l => l.WeightBytesAfter);

    /// <summary>A table, one line a layer.</summary>
    public override string ToString()
    {
        string[] header = ["layer", "operator", "status", "bytes before", "after", "input range", "scale", "zero", "clipped", "SQNR dB", "note"];
        var rows = Layers.Select(l => new[]
        {
            l.Name, l.Operator, l.IsInt8 ? "INT8" : "float", Text(l.WeightBytesBefore), Text(l.WeightBytesAfter),
            l.InputMin is { } min ? $"{Text(min)} .. {Text(l.InputMax!.Value)}" : "", l.InputScale is { } s ? Text(s) : "",
            l.InputZeroPoint is { } z ? Text(z) : "", l.ClippedShare is { } c ? Text(100 * c) + " %" : "",
            l.WeightSignalToNoise is { } q ? q.ToString("F1", CultureInfo.InvariantCulture) : "", l.Reason,
        }).Prepend(header).ToList();
        var widths = header.Select((_, i) => rows.Max(r => r[i].Length)).ToArray();
        var text = new StringBuilder();
        foreach (var row in rows) text.AppendLine(string.Join("  ", row.Select((cell, i) => cell.PadRight(widths[i]))).TrimEnd());
        text.Append(CultureInfo.InvariantCulture, $"{Layers.Count(l => l.IsInt8)} of {Layers.Count} layers are INT8; weights {WeightBytesBefore} -> {WeightBytesAfter} bytes.");
        return text.ToString();
    }

    /// <summary>
    /// The same as JSON: an object with layers, weightBytesBefore and weightBytesAfter. What is not known is null; an infinite ratio is the
    /// string "Infinity".
    /// </summary>
    public string ToJson()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new() { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteNumber("weightBytesBefore", WeightBytesBefore);
            json.WriteNumber("weightBytesAfter", WeightBytesAfter);
            json.WriteStartArray("layers");
            foreach (var layer in Layers) Write(json, layer);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static void Write(Utf8JsonWriter json, QuantizedLayer layer)
    {
        json.WriteStartObject();
        json.WriteString("name", layer.Name);
        json.WriteString("operator", layer.Operator);
        json.WriteBoolean("isInt8", layer.IsInt8);
        json.WriteString("reason", layer.Reason);
        json.WriteNumber("weightBytesBefore", layer.WeightBytesBefore);
        json.WriteNumber("weightBytesAfter", layer.WeightBytesAfter);
        WriteNumber(json, "inputMin", layer.InputMin);
        WriteNumber(json, "inputMax", layer.InputMax);
        WriteNumber(json, "inputScale", layer.InputScale);
        WriteNumber(json, "inputZeroPoint", layer.InputZeroPoint);
        WriteNumber(json, "clippedShare", layer.ClippedShare);
        WriteNumber(json, "weightSignalToNoise", layer.WeightSignalToNoise);
        json.WriteEndObject();
    }

    private static void WriteNumber<T>(Utf8JsonWriter json, string name, T? value) where T : struct, INumber<T>
    {
        if (value is not { } number) json.WriteNull(name);
        else if (!T.IsFinite(number)) json.WriteString(name, T.IsNaN(number) ? "NaN" : T.IsPositive(number) ? "Infinity" : "-Infinity");
        else
        {
            json.WritePropertyName(name);
            json.WriteRawValue(number.ToString(null, CultureInfo.InvariantCulture));
        }
    }

    private static string Text(IFormattable value) => value.ToString(value is float or double ? "G5" : null, CultureInfo.InvariantCulture);
}

/// <summary>One layer of a <see cref="QuantizationReport"/>.</summary>
public sealed class QuantizedLayer
{
    internal QuantizedLayer(string name, string operatorType) => (Name, Operator) = (name, operatorType);

    /// <summary>The node's name in the model, or its first output where it has none.</summary>
    public string Name { get; }

    /// <summary>The operator, spelled as in ONNX.</summary>
    public string Operator { get; }

    /// <summary>True where the layer is computed with 8-bit integers.</summary>
    public bool IsInt8 { get; internal init; }

    /// <summary>Why the layer stayed float, or what was adjusted; empty where there is nothing to say.</summary>
    public string Reason { get; internal init; } = "";

    /// <summary>Bytes of weights and bias as float32.</summary>
    public long WeightBytesBefore { get; internal init; }

    /// <summary>Bytes of weights, scales and bias now.</summary>
    public long WeightBytesAfter { get; internal init; }

    /// <summary>Lower end of the range that the layer's input, a product's left factor, can take; null where it is chosen for each row or the layer is float.</summary>
    public float? InputMin { get; internal init; }

    /// <summary>Upper end of that range.</summary>
    public float? InputMax { get; internal init; }

    /// <summary>Step between two codes of the input.</summary>
    public float? InputScale { get; internal init; }

    /// <summary>The code of 0.</summary>
    public int? InputZeroPoint { get; internal init; }

    /// <summary>The share of calibration values outside the range, 0 to 1; null where not known.</summary>
    public double? ClippedShare { get; internal init; }

    /// <summary>Signal to quantization noise of the weights in decibels; null where not known.</summary>
    public double? WeightSignalToNoise { get; internal init; }
}
