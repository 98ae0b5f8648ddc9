using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Graph;

[TestClass]
public class GraphOrderTests
{
    [TestMethod]
    public void Nodes_come_after_what_they_read_and_else_keep_their_order()
    {
        var graph = SampleGraphs.Of("y", "", "y = Add(c, a)", "c = Relu(b)", "a = Relu(x)", "b = Tanh(x)", "d = Tanh(x)");
        CollectionAssert.AreEqual(new[] { "a", "b", "c", "y", "d" }, (graph with { Nodes = GraphOrder.Sort(graph) }).Names());
    }

    [TestMethod]
    public void A_sorted_graph_keeps_its_order()
    {
        var graph = SampleGraphs.Of("y", "", "b = Relu(x)", "a = Relu(x)", "y = Add(a, b)");
        CollectionAssert.AreEqual(graph.Nodes.ToArray(), GraphOrder.Sort(graph).ToArray());
    }

    [TestMethod]
    public void A_value_that_is_read_twice_by_one_node_is_no_cycle() =>
        Assert.AreEqual(2, GraphOrder.Sort(SampleGraphs.Of("y", "", "y = Add(a, a)", "a = Relu(x)")).Length);

    [TestMethod]
    [DataRow("a = Relu(a)", "node_a")]
    [DataRow("a = Add(x, b); b = Relu(c); c = Relu(a)", "node_b")]
    public void A_cycle_names_its_nodes(string nodes, string named)
    {
        var e = Assert.ThrowsExactly<ModelFormatException>(() => GraphOrder.Sort(SampleGraphs.Of("a", "", nodes.Split("; "))));
        StringAssert.Contains(e.Message, "cycle");
        StringAssert.Contains(e.Message, named);
    }

    [TestMethod]
    public void Only_the_nodes_of_the_cycle_are_named()
    {
        var graph = SampleGraphs.Of("y", "", "first = Relu(x)", "a = Add(first, b)", "b = Relu(a)", "after = Relu(b)", "y = Relu(after)");
        var e = Assert.ThrowsExactly<ModelFormatException>(() => GraphOrder.Sort(graph));
        StringAssert.Contains(e.Message, "'node_a'");
        StringAssert.Contains(e.Message, "'node_b'");
        Assert.IsFalse(e.Message.Contains("first", StringComparison.Ordinal) || e.Message.Contains("after", StringComparison.Ordinal) || e.Message.Contains("node_y", StringComparison.Ordinal), e.Message);
    }

    [TestMethod]
    public void A_cycle_through_a_subgraph_is_found()
    {
        var body = SampleGraphs.Body("r", "r = Relu(b)");
        var graph = SampleGraphs.Of("b", "") with { Nodes = [SampleGraphs.If("a = If(x)", body, body), SampleGraphs.Node("b = Relu(a)")] };
        Assert.ThrowsExactly<ModelFormatException>(() => GraphOrder.Sort(graph));
    }

    [TestMethod]
    public void A_node_comes_after_what_its_subgraph_captures()
    {
        var body = SampleGraphs.Body("r", "r = Relu(a)");
        var graph = SampleGraphs.Of("y", "") with { Nodes = [SampleGraphs.If("y = If(x)", body, body), SampleGraphs.Node("a = Relu(x)")] };
        CollectionAssert.AreEqual(new[] { "a", "y" }, (graph with { Nodes = GraphOrder.Sort(graph) }).Names());
    }

    [TestMethod]
    public void A_value_with_two_definitions_names_both_nodes()
    {
        var graph = SampleGraphs.Of("y", "", "y = Relu(x)", "y, z = Split(x)");
        var e = Assert.ThrowsExactly<ModelFormatException>(() => GraphOrder.Sort(graph));
        Assert.AreEqual("y", e.TensorName);
        Assert.ThrowsExactly<ModelFormatException>(() => GraphOrder.Verify(graph));
    }

    [TestMethod]
    [DataRow("y", "", "y = Relu(missing)", "missing")]
    [DataRow("y", "", "y = Relu(a); a = Relu(x)", "'a'")]
    [DataRow("missing", "", "y = Relu(x)", "missing")]
    [DataRow("c", "c", "c = Relu(x)", "'c'")]
    [DataRow("x", "", "x = Relu(x)", "'x'")]
    [DataRow("x", "x", "y = Relu(x)", "'x'")]
    public void A_graph_that_breaks_a_rule_is_refused(string outputs, string constants, string nodes, string named)
    {
        var graph = SampleGraphs.Of(outputs, constants, nodes.Split("; "));
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => GraphOrder.Verify(graph)).Message, named);
    }

    [TestMethod]
    [DataRow("r = Relu(missing)", "missing")]
    [DataRow("q = Relu(x)", "'r'")]
    [DataRow("r = Relu(later)", "later")]
    [DataRow("r = Relu(s); s = Relu(x)", "'s'")]
    public void A_subgraph_that_breaks_a_rule_is_refused(string nodes, string named)
    {
        var body = SampleGraphs.Body("r", nodes.Split("; "));
        var graph = SampleGraphs.Of("y", "") with { Nodes = [SampleGraphs.If("y = If(x)", body, body), SampleGraphs.Node("later = Relu(x)")] };
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => GraphOrder.Verify(graph)).Message, named);
    }

    [TestMethod]
    public void A_subgraph_in_a_subgraph_sees_all_that_is_around_it()
    {
        var inner = SampleGraphs.Body("i", "i = Add(x, o)");
        var outer = SampleGraphs.Body("r") with { Nodes = [SampleGraphs.Node("o = Relu(x)"), SampleGraphs.If("r = If(x)", inner, inner)] };
        var graph = SampleGraphs.Of("y", "") with { Nodes = [SampleGraphs.If("y = If(x)", outer, outer)] };
        Assert.AreSame(graph, GraphOrder.Verify(graph));
    }

    [TestMethod]
    public void Omitted_inputs_and_outputs_define_and_read_nothing() =>
        GraphOrder.Verify(SampleGraphs.Of("y", "", "y,  = Split(x, )", "z, = Split(x, , y)"));
}
