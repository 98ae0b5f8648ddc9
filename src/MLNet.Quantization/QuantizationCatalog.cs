using Microsoft.ML.Runtime;
using MLNet.Quantization;

namespace MLNet.Quantization
{
    /// <summary>INT8 quantization for ML.NET pipelines. Made by <c>mlContext.Quantization()</c>.</summary>
    public sealed partial class QuantizationCatalog
    {
        private readonly IHostEnvironment _env;

        internal QuantizationCatalog(IHostEnvironment env) => _env = env;

        /// <summary>Watches a model's activations over the data that the pipeline is fitted on, and chooses their ranges.</summary>
        /// <param name="model">The float model.</param>
        /// <param name="options">Null: min-max, asymmetric.</param>
        /// <exception cref="ArgumentOutOfRangeException">An option lies outside its range.</exception>
        public CalibrateActivationsEstimator CalibrateActivations(OnnxModel model, CalibrateActivationsEstimator.Options? options = null)
        {
            ArgumentNullException.ThrowIfNull(model);
            return new(_env, model, options ?? new());
        }

        /// <summary>Quantizes a model's weights and scores with INT8 kernels.</summary>
        /// <param name="model">The float model; for static quantization the same that was calibrated.</param>
        /// <param name="options">Null: dynamic activations, one weight scale a channel.</param>
        /// <exception cref="ArgumentOutOfRangeException">An option lies outside its range.</exception>
        public QuantizeWeightsEstimator QuantizeWeights(OnnxModel model, QuantizeWeightsEstimator.Options? options = null)
        {
            ArgumentNullException.ThrowIfNull(model);
            return new(_env, model, options ?? new());
        }
    }
}

namespace Microsoft.ML
{
    /// <summary>Where quantization joins <see cref="MLContext"/>.</summary>
    public static class QuantizationExtensions
    {
        /// <summary>The estimators of INT8 quantization.</summary>
        /// <param name="mlContext">The context that the pipeline is made with.</param>
        public static QuantizationCatalog Quantization(this MLContext mlContext)
        {
            ArgumentNullException.ThrowIfNull(mlContext);
            return new(mlContext);
        }
    }
}
