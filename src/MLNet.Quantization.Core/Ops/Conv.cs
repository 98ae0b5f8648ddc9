using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Convolution over one to three spatial axes: x [N, C, ...], w [F, C / group, ...], optional bias [F]; y [N, F, ...]. Each element of y
/// is one chain of fused multiply-adds, channels before taps, then the bias. float32.
/// </summary>
internal sealed class Conv : Operator
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
    private sealed record State(ConvolutionShape Shape, int Block, int Lanes, long LaneBytes)
    {
        public int K => Shape.GroupChannels * Shape.Window.Count;

        public int Blocks => (Shape.Output.Count + Block - 1) / Math.Max(1, Block);
    }

    private sealed class ConvStep(OpContext node) : Step
    {
        /// <summary>Windows of a block, in floats, that stay in the second-level cache.</summary>
        private const int BlockFloats = 64 << 10;

        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var shape = ConvolutionShapes.Resolve(node, inputs[0]!.Dims, inputs[1]!.Dims);
            int k = shape.GroupChannels * shape.Window.Count, block = Math.Clamp(BlockFloats / Math.Max(1, k) / 64 * 64, 64, Math.Max(64, shape.Output.Count));
            long bytes = Align(4L * k * block) + Align(4L * shape.GroupOutputs * block) + FloatGemm.WorkspaceBytes(k, block);
            var state = new State(shape, block, 1, Align(bytes));
            int lanes = Math.Max(1, Math.Min(WorkerPool.LaneCount, shape.Images * state.Blocks * shape.Groups));
            return new(lanes * state.LaneBytes, state with { Lanes = lanes });
        }

        public override unsafe void Run(in StepContext context)
        {
            var state = (State)context.State!;
            var bias = context.Inputs.Length > 2 && context.Inputs[2].IsPresent ? context.Input<float>(2) : default;
            fixed (float* x = context.Input<float>(0), w = context.Input<float>(1), b = bias, y = context.Output<float>(0))
            fixed (byte* work = context.Workspace)
            {
                var body = new Body(state, x, w, b, y, work);
                WorkerPool.Run(ref body, state.Shape.Images * state.Shape.Groups * state.Blocks, Math.Min(Parallelism.Resolve(context.MaxThreads), state.Lanes));
            }
        }

        private static long Align(long bytes) => (bytes + 63) / 64 * 64;
    }

    /// <summary>A chunk is a block of output pixels of one group of one image.</summary>
    private readonly unsafe struct Body(State state, float* x, float* w, float* bias, float* y, byte* workspace) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            var s = state.Shape;
            int block = chunk % state.Blocks, group = chunk / state.Blocks % s.Groups, image = chunk / state.Blocks / s.Groups;
            int first = block * state.Block, count = Math.Min(state.Block, s.Output.Count - first), k = state.K, rows = s.GroupOutputs;
            var pixels = new ReadOnlySpan<float>(x + ((((long)image * s.Channels) + (group * s.GroupChannels)) * s.Input.Count), s.GroupChannels * s.Input.Count);
            var memory = new Span<byte>(workspace + (lane * state.LaneBytes), (int)state.LaneBytes);
            var columns = MemoryMarshal.Cast<byte, float>(memory)[..(k * count)];
            memory = memory[((columns.Length * 4) + 63 & -64)..];
            var product = MemoryMarshal.Cast<byte, float>(memory)[..(rows * count)];
            memory = memory[((product.Length * 4) + 63 & -64)..];
            WindowColumns.Fill(s, pixels, first, count, columns);
            FloatGemm.MultiplyUnpacked(new(w + ((long)group * rows * k), rows * k), rows, columns, k, count, false, default, product, memory, 1);
            for (int f = 0; f < rows; f++)
            {
                int output = (group * rows) + f;
                var to = new Span<float>(y + ((((long)image * s.Outputs) + output) * s.Output.Count) + first, count);
                if (bias is null) product.Slice(f * count, count).CopyTo(to);
                else Elementwise.Combine<AddFunction>(product.Slice(f * count, count), [bias[output]], to);
            }
        }
    }
}
