using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Tests.Graph;

[TestClass]
public class GraphPatchTests
{
    private static readonly ModelGraph Chain = SampleGraphs.Of("y", "c", "a = Relu(x)", "b = Add(a, c)", "y = Tanh(b)");

    [TestMethod]
    public void An_empty_patch_gives_the_graph_itself()
    {
        var patch = new GraphPatch(Chain);
        Assert.IsTrue(patch.IsEmpty);
        Assert.AreSame(Chain, patch.Apply());
    }

    [TestMethod]
    public void A_node_is_replaced_and_the_old_graph_stays()
    {
        var edited = new GraphPatch(Chain).Replace(Chain.Nodes[1], SampleGraphs.Node("t = Mul(a, a)"), SampleGraphs.Node("b = Sub(t, c)")).Apply();
        CollectionAssert.AreEqual(new[] { "a", "t", "b", "y" }, edited.Names());
        CollectionAssert.AreEqual(new[] { "a", "b", "y" }, Chain.Names());
    }

    [TestMethod]
    public void A_node_is_bypassed_by_renaming_its_uses()
    {
        var edited = new GraphPatch(Chain).Remove(Chain.Nodes[0]).RenameUses("a", "x").Apply();
        CollectionAssert.AreEqual(new[] { "x", "c" }, edited.Nodes[0].Inputs.ToArray());
    }

    [TestMethod]
    public void Uses_by_added_nodes_are_not_renamed()
    {
        var edited = new GraphPatch(Chain).Add(SampleGraphs.Node("q = Relu(a)")).RenameUses("a", "q").Apply();
        CollectionAssert.AreEqual(new[] { "a", "q", "b", "y" }, edited.Names());
        CollectionAssert.AreEqual(new[] { "a" }, edited.Nodes[1].Inputs.ToArray());
        CollectionAssert.AreEqual(new[] { "q", "c" }, edited.Nodes[2].Inputs.ToArray());
    }

    [TestMethod]
    public void Uses_in_subgraphs_are_renamed_except_where_the_name_is_the_subgraphs_own()
    {
        var then = SampleGraphs.Body("r", "r = Relu(a)");
        var own = SampleGraphs.Body("a", "a = Relu(x)");
        var graph = SampleGraphs.Of("y", "") with { Nodes = [SampleGraphs.Node("a = Relu(x)"), SampleGraphs.If("y = If(x)", then, own)] };
        var edited = new GraphPatch(graph).Replace(graph.Nodes[0], SampleGraphs.Node("t = Tanh(x)")).RenameUses("a", "t").Apply();
        CollectionAssert.AreEqual(new[] { "x", "t" }, edited.Nodes[1].AllReads().Distinct().Order().Reverse().ToArray());
        Assert.AreEqual("a", ((ModelGraph)edited.Nodes[1].Attributes.Find("else_branch")!).Outputs[0].Name);
    }

    [TestMethod]
    public void What_a_subgraph_gives_out_of_the_graph_around_it_is_renamed()
    {
        var body = SampleGraphs.Body("a");
        var graph = SampleGraphs.Of("y", "") with { Nodes = [SampleGraphs.Node("a = Relu(x)"), SampleGraphs.If("y = If(x)", body, body)] };
        var edited = new GraphPatch(graph).Replace(graph.Nodes[0], SampleGraphs.Node("t = Tanh(x)")).RenameUses("a", "t").Apply();
        CollectionAssert.AreEqual(new[] { "t" }, edited.Nodes[1].Captures().ToArray());
    }

    [TestMethod]
    public void Constants_are_added_replaced_removed_and_dropped_when_unused()
    {
        var edited = new GraphPatch(Chain).SetInitializer("c", Tensor.Scalar(2f)).SetInitializer("unused", Tensor.Scalar(3f)).Apply();
        Assert.AreEqual(2f, edited.Initializers["c"].Span<float>()[0]);
        Assert.AreEqual(1, edited.Initializers.Count);
        Assert.ThrowsExactly<ModelFormatException>(() => new GraphPatch(Chain).RemoveInitializer("c").Apply());
        Assert.AreEqual(0, new GraphPatch(Chain).RemoveInitializer("c").RenameUses("c", "x").Apply().Initializers.Count);
    }

    [TestMethod]
    public void A_constant_that_only_a_subgraph_reads_is_kept()
    {
        var body = SampleGraphs.Body("r", "r = Relu(c)");
        var graph = SampleGraphs.Of("y", "c") with { Nodes = [SampleGraphs.Node("t = Relu(x)"), SampleGraphs.If("y = If(x)", body, body)] };
        Assert.AreEqual(1, new GraphPatch(graph).Remove(graph.Nodes[0]).Apply().Initializers.Count);
    }

    [TestMethod]
    public void New_names_are_new()
    {
        var body = SampleGraphs.Body("inner", "inner = Relu(x)");
        var graph = SampleGraphs.Of("y", "") with { Nodes = [SampleGraphs.If("y = If(x)", body, body)] };
        var patch = new GraphPatch(graph);
        Assert.AreEqual("fresh", patch.NewName("fresh"));
        Assert.AreEqual("fresh_1", patch.NewName("fresh"));
        Assert.AreEqual("y_1", patch.NewName("y"));
        Assert.AreEqual("inner_1", patch.NewName("inner"), "a new name must not be hidden by one of a subgraph");
    }

    [TestMethod]
    public void An_edit_that_breaks_the_graph_is_refused()
    {
        Refused(new GraphPatch(Chain).Remove(Chain.Nodes[0]), "'a'");
        Refused(new GraphPatch(Chain).Remove(Chain.Nodes[2]), "'y'");
        Refused(new GraphPatch(Chain).Add(SampleGraphs.Node("a = Tanh(x)")), "'a'");
        Refused(new GraphPatch(Chain).Replace(Chain.Nodes[0], SampleGraphs.Node("a = Relu(y)")), "cycle");
        Refused(new GraphPatch(Chain).RenameUses("a", "nowhere"), "nowhere");
        Refused(new GraphPatch(Chain).SetInitializer("a", Tensor.Scalar(1f)), "'a'");
    }

    [TestMethod]
    public void A_node_that_is_not_of_the_graph_cannot_be_removed()
    {
        // Equal, but another object: a sign that the patch was made for another version of the graph.
        var twin = Chain.Nodes[0] with { };
        Assert.ThrowsExactly<ArgumentException>(() => new GraphPatch(Chain).Remove(twin));
    }

    private static void Refused(GraphPatch patch, string named) =>
        StringAssert.Contains(Assert.ThrowsExactly<ModelFormatException>(() => patch.Apply()).Message, named);
}
