using Microsoft.ML;
using Microsoft.ML.Data;
using static MLNet.Quantization.Tests.Plugin.TestModels;

namespace MLNet.Quantization.Tests.Plugin;

/// <summary>The data view of a transformer behaves as ML.NET's own do.</summary>
[TestClass]
public sealed class CursorTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private QuantizedModelTransformer Model() => _mlContext.Quantization().QuantizeWeights(Mlp()).Fit(_mlContext.View(Rows(1)));

    [TestMethod]
    public void PositionsIdsAndPassedColumnsBelongToTheirRow()
    {
        var rows = Rows(700);
        var data = _mlContext.View(rows);
        var scored = Model().Transform(data);
        float[][] expected = [.. scored.GetColumn<float[]>("Score")];
        using var source = data.GetRowCursor(data.Schema);
        using var cursor = scored.GetRowCursor([scored.Schema["Name"], scored.Schema["Score"]]);
        var name = cursor.GetGetter<ReadOnlyMemory<char>>(scored.Schema["Name"]);
        var score = cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"]);
        ValueGetter<DataViewRowId> id = cursor.GetIdGetter(), sourceId = source.GetIdGetter();
        ReadOnlyMemory<char> text = default;
        VBuffer<float> values = default;
        DataViewRowId rowId = default, expectedId = default;
        Assert.AreEqual(-1, cursor.Position);
        for (int i = 0; i < rows.Count; i++)
        {
            Assert.IsTrue(cursor.MoveNext() && source.MoveNext());
            name(ref text);
            score(ref values);
            id(ref rowId);
            sourceId(ref expectedId);
            Assert.AreEqual(i, cursor.Position);
            Assert.AreEqual(rows[i].Name, text.ToString());
            Assert.IsTrue(expected[i].AsSpan().SequenceEqual(values.GetValues()));
            Assert.AreEqual(expectedId, rowId);
            Assert.AreEqual(source.Batch, cursor.Batch);
        }
        Assert.IsFalse(cursor.MoveNext());
        Assert.AreEqual(-1, cursor.Position);
        Assert.IsFalse(cursor.MoveNext());
        Assert.ThrowsExactly<InvalidOperationException>(() => score(ref values));
    }

    [TestMethod]
    public void OnlyColumnsThatWereAskedForHaveGetters()
    {
        var scored = Model().Transform(_mlContext.View(Rows(3)));
        using var cursor = scored.GetRowCursor([scored.Schema["Score"]]);
        Assert.IsTrue(cursor.IsColumnActive(scored.Schema["Score"]));
        Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<float>(scored.Schema["Label"]));
        Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<float>(scored.Schema["Score"]));
    }

    [TestMethod]
    public void APreviewReadsFewRowsAndATransformNone()
    {
        int pulled = 0;
        IEnumerable<Row> Counting()
        {
            foreach (var row in Rows(1000))
            {
                pulled++;
                yield return row;
            }
        }
        var scored = Model().Transform(_mlContext.View(Counting()));
        Assert.AreEqual(0, pulled);
        Assert.AreEqual(3, _mlContext.Data.TakeRows(scored, 3).GetColumn<float[]>("Score").Count());
        Assert.IsLessThanOrEqualTo(9, pulled);
    }

    [TestMethod]
    public void AFaultComesAfterTheRowsBeforeIt()
    {
        IEnumerable<Row> Faulty()
        {
            foreach (var row in Rows(20)) yield return row;
            throw new FormatException("row 20 is broken");
        }
        int count = 0;
        var e = Assert.Throws<Exception>(() =>
        {
            foreach (float[] _ in Model().Transform(_mlContext.View(Faulty())).GetColumn<float[]>("Score")) count++;
        });
        Assert.AreEqual("row 20 is broken", e.GetBaseException().Message);
        Assert.AreEqual(20, count);
    }

    [TestMethod]
    public void NothingIsScoredWhereNoScoreIsAskedFor()
    {
        // A row of the wrong length is found only when it is scored.
        var schema = SchemaDefinition.Create(typeof(Loose));
        var data = _mlContext.Data.LoadFromEnumerable([new Loose { Features = new float[3], Name = "short" }], schema);
        var scored = Model().Transform(data);
        Assert.AreEqual("short", scored.GetColumn<string>("Name").Single());
        var e = Assert.Throws<Exception>(() => scored.GetColumn<float[]>("Score").ToList());
        StringAssert.Contains(e.GetBaseException().Message, "Features");
        StringAssert.Contains(e.GetBaseException().Message, "12");
    }

    private sealed class Loose
    {
        public float[] Features { get; set; } = [];

        public string Name { get; set; } = "";
    }

    [TestMethod]
    public void ParallelCursorsShuffledAndCachedRowsKeepTheirScores()
    {
        var rows = Rows(2000);
        var data = _mlContext.Data.Cache(_mlContext.View(rows));
        var scored = Model().Transform(data);
        var expected = rows.Select(r => r.Name).Zip(scored.GetColumn<float[]>("Score")).ToDictionary(p => p.First, p => p.Second);
        int seen = 0;
        Parallel.ForEach(scored.GetRowCursorSet(scored.Schema, 4), cursor =>
        {
            using (cursor)
            {
                var name = cursor.GetGetter<ReadOnlyMemory<char>>(scored.Schema["Name"]);
                var score = cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"]);
                ReadOnlyMemory<char> text = default;
                VBuffer<float> values = default;
                while (cursor.MoveNext())
                {
                    name(ref text);
                    score(ref values);
                    Assert.IsTrue(expected[text.ToString()].AsSpan().SequenceEqual(values.GetValues()));
                    Interlocked.Increment(ref seen);
                }
            }
        });
        Assert.AreEqual(2000, seen);
        var shuffled = _mlContext.Data.CreateEnumerable<Scored>(_mlContext.Data.ShuffleRows(scored, seed: 2), reuseRowObject: false).ToList();
        Assert.AreNotEqual("row0", shuffled[0].Name);
        Assert.IsTrue(shuffled.All(s => expected[s.Name].AsSpan().SequenceEqual(s.Score)));
        var skipped = _mlContext.Data.CreateEnumerable<Scored>(_mlContext.Data.SkipRows(_mlContext.Data.Cache(scored), 1990), reuseRowObject: false).ToList();
        Assert.HasCount(10, skipped);
        Assert.IsTrue(skipped.All(s => expected[s.Name].AsSpan().SequenceEqual(s.Score)));
    }

    [TestMethod]
    public void NoRowsGiveNoScores() => Assert.AreEqual(0, Model().Transform(_mlContext.View([])).GetColumn<float[]>("Score").Count());
}
