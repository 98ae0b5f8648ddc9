namespace MLNet.Quantization.Ops;

/// <summary>
/// An operator of the ONNX standard, or one of this engine's own. Stateless: one instance serves every node of its type.
/// </summary>
internal abstract class Operator
{
    /// <summary>The ONNX spelling.</summary>
    public abstract string OpType { get; }

    /// <summary>Empty for the ONNX standard's own operators.</summary>
    public virtual string Domain => "";

    /// <summary>
    /// Types and shapes of the outputs from what is known of the inputs: with symbolic shapes when a model is loaded, with concrete
    /// ones when a run is planned. Also the place where a node's attributes, types and shapes are checked.
    /// </summary>
    /// <exception cref="ModelFormatException">Attributes, types or shapes contradict the standard or each other.</exception>
    /// <exception cref="UnsupportedOperatorException">The node is valid, but a form that the engine does not run.</exception>
    public abstract ValueFact[] Infer(OpContext context);

    /// <summary>Makes the step that computes the node: constants packed, kernel chosen. Called once a model, after <see cref="Infer"/>.</summary>
    public abstract Step Prepare(PrepareContext context);
}
