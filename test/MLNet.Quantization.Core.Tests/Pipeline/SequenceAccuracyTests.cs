using System.Buffers.Binary;
using MLNet.Quantization.Execution;
using MLNet.Quantization.Onnx;
using MLNet.Quantization.Passes;
using MLNet.Quantization.Pipeline;

namespace MLNet.Quantization.Tests.Pipeline;

/// <summary>Recurrent models on real data, decoded step by step, in dynamic INT8 with nothing set: what it costs.</summary>
[TestClass]
public sealed class SequenceAccuracyTests
{
    public required TestContext TestContext { get; set; }

    /// <summary>Spelling to sounds: whole words and single sounds, in percent.</summary>
    [TestMethod]
    public void SpellingToSoundsKeepsItsAccuracy()
    {
        var prepared = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model("g2p_en_lstm")));
        var quantized = QuantizationRecipe.QuantizeDynamic(prepared);
        Assert.AreEqual(4, quantized.Report.Layers.Count(l => l is { Operator: "LSTM", IsInt8: true }), quantized.Report.ToString());
        var words = WordList.Read();
        var real = words.Score(Program.Compile(prepared.Graph));
        Assert.AreEqual(67.70, real.Words, 0.005, "as measured elsewhere");
        Assert.AreEqual(8.31, real.Errors, 0.005, "as measured elsewhere");
        var found = words.Score(quantized.Compile());
        TestContext.WriteLine(FormattableString.Invariant($"g2p_en_lstm, dynamic: words {real.Words:F2} -> {found.Words:F2} %, errors of sounds {real.Errors:F2} -> {found.Errors:F2} %, {words.Compare(real, found)}"));
        TestContext.WriteLine(quantized.Report.ToString());
        Assert.AreEqual(67.70, found.Words, 0.5);
        Assert.AreEqual(8.31, found.Errors, 0.2);
    }

    /// <summary>Speech or not, in frames of 32 ms, the state carried from one to the next.</summary>
    [TestMethod]
    public void VoiceActivityIsDecidedAsInFloat()
    {
        var source = OnnxReader.ReadFile(SharedData.Model("silero_vad_16k"));
        var fixedShape = FixInputShape.Apply(FixInputShape.Apply(source, "input", [1, Voice.Context + Voice.Frame]), "state", [2, 1, 128]);
        var prepared = PreparedModel.Prepare(fixedShape);
        Assert.IsFalse(prepared.Graph.Nodes.Any(n => n.OpType == "If"), "conditions follow from shapes");
        var quantized = QuantizationRecipe.QuantizeDynamic(prepared);
        Assert.IsTrue(quantized.Report.Layers.All(l => l.IsInt8), quantized.Report.ToString());
        short[] samples = Voice.Samples();
        float[] asItStands = Voice.Score(Program.Compile(PreparedModel.Prepare(source).Graph), samples), real = Voice.Score(Program.Compile(prepared.Graph), samples);
        CollectionAssert.AreEqual(asItStands, real, "branches put in place");
        float[] found = Voice.Score(quantized.Compile(), samples);
        Assert.HasCount(2202, real);
        Assert.AreEqual(1556, real.Count(p => p >= 0.5f), "as measured elsewhere");
        int same = real.Zip(found).Count(p => p.First >= 0.5f == p.Second >= 0.5f);
        TestContext.WriteLine(FormattableString.Invariant($"silero_vad_16k, dynamic: {same} of 2202 frames decided as in float ({100.0 * same / 2202:F2} %), farthest apart {real.Zip(found, (a, b) => Math.Abs(a - b)).Max():F3}"));
        TestContext.WriteLine(quantized.Report.ToString());
        Assert.IsGreaterThanOrEqualTo(0.995 * 2202, same);
    }

    /// <summary>A vision transformer, static and dynamic.</summary>
    [TestMethod]
    public void PicturesByAttentionKeepTheirAccuracy()
    {
        const string Name = "vit_ibp_3_3_8_cifar10";
        var rows = SharedRows.NormalizedCifar(Name, "test_batch.bin.gz");
        float[] real = rows.Score(Program.Compile(rows.Model.Graph));
        Assert.AreEqual(61.57, rows.Accuracy(real), 0.005, "as measured elsewhere");
        var dynamic8 = QuantizationRecipe.QuantizeDynamic(rows.Model);
        var static8 = QuantizationRecipe.QuantizeStatic(rows.Model, SharedRows.NormalizedCifar(Name, "calibration_batch.bin.gz").Calibrate(..500));
        TestContext.WriteLine(static8.Report.ToString());
        foreach (var (kind, model) in new[] { ("dynamic", dynamic8), ("static", static8) })
        {
            float[] scores = rows.Score(model.Compile());
            TestContext.WriteLine($"{Name}, {kind}: {rows.Compare(real, scores)}");
            Assert.AreEqual(61.57, rows.Accuracy(scores), 0.3, kind);
        }
    }

    /// <summary>An untrained transformer: what INT8 makes of its scores is held against what ONNX Runtime makes of the same file.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void AttentionIsAtLeastAsCloseAsOnnxRuntimeOnOurFile(bool products)
    {
        var prepared = PreparedModel.Prepare(OnnxReader.ReadFile(SharedData.Model("structure_only_cct_opset20")));
        var input = prepared.Graph.Inputs[0];
        int[] dims = SharedRows.ShapeOf(input, 1);
        int size = dims.Aggregate(1, (a, b) => a * b);
        var session = new CalibrationSession(prepared, CalibrationOptions.Default);
        for (int row = 0; row < 32; row++)
        {
            using var run = session.Program.Rent([dims]);
            Noise(1000 + row, size).CopyTo(run.Input<float>(0));
            session.Observe(run, row);
        }
        var static8 = QuantizationRecipe.QuantizeStatic(prepared, session.Finish(), new() { ActivationProducts = products });
        TestContext.WriteLine(static8.Report.ToString());
        Assert.AreEqual(products ? 5 : 0, static8.Report.Layers.Count(l => l is { IsInt8: true, Reason: ActivationProduct.Note }));
        var real = Program.Compile(prepared.Graph);
        var codes = static8.Compile();
        using var elsewhere = new OnnxRuntimeOracle(static8.Graph, true);
        using var elsewhereFloat = new OnnxRuntimeOracle(prepared.Graph, true);
        double signal = 0, noise = 0, noiseElsewhere = 0;
        for (int row = 0; row < 64; row++)
        {
            float[] x = Noise(row, size), expected = One(real, x), found = One(codes, x), other = elsewhere.Score((input.Name, x, dims))[0], floatElsewhere = elsewhereFloat.Score((input.Name, x, dims))[0];
            for (int i = 0; i < expected.Length; i++)
            {
                Assert.AreEqual(floatElsewhere[i], expected[i], 1e-4 * Math.Max(1, floatElsewhere.Max(MathF.Abs)));
                signal += (double)expected[i] * expected[i];
                noise += Math.Pow((double)expected[i] - found[i], 2);
                noiseElsewhere += Math.Pow((double)expected[i] - other[i], 2);
            }
        }
        double ours = 10 * Math.Log10(signal / noise), theirs = 10 * Math.Log10(signal / noiseElsewhere);
        TestContext.WriteLine(FormattableString.Invariant($"structure_only_cct_opset20, static, products of activations {(products ? "in INT8" : "float")}: SQNR {ours:F2} dB, ONNX Runtime on the same file {theirs:F2} dB"));
        // The two round in another order: a tenth of a decibel is chance.
        Assert.IsGreaterThan(theirs - 0.1, ours);

        float[] One(Program program, float[] x)
        {
            using var run = program.Rent([dims]);
            x.CopyTo(run.Input<float>(0));
            run.Execute();
            return run.Output<float>(0).ToArray();
        }

        static float[] Noise(int seed, int size)
        {
            var random = new Random(seed);
            return [.. Enumerable.Range(0, size).Select(_ => (random.NextSingle() * 2) - 1)];
        }
    }

    /// <summary>Words with their sounds, several ways where there are.</summary>
    private sealed class WordList(List<(string Word, string[][] Sounds)> words, string[] letters, string[] sounds)
    {
        private const int Start = 2, End = 2, MostSounds = 48;

        public static WordList Read()
        {
            string[] symbols = File.ReadAllLines(SharedData.Path("models", "g2p_en_lstm", "symbols.txt"));
            var lists = symbols.ToDictionary(l => l.Split('\t')[0], l => l.Split('\t')[1..]);
            var words = File.ReadLines(SharedData.Path("datasets", "g2p_en_words", "words.tsv")).Skip(1).Select(l => l.Split('\t'))
                .Select(f => (f[0], f[1].Split('|').Select(s => s.Split(' ', StringSplitOptions.RemoveEmptyEntries)).ToArray()))
                // Lengths follow each other, so that a plan of the program serves many words.
                .OrderBy(w => w.Item1.Length).ToList();
            return new(words, lists["graphemes"], lists["phonemes"]);
        }

        public (double Words, double Errors, bool[] Right) Score(Program program)
        {
            int wrong = 0, all = 0;
            var right = new bool[words.Count];
            for (int i = 0; i < words.Count; i++)
            {
                string[] found = Spoken(program, words[i].Word);
                var nearest = words[i].Sounds.MinBy(s => Distance(s, found))!;
                wrong += Distance(nearest, found);
                all += nearest.Length;
                right[i] = words[i].Sounds.Any(s => s.SequenceEqual(found));
            }
            return (100.0 * right.Count(r => r) / words.Count, 100.0 * wrong / all, right);
        }

        public string Compare((double Words, double Errors, bool[] Right) before, (double Words, double Errors, bool[] Right) after) =>
            FormattableString.Invariant($"{before.Right.Zip(after.Right).Count(p => p.First && !p.Second)} words lost, {before.Right.Zip(after.Right).Count(p => !p.First && p.Second)} won");

        private string[] Spoken(Program program, string word)
        {
            int[] source = [.. word.Select(c => Array.IndexOf(letters, c.ToString()))];
            var spoken = new List<int> { Start };
            for (int t = 0; t < source.Length && spoken.Count < MostSounds;)
            {
                using var run = program.Rent([[1, source.Length], [1, spoken.Count], [1]]);
                source.CopyTo(run.Input<int>(0));
                spoken.CopyTo(run.Input<int>(1));
                run.Input<int>(2)[0] = t;
                run.Execute(maxThreads: 1);
                int next = run.Output<int>(0)[0];
                if (next == End) t++;
                else spoken.Add(next);
            }
            return [.. spoken.Skip(1).Select(s => sounds[s])];
        }

        /// <summary>Levenshtein's.</summary>
        private static int Distance(string[] a, string[] b)
        {
            int[] row = [.. Enumerable.Range(0, b.Length + 1)];
            for (int i = 1; i <= a.Length; i++)
            {
                int diagonal = row[0];
                row[0] = i;
                for (int j = 1; j <= b.Length; j++)
                    (row[j], diagonal) = (Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)), row[j]);
            }
            return row[^1];
        }
    }

    private static class Voice
    {
        public const int Frame = 512, Context = 64;

        private const int Rate = 16000, FirstChunk = 12;

        public static short[] Samples()
        {
            byte[] file = File.ReadAllBytes(SharedData.Path("datasets", "speech_vad_example", "vad_example.wav"));
            Assert.AreEqual(Rate, BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(24)));
            int at = FirstChunk;
            while (!file.AsSpan(at, 4).SequenceEqual("data"u8)) at += 8 + BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(at + 4));
            int count = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(at + 4)) / 2;
            return [.. Enumerable.Range(0, count).Select(i => BinaryPrimitives.ReadInt16LittleEndian(file.AsSpan(at + 8 + (2 * i))))];
        }

        public static float[] Score(Program program, short[] samples)
        {
            var scores = new List<float>();
            float[] state = new float[2 * 128], window = new float[Context + Frame];
            using var run = program.Rent([[1, window.Length], [2, 1, 128], []]);
            for (int at = 0; at + Frame <= samples.Length; at += Frame)
            {
                window.AsSpan(Frame).CopyTo(window);
                for (int i = 0; i < Frame; i++) window[Context + i] = samples[at + i] / 32768f;
                window.CopyTo(run.Input<float>(0));
                state.CopyTo(run.Input<float>(1));
                run.Input<long>(2)[0] = Rate;
                run.Execute(maxThreads: 1);
                scores.Add(run.Output<float>(0)[0]);
                run.Output<float>(1).CopyTo(state);
            }
            return [.. scores];
        }
    }
}
