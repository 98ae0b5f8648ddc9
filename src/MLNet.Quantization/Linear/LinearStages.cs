using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Calibrators;
using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace MLNet.Quantization.Linear;

/// <summary>Recognizes the linear models among ML.NET's prediction transformers.</summary>
internal static class LinearStages
{
    public const string Supported =
        "maximum entropy and linear multiclass models, linear binary models without calibrator or with Platt's, linear and Poisson regression";

    /// <summary>Null where the stage is no linear model.</summary>
    /// <exception cref="NotSupportedException">It is a linear model in a form that is not supported.</exception>
    public static LinearStage? TryRead(ISingleFeaturePredictionTransformer<object> stage) => stage.Model switch
    {
        MaximumEntropyModelParameters m => Multiclass(m, isSoftmax: true),
        LinearMulticlassModelParameters m => Multiclass(m, isSoftmax: false),
        LinearBinaryModelParameters m => Binary(stage, m, null),
        PoissonRegressionModelParameters m => Regression(m, isExponential: true),
        LinearRegressionModelParameters m => Regression(m, isExponential: false),
        var model when CalibratedParts(model) is ({ } inner, var calibrator) => Binary(stage, inner, calibrator),
        _ => null,
    };

    private static LinearStage Multiclass(LinearMulticlassModelParametersBase model, bool isSoftmax)
    {
        VBuffer<float>[]? weights = null;
        model.GetWeights(ref weights, out _);
        return LinearStage.Multiclass(weights!, model.GetBiases(), isSoftmax);
    }

    private static LinearStage Binary(ISingleFeaturePredictionTransformer<object> stage, LinearBinaryModelParameters model, object? calibrator)
    {
        (float, float)? platt = calibrator switch
        {
            null => null,
            PlattCalibrator p => ((float)p.Slope, (float)p.Offset),
            _ => throw new NotSupportedException($"The stage's calibrator is a {calibrator.GetType().Name}; supported: {nameof(PlattCalibrator)}."),
        };
        return LinearStage.Binary(Dense(model.Weights), model.Bias, platt, Member<string>(stage, stage.GetType(), "ThresholdColumn"), Member<float>(stage, stage.GetType(), "Threshold"));
    }

    private static LinearStage Regression(RegressionModelParameters model, bool isExponential) => LinearStage.Regression(Dense(model.Weights), model.Bias, isExponential);

    private static VBuffer<float> Dense(IReadOnlyList<float> weights) => new(weights.Count, [.. weights]);

    /// <summary>The linear model and the calibrator inside a calibrated model, whose type names them only by generic arguments.</summary>
    private static (LinearBinaryModelParameters? Model, object? Calibrator) CalibratedParts(object model)
    {
        for (var type = model.GetType(); type is not null; type = type.BaseType)
            if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(CalibratedModelParametersBase<,>))
                return (Member<object>(model, type, "SubModel") as LinearBinaryModelParameters, Member<object>(model, type, "Calibrator"));
        return default;
    }

    /// <summary>A member declared by a generic class whose arguments are not known here. The scorer's threshold is not public.</summary>
    private static T Member<T>(object instance, Type type, string name)
    {
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.DeclaredOnly;
        object? value = type.GetProperty(name, Declared)?.GetValue(instance) ?? type.GetField(name, Declared)?.GetValue(instance);
        return value is T typed ? typed : throw new NotSupportedException($"{type.Name} of this version of ML.NET has no '{name}' of type {typeof(T).Name}.");
    }
}
