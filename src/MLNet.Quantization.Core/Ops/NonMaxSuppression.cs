using MLNet.Quantization.Graph;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Of the boxes of each image and class, those that overlap no better one: boxes [N, count, 4], scores [N, classes, count], float32; optional
/// scalars: how many at most (Int64, default 0), the overlap from which a box falls (intersection over union, default 0), the score that a box
/// must exceed. Out come Int64 [chosen, 3], rows of image, class and box, best first within a class; of equal scores the first box leads.
/// A score of NaN is never chosen.
/// </summary>
internal sealed class NonMaxSuppression : Operator
{
    private const int MostInput = 2, OverlapInput = 3, ScoreInput = 4;

    public override string OpType => "NonMaxSuppression";

    public override ValueFact[] Infer(OpContext context)
    {
        TensorShape? boxes = context.Input(0, ElementType.Float).Shape, scores = context.Input(1, ElementType.Float).Shape;
        if (boxes is not null && (boxes.Rank != 3 || boxes[2].IsKnown && boxes[2].Value != 4)) throw context.Malformed($"boxes have shape {boxes}, expected [images, boxes, 4]");
        if (scores is not null && scores.Rank != 3) throw context.Malformed($"scores have shape {scores}, expected [images, classes, boxes]");
        if (boxes is not null && scores is not null && (Differ(boxes[0], scores[0]) || Differ(boxes[1], scores[2]))) throw context.Malformed($"boxes {boxes} and scores {scores} do not go together");
        CheckScalar(context, MostInput, ElementType.Int64);
        CheckScalar(context, OverlapInput, ElementType.Float);
        CheckScalar(context, ScoreInput, ElementType.Float);
        long format = context.Attribute("center_point_box", 0L);
        if (format is not (0 or 1)) throw context.Malformed($"center_point_box is {format}, expected 0 or 1");
        return [new(ElementType.Int64, new(Dimension.Unknown, 3))];
    }

    public override Step Prepare(PrepareContext context) => new SuppressionStep(context);

    private static bool Differ(Dimension a, Dimension b) => a.IsKnown && b.IsKnown && a.Value != b.Value;

    private static void CheckScalar(OpContext context, int input, ElementType type)
    {
        if (context.Optional(input) is null) return;
        if (context.Input(input, type).Shape is { IsKnown: true, ElementCount: not 1 } shape) throw context.Malformed($"input {input} ('{context.Node.Inputs[input]}') has shape {shape}, expected one number");
    }

    private sealed class SuppressionStep(OpContext node) : Step
    {
        private readonly bool _isCentered = node.Attribute("center_point_box", 0L) == 1;

        public override bool CanSizeOutputs => true;

        public override void Run(in StepContext context) => RunOpen(context)[0].Bytes.Span.CopyTo(context.Output<byte>(0));

        public override Tensor[] RunOpen(in StepContext context)
        {
            long most = Scalar(context, MostInput, 0L);
            float overlap = Scalar(context, OverlapInput, 0f);
            float? least = IsGiven(context, ScoreInput) ? Scalar(context, ScoreInput, 0f) : null;
            if (!(overlap is >= 0 and <= 1)) throw node.Malformed(FormattableString.Invariant($"its overlap threshold is {overlap}, expected 0 to 1"));
            var found = new List<long>();
            int[] dims = context.Inputs[1].Dims;
            int images = dims[0], classes = dims[1], count = dims[2];
            if (most > 0 && count > 0)
            {
                var boxes = new BoxSet(count);
                for (int i = 0; i < images; i++)
                {
                    boxes.Read(context.Input<float>(0).Slice(i * count * 4, count * 4), _isCentered);
                    for (int c = 0; c < classes; c++)
                        foreach (int box in boxes.Choose(context.Input<float>(1).Slice(((i * classes) + c) * count, count), most, overlap, least)) found.AddRange([i, c, box]);
                }
            }
            return [Tensor.Create([.. found], found.Count / 3, 3)];
        }

        private static bool IsGiven(in StepContext context, int input) => input < context.Inputs.Length && context.Inputs[input].IsPresent;

        private static T Scalar<T>(in StepContext context, int input, T absent) where T : unmanaged => IsGiven(context, input) ? context.Input<T>(input)[0] : absent;
    }
}
