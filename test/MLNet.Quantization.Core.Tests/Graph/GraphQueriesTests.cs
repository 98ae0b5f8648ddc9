using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Graph;

[TestClass]
public class GraphQueriesTests
{
    [TestMethod]
    public void A_subgraph_captures_what_it_reads_or_gives_out_without_defining_it()
    {
        var then = SampleGraphs.Body("r", "t = Add(x, a)", "r = Relu(t)");
        var otherwise = SampleGraphs.Body("b");
        CollectionAssert.AreEquivalent(new[] { "x", "a", "b" }, SampleGraphs.If("y = If(x)", then, otherwise).Captures().ToArray());
    }

    [TestMethod]
    public void Captures_of_inner_subgraphs_pass_through_except_for_what_the_outer_one_defines()
    {
        var inner = SampleGraphs.Body("i", "i = Add(far, near)");
        var outer = SampleGraphs.Body("r") with { Nodes = [SampleGraphs.Node("near = Relu(x)"), SampleGraphs.If("r = If(near)", inner, inner)] };
        CollectionAssert.AreEquivalent(new[] { "x", "far" }, SampleGraphs.If("y = If(p)", outer, outer).Captures().ToArray());
    }

    [TestMethod]
    public void Inputs_and_constants_of_a_subgraph_are_its_own()
    {
        var body = SampleGraphs.Of("r", "k", "r = Add(x, k)");
        Assert.AreEqual(0, body.FreeNames().Count());
    }

    [TestMethod]
    public void Consumers_count_every_read()
    {
        var graph = SampleGraphs.Of("y", "", "a = Relu(x)", "y = Add(a, a)");
        Assert.AreEqual(2, graph.Consumers()["a"].Count());
        Assert.AreEqual(0, graph.Consumers()["y"].Count());
        Assert.AreSame(graph.Nodes[0], graph.Producers()["a"]);
        Assert.IsFalse(graph.Producers().ContainsKey("x"));
        Assert.IsTrue(graph.IsOutput("y"));
        Assert.IsFalse(graph.IsOutput("a"));
    }

    [TestMethod]
    public void A_constant_that_is_a_graph_output_is_used() =>
        Assert.AreEqual(1, SampleGraphs.Of("y c", "c d", "y = Relu(x)").WithoutUnusedInitializers().Initializers.Count);
}
