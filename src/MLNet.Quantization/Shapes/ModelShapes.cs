using Microsoft.ML;
using Microsoft.ML.Data;
using MLNet.Quantization.Ops;

namespace MLNet.Quantization.Shapes;

/// <summary>What can be told of columns before there is data: the checks and results of <see cref="IEstimator{TTransformer}.GetOutputSchema"/>.</summary>
internal static class ModelShapes
{
    /// <exception cref="ArgumentException">A column that the model reads is missing or of another type.</exception>
    public static void CheckInputs(OnnxModel model, SchemaShape input)
    {
        for (int i = 0; i < model.Inputs.Count; i++)
        {
            string name = model.Inputs[i].ColumnName, tensor = model.Inputs[i].Name;
            if (!TryFind(input, name, out var column))
                throw new ArgumentException($"Column '{name}', which input '{tensor}' of the model reads, is missing. The data has: {string.Join(", ", input.Select(c => c.Name))}.");
            ColumnTypes.CheckSource(name, column.ItemType, column.IsKey, model.Graph.Inputs[i].Type, tensor);
        }
    }

    public static bool TryFind(SchemaShape schema, string name, out SchemaShape.Column column)
    {
        foreach (var c in schema)
        {
            if (c.Name != name) continue;
            column = c;
            return true;
        }
        column = default;
        return false;
    }

    /// <summary>The input's columns with the model's outputs added, or put in place of columns of the same name.</summary>
    public static SchemaShape WithOutputs(OnnxModel model, SchemaShape input)
    {
        var facts = GraphInference.Infer(model.Prepared.Graph);
        var added = model.Outputs.Select(o => ColumnOf(o.ColumnName, o.Name, facts[o.Name])).ToList();
        return new(input.Where(c => added.All(a => a.Name != c.Name)).Concat(added));
    }

    private static SchemaShape.Column ColumnOf(string name, string tensor, ValueFact fact)
    {
        // The first axis counts rows where it is open or 1.
        bool isScalar = fact.Shape is { } shape && (shape.Rank == 0 || shape.Rank == 1 && (!shape[0].IsKnown || shape[0].Value == 1));
        var kind = isScalar ? SchemaShape.Column.VectorKind.Scalar : SchemaShape.Column.VectorKind.Vector;
        return new(name, kind, ColumnTypes.ItemOf(fact.Type, tensor), false);
    }

    /// <summary>The same column with one more annotation, a vector of bytes.</summary>
    public static SchemaShape.Column Annotated(SchemaShape.Column column, string annotation)
    {
        var added = new SchemaShape.Column(annotation, SchemaShape.Column.VectorKind.Vector, NumberDataViewType.Byte, false);
        return new(column.Name, column.Kind, column.ItemType, column.IsKey, new SchemaShape(column.Annotations.Where(a => a.Name != annotation).Append(added)));
    }
}
