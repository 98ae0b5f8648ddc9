using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Linear;

/// <summary>Rebuilds a fitted pipeline with its linear models replaced by quantized ones.</summary>
internal sealed class ChainQuantizer(IHostEnvironment env, PipelineQuantizationOptions options)
{
    private readonly List<QuantizedLayer> _layers = [];
    private readonly List<string> _stages = [];

    public QuantizationReport Report => new(_layers);

    /// <param name="fitted">A stage or a chain.</param>
    /// <param name="data">What the fitted pipeline would be given.</param>
    /// <exception cref="NotSupportedException">No stage can be quantized.</exception>
    public ITransformer Quantize(ITransformer fitted, IDataView data)
    {
        var quantized = Rewrite(fitted, ref data);
        if (_layers.Count > 0) return quantized;
        throw new NotSupportedException($"The pipeline holds no model that can be quantized. Its stages are: {string.Join(", ", _stages)}. Supported: {LinearStages.Supported}.");
    }

    /// <param name="stage">A stage or a chain.</param>
    /// <param name="data">Before the stage; after it when the call returns.</param>
    private ITransformer Rewrite(ITransformer stage, ref IDataView data)
    {
        if (stage is IEnumerable<ITransformer> chain) return RewriteChain(stage, [.. chain], ref data);
        _stages.Add(NameOf(stage.GetType()));
        var before = data;
        data = stage.Transform(data);
        return stage is ISingleFeaturePredictionTransformer<object> prediction && LinearStages.TryRead(prediction) is { } linear
            ? Quantized(linear, prediction.FeatureColumnName, before, data.Schema)
            : stage;
    }

    private TransformerChain<ITransformer> RewriteChain(ITransformer chain, ITransformer[] stages, ref IDataView data)
    {
        var rewritten = new ITransformer[stages.Length];
        for (int i = 0; i < stages.Length; i++) rewritten[i] = Rewrite(stages[i], ref data);
        return new(rewritten, ScopesOf(chain, stages));
    }

    private QuantizedModelTransformer Quantized(LinearStage linear, string featureColumn, IDataView before, DataViewSchema after)
    {
        var model = new OnnxModel(linear.Graph).Bind(inputs: [(LinearStage.Features, featureColumn)]);
        var weights = new WeightOptions { Granularity = options.Granularity };
        var quantized = options.Activations == ActivationQuantization.Dynamic
            ? QuantizationRecipe.QuantizeDynamic(model.Prepared, weights)
            : QuantizationRecipe.QuantizeStatic(model.Prepared, new CalibrateActivationsEstimator(env, model, options.Calibration).Fit(before).ReadTable(), weights);
        _layers.AddRange(quantized.Report.Layers);
        return new(quantized, [featureColumn], linear.Columns, options.NumberOfThreads ?? 0, AddedColumns(linear, after));
    }

    /// <summary>The scorer's own columns, for their annotations: slot names, key values, kind of score.</summary>
    private static DataViewSchema AddedColumns(LinearStage linear, DataViewSchema after)
    {
        var builder = new DataViewSchema.Builder();
        foreach (var column in linear.Columns)
            if (after.GetColumnOrNull(column.Name) is { } own) builder.AddColumn(own.Name, own.Type, own.Annotations);
        return builder.ToSchema();
    }

    /// <summary>Which stages belong to training, testing and scoring: a chain tells it only through the parts that it gives for each.</summary>
    private static TransformerScope[] ScopesOf(ITransformer chain, ITransformer[] stages)
    {
        var scopes = new TransformerScope[stages.Length];
        var modelFor = chain.GetType().GetMethod("GetModelFor", [typeof(TransformerScope)]) ?? throw new NotSupportedException($"{chain.GetType().Name} is no chain of ML.NET.");
        foreach (var scope in (TransformerScope[])[TransformerScope.Training, TransformerScope.Testing, TransformerScope.Scoring])
        {
            var part = ((IEnumerable<ITransformer>)modelFor.Invoke(chain, [scope])!).ToHashSet<object>(ReferenceEqualityComparer.Instance);
            for (int i = 0; i < stages.Length; i++)
                if (part.Contains(stages[i])) scopes[i] |= scope;
        }
        return scopes;
    }

    private static string NameOf(Type type) =>
        type.IsGenericType ? $"{type.Name.Split('`')[0]}<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>" : type.Name;
}
