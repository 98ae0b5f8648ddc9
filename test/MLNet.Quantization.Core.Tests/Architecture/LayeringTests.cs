using System.Reflection;

namespace MLNet.Quantization.Tests.Architecture;

/// <summary>Holds the built assembly against the layering table of docs/architecture.md.</summary>
[TestClass]
public class LayeringTests
{
    private static readonly LayeringTable Table =
        LayeringTable.Read("MLNet.Quantization", File.ReadLines(Path.Combine(SharedData.ProjectRoot, "docs", "architecture.md")));

    [TestMethod]
    public void Every_type_uses_only_what_its_room_may_use()
    {
        var violations = Violations(Table, typeof(QuantizationException).Assembly);
        Assert.AreEqual(0, violations.Count, string.Join(Environment.NewLine, violations));
    }

    [TestMethod]
    public void The_rooms_are_there() => CollectionAssert.IsSubsetOf(new[] { "Numerics", "Kernels", "Graph", "Ops", "Execution", "Onnx" }, Table.Rooms.ToArray());

    [TestMethod]
    [DataRow("Execution", "Ops", "Execution.Program uses MLNet.Quantization.Ops.")]
    [DataRow("Ops", "Graph", "Ops.Gemm uses MLNet.Quantization.Graph.Node")]
    [DataRow("Onnx", "Graph", "Onnx.OnnxReader uses MLNet.Quantization.Graph.ModelGraph")]
    public void A_use_that_the_table_does_not_allow_is_named(string room, string used, string expected)
    {
        var violations = Violations(Table.Without(room, used), typeof(QuantizationException).Assembly);
        Assert.IsTrue(violations.Any(v => v.Contains(expected, StringComparison.Ordinal)), string.Join(Environment.NewLine, violations));
    }

    [TestMethod]
    public void Every_way_to_use_a_type_is_seen()
    {
        var table = new LayeringTable("LayeringSample", new Dictionary<string, IReadOnlySet<string>>
        {
            ["Lower"] = new HashSet<string>(),
            ["Upper"] = new HashSet<string>(),
            ["Empty"] = new HashSet<string> { "Nowhere" },
        });
        var violations = Violations(table, typeof(LayeringTests).Assembly);
        var samples = typeof(LayeringTests).Assembly.GetTypes().Where(t => t.Namespace == "LayeringSample.Lower" && !t.IsNested).ToList();
        Assert.IsTrue(samples.Count > 10);
        foreach (var sample in samples)
            Assert.IsTrue(violations.Any(v => v.StartsWith($"{sample.FullName} uses LayeringSample.Upper.", StringComparison.Ordinal)), sample.FullName);
        CollectionAssert.Contains(violations.ToArray(), "Room Unlisted has types, but is not in the table.");
        CollectionAssert.Contains(violations.ToArray(), "Room Empty is in the table, but has no types.");
        CollectionAssert.Contains(violations.ToArray(), "Room Empty may use Nowhere, which is not in the table.");
        Assert.IsTrue(violations.Any(v => v.StartsWith("LayeringSample.Root uses LayeringSample.Upper.Target, but the root namespace", StringComparison.Ordinal)));
    }

    private static IReadOnlyList<string> Violations(LayeringTable table, Assembly assembly) =>
        table.Violations([.. assembly.GetTypes().Where(t => !t.IsNested).Select(t => t.FullName!)], TypeReferences.Of(assembly.Location));
}
