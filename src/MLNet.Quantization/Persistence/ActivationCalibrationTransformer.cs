using Microsoft.ML;
using Microsoft.ML.Runtime;
using MLNet.Quantization;
using MLNet.Quantization.Persistence;
using MLNet.Quantization.Pipeline;

[assembly: LoadableClass(typeof(ActivationCalibrationTransformer), null, typeof(SignatureLoadModel), "Activation calibration", ActivationCalibrationTransformer.LoaderSignature)]

namespace MLNet.Quantization;

// How ML.NET saves and loads the transformer: the column's name and the bytes of the calibration.
public sealed partial class ActivationCalibrationTransformer
{
    internal const string LoaderSignature = "MLNetActivationRanges";

    private const string TableEntry = "Calibration";

    private static VersionInfo Version() => ZipEntries.Version("QNTCALIB", LoaderSignature);

    /// <summary>Found and called by ML.NET when a zip is loaded.</summary>
    internal ActivationCalibrationTransformer(IHostEnvironment env, ModelLoadContext ctx)
    {
        ArgumentNullException.ThrowIfNull(env);
        ZipEntries.Check(ctx, Version(), "calibration");
        _column = ctx.LoadNonEmptyString();
        _table = ZipEntries.Read(ctx, TableEntry);
        CalibrationTable.FromBytes(_table);
    }

    private void Save(ModelSaveContext ctx)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version());
        ctx.SaveNonEmptyString(_column);
        ZipEntries.Write(ctx, TableEntry, _table);
    }
}
