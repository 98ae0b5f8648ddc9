using Microsoft.ML;
using Microsoft.ML.Runtime;
using MLNet.Quantization;
using MLNet.Quantization.Linear;

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

        /// <summary>
        /// Quantizes the linear models of a fitted pipeline: maximum entropy and linear multiclass, linear binary (without calibrator or with
        /// Platt's), linear and Poisson regression. Columns, annotations and what follows stay as they were. Sparse features are scored sparse.
        /// </summary>
        /// <param name="fittedPipeline">A fitted chain or prediction transformer, fresh or loaded. It is not changed.</param>
        /// <param name="calibrationData">What the pipeline is given. Dynamic quantization uses its schema only; static reads its rows once.</param>
        /// <param name="report">What became of each model.</param>
        /// <param name="options">Null: dynamic activations, one weight scale a class.</param>
        /// <returns>A pipeline of the same stages, the linear models replaced by <see cref="QuantizedModelTransformer"/>.</returns>
        /// <exception cref="NotSupportedException">The pipeline holds no model that can be quantized; the message lists its stages.</exception>
        /// <exception cref="CalibrationException">Static: the data is empty, or holds NaN or infinity.</exception>
        public ITransformer Quantize(ITransformer fittedPipeline, IDataView calibrationData, out QuantizationReport report, PipelineQuantizationOptions? options = null)
        {
            ArgumentNullException.ThrowIfNull(fittedPipeline);
            ArgumentNullException.ThrowIfNull(calibrationData);
            options ??= new();
            if (!Enum.IsDefined(options.Activations)) throw new ArgumentOutOfRangeException(nameof(options), options.Activations, "Activations is none of Static, Dynamic.");
            if (!Enum.IsDefined(options.Granularity)) throw new ArgumentOutOfRangeException(nameof(options), options.Granularity, "Granularity is none of PerTensor, PerChannel.");
            if (options.NumberOfThreads is < 1) throw new ArgumentOutOfRangeException(nameof(options), options.NumberOfThreads, "NumberOfThreads must be at least 1.");
            var quantizer = new ChainQuantizer(_env, options);
            var quantized = quantizer.Quantize(fittedPipeline, calibrationData);
            report = quantizer.Report;
            return quantized;
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
