// LoadApp <model.zip> <rows.idv> <column> <scores>: loads a model as any application does, scores the rows of a binary data view, and writes
// the bytes of the scores: first all rows of the view, then the first three one by one. Names no type of the plug-in and registers nothing.
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

var mlContext = new MLContext();
ITransformer model = mlContext.Model.Load(args[0], out _);
IDataView rows = mlContext.Data.LoadFromBinary(args[1]);
using var file = new BinaryWriter(File.Create(args[3]));
Write(model.Transform(rows));
for (int i = 0; i < 3; i++) Write(model.Transform(mlContext.Data.TakeRows(i == 0 ? rows : mlContext.Data.SkipRows(rows, i), 1)));

void Write(IDataView scored)
{
    foreach (float[] scores in scored.GetColumn<float[]>(args[2])) file.Write(MemoryMarshal.AsBytes(scores.AsSpan()));
}
