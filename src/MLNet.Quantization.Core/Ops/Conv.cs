using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Convolution over one to three spatial axes: x [N, C, ...], w [F, C / group, ...], optional bias [F]; y [N, F, ...]. Each element of y
/// is one chain of fused multiply-adds, channels before taps, then the bias. float32.
/// </summary>
internal sealed partial class Conv : Operator
{
    public override string OpType => "Conv";

    public override ValueFact[] Infer(OpContext context)
    {
        context.Input(0, ElementType.Float);
        context.Input(1, ElementType.Float);
        if (context.Optional(2) is not null) context.Input(2, ElementType.Float);
        return [new(ElementType.Float, ConvolutionShapes.Infer(context, context.Input(0).Shape, context.Input(1).Shape, context.Optional(2)?.Shape))];
    }

    public override Step Prepare(PrepareContext context) => new ConvStep(context);

    /// <param name="Shape">The extents.</param>
    /// <param name="Block">Output pixels that are computed at once.</param>
    /// <param name="Lanes">Threads that the workspace has room for.</param>
    /// <param name="LaneBytes">Workspace of one.</param>
    /// <param name="Rows">Of a group of few outputs: where the values of each weight start.</param>
    /// <param name="IsPlane">True where those lie in a channel with its padding around it, false where they are copied.</param>
    private sealed record State(ConvolutionShape Shape, int Block, int Lanes, long LaneBytes, int[] Rows, bool IsPlane)
    {
        public int K => Shape.GroupChannels * Shape.Window.Count;

        public int Blocks => (Shape.Output.Count + Block - 1) / Math.Max(1, Block);

        /// <summary>True where a window is one element and lies where its output does.</summary>
        public bool IsPointwise => Shape.Window == Extents.One && Shape.Strides == Extents.One && Shape.IsWithinInput;
    }

    /// <summary>Groups of so few outputs read each window too seldom for packing to pay.</summary>
    private const int FewOutputs = 2;

    private sealed class ConvStep(OpContext node) : Step
    {
        /// <summary>Windows of a block, in floats, that stay in the second-level cache.</summary>
        private const int BlockFloats = 64 << 10;

        /// <summary>And in the first.</summary>
        private const int FewBlockFloats = 8 << 10;

        /// <summary>A channel with its padding that is kept at hand, and its results.</summary>
        private const int MostPlaneFloats = 64 << 10;

        /// <summary>Multiply-adds for which waking another thread pays.</summary>
        private const double SharedWork = 1e5;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var shape = ConvolutionShapes.Resolve(node, inputs[0]!.Dims, inputs[1]!.Dims);
            int k = shape.GroupChannels * shape.Window.Count;
            bool isFew = shape.GroupOutputs <= FewOutputs, isPlane = isFew && shape.GroupChannels == 1 && shape.Strides == Extents.One && shape.Padded.Count <= MostPlaneFloats;
            int block = isPlane ? Math.Max(1, shape.Output.Count) : Math.Clamp((isFew ? FewBlockFloats : BlockFloats) / Math.Max(1, k) / 64 * 64, 64, Math.Max(64, shape.Output.Count));
            long floats = isPlane ? 2L * shape.Padded.Count : FloatGemm.PackedCount(FloatTier.Best, k, block) + block;
            int[] rows = isPlane ? PlaceOfTaps(shape) : isFew ? [.. Enumerable.Range(0, k).Select(l => l * block)] : [];
            var state = new State(shape, block, 1, AlignedBuffer.Align(sizeof(float) * floats), rows, isPlane);
            int lanes = Math.Max(1, Math.Min(WorkerPool.LaneCount, shape.Images * state.Blocks * shape.Groups));
            return new(lanes * state.LaneBytes, state with { Lanes = lanes });
        }

        public override unsafe void Run(in StepContext context)
        {
            var state = (State)context.State!;
            var s = state.Shape;
            var bias = context.Inputs.Length > 2 && context.Inputs[2].IsPresent ? context.Input<float>(2) : default;
            fixed (float* x = context.Input<float>(0), w = context.Input<float>(1), b = bias, y = context.Output<float>(0))
            fixed (byte* work = context.Workspace)
            {
                var body = new Body(state, x, w, b, y, work);
                int threads = s.Images * s.Work < SharedWork ? 1 : Math.Min(Parallelism.Resolve(context.MaxThreads), state.Lanes);
                WorkerPool.Run(ref body, s.Images * s.Groups * state.Blocks, threads);
            }
        }

        private static int[] PlaceOfTaps(ConvolutionShape s)
        {
            var places = new int[s.Window.Count];
            for (int tap = 0; tap < places.Length; tap++)
            {
                int d = tap / (s.Window.Height * s.Window.Width), h = tap / s.Window.Width % s.Window.Height, w = tap % s.Window.Width;
                places[tap] = (((d * s.Dilations.Depth * s.Padded.Height) + (h * s.Dilations.Height)) * s.Padded.Width) + (w * s.Dilations.Width);
            }
            return places;
        }
    }

    /// <summary>A chunk is a block of output pixels of one group of one image.</summary>
    private readonly unsafe struct Body(State state, float* x, float* w, float* bias, float* y, byte* workspace) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            var s = state.Shape;
            int block = chunk % state.Blocks, group = chunk / state.Blocks % s.Groups, image = chunk / state.Blocks / s.Groups;
            int first = block * state.Block, count = Math.Min(state.Block, s.Output.Count - first), k = state.K, rows = s.GroupOutputs, plane = s.Output.Count;
            float* from = x + ((((long)image * s.Channels) + (group * s.GroupChannels)) * s.Input.Count);
            float* to = y + ((((long)image * s.Outputs) + (group * rows)) * plane) + first;
            float* weights = w + ((long)group * rows * k), columns = (float*)(workspace + (lane * state.LaneBytes));
            if (state.IsPlane)
            {
                WindowColumns.Pad(s, new(from, s.Input.Count), new(columns, s.Padded.Count));
                for (int f = 0; f < rows; f++) Plane(weights + ((long)f * k), columns, to + ((long)f * plane));
            }
            else if (rows <= FewOutputs)
            {
                for (int l = 0; l < k; l++) WindowColumns.FillRow(s, new(from, s.GroupChannels * s.Input.Count), l, first, new(columns + state.Rows[l], count));
                for (int f = 0; f < rows; f++) FloatPanels.MultiplyRow(weights + ((long)f * k), columns, state.Rows, count, to + ((long)f * plane), FloatTier.Best);
            }
            else
            {
                Pack(from, first, count, columns);
                FloatPanels.Multiply(weights, k, rows, k, columns, count, to, plane, FloatTier.Best);
            }
            for (int f = 0; f < rows && bias is not null; f++)
            {
                var line = new Span<float>(to + ((long)f * plane), count);
                Elementwise.Combine<AddFunction>(line, [bias[(group * rows) + f]], line);
            }
        }

        /// <summary>One output of a channel: over the whole plane as if its lines were one, and then without what lies between them.</summary>
        private void Plane(float* weights, float* padded, float* to)
        {
            var s = state.Shape;
            var (extents, output) = (s.Padded, s.Output);
            float* results = padded + extents.Count;
            FloatPanels.MultiplyRow(weights, padded, state.Rows, ((((output.Depth - 1) * extents.Height) + output.Height - 1) * extents.Width) + output.Width, results, FloatTier.Best);
            for (int line = 0; line < output.Depth * output.Height; line++)
            {
                float* at = results + ((((line / output.Height) * extents.Height) + (line % output.Height)) * extents.Width);
                new ReadOnlySpan<float>(at, output.Width).CopyTo(new(to + ((long)line * output.Width), output.Width));
            }
        }

        private void Pack(float* from, int first, int count, float* columns)
        {
            var s = state.Shape;
            var pixels = new ReadOnlySpan<float>(from, s.GroupChannels * s.Input.Count);
            float* row = columns + FloatGemm.PackedCount(FloatTier.Best, state.K, state.Block);
            for (int l = 0; l < state.K; l++)
            {
                if (!state.IsPointwise) WindowColumns.FillRow(s, pixels, l, first, new(row, count));
                FloatPanels.PutRow(state.IsPointwise ? from + ((long)l * s.Input.Count) + first : row, l, state.K, count, columns, FloatTier.Best);
            }
        }
    }
}
