using System.Runtime.InteropServices;
using MLNet.Quantization.Graph;
using MLNet.Quantization.Kernels;

namespace MLNet.Quantization.Ops;

/// <summary>
/// Transposed convolution over one to three spatial axes: x [N, C, ...], w [C, F / group, ...], optional bias [F]; y [N, F, ...]. For each
/// tap of the kernel one product over the channels, a chain of fused multiply-adds; the taps are added in order, then the bias. float32.
/// </summary>
internal sealed partial class ConvTranspose : Operator
{
    public override string OpType => "ConvTranspose";

    public override ValueFact[] Infer(OpContext context)
    {
        TensorShape? x = context.Input(0, ElementType.Float).Shape, w = context.Input(1, ElementType.Float).Shape;
        var bias = context.Optional(2) is null ? null : context.Input(2, ElementType.Float).Shape;
        return [new(ElementType.Float, TransposedShapes.Infer(context, x, w, bias))];
    }

    public override Step Prepare(PrepareContext context) => new TransposeStep(context);

    /// <summary>The convolution whose input is this output: a window's origin is an element of x.</summary>
    private static ConvolutionShape ShapeOf(OpContext node, int[] x, int[] w, int[] y)
    {
        var window = Window.Read(node, w.Length - 2, w[2..]);
        return new(
            x[0], y[1], x[1], (int)node.Attribute("group", 1L), Extents.Of(y.AsSpan(2)), Extents.Of(window.Kernel), Extents.Of(window.Strides), Extents.Of(window.Dilations),
            TransposedShapes.Before(node, x, w), Extents.Of(x.AsSpan(2)));
    }

    /// <param name="Shape">Of the convolution whose input is this output: a window's origin is an element of x.</param>
    /// <param name="Weights">Each group's weights turned to [outputs · taps, channels].</param>
    /// <param name="TurnedBytes">Workspace of the turned weights, all groups.</param>
    /// <param name="Lanes">Threads that the workspace has room for.</param>
    /// <param name="LaneBytes">Workspace of one.</param>
    private sealed record State(ConvolutionShape Shape, StridedCopy Weights, long TurnedBytes, int Lanes, long LaneBytes)
    {
        public int Rows => Shape.GroupChannels * Shape.Window.Count;

        public int Pixels => Shape.Output.Count;
    }

    private sealed class TransposeStep(OpContext node) : Step
    {
        public override StepPlan Plan(ReadOnlySpan<TensorLayout?> inputs, ReadOnlySpan<TensorLayout?> outputs)
        {
            var shape = ShapeOf(node, inputs[0]!.Dims, inputs[1]!.Dims, outputs[0]!.Dims);
            int groups = shape.Groups, rows = checked(shape.GroupChannels * shape.Window.Count), pixels = shape.Output.Count, channels = shape.GroupOutputs;
            long turned = AlignedBuffer.Align(4L * groups * rows * channels), lane = AlignedBuffer.Align(4L * rows * pixels) + FloatGemm.WorkspaceBytes(channels, pixels);
            int lanes = Math.Max(1, Math.Min(WorkerPool.LaneCount, shape.Images * groups));
            return new(turned + (lanes * lane), new State(shape, StridedCopy.Permute([groups, channels, rows], [0, 2, 1], sizeof(float)), turned, lanes, lane));
        }

        public override unsafe void Run(in StepContext context)
        {
            var state = (State)context.State!;
            if (context.Outputs[0].Count == 0) return;
            var bias = context.Inputs.Length > 2 && context.Inputs[2].IsPresent ? context.Input<float>(2) : default;
            state.Weights.Run(context.Input<byte>(1), context.Workspace[..(context.Inputs[1].Count * sizeof(float))], context.MaxThreads);
            fixed (float* x = context.Input<float>(0), b = bias, y = context.Output<float>(0))
            fixed (byte* work = context.Workspace)
            {
                var body = new Body(state, x, (float*)work, b, y, work + state.TurnedBytes);
                WorkerPool.Run(ref body, state.Shape.Images * state.Shape.Groups, Math.Min(Parallelism.Resolve(context.MaxThreads), state.Lanes));
            }
        }
    }

    /// <summary>A chunk is one group of one image.</summary>
    private readonly unsafe struct Body(State state, float* x, float* weights, float* bias, float* y, byte* workspace) : IParallelBody
    {
        public void Run(int chunk, int lane)
        {
            var s = state.Shape;
            int group = chunk % s.Groups, pixels = state.Pixels, channels = s.GroupOutputs, rows = state.Rows, plane = s.Input.Count;
            var memory = new Span<byte>(workspace + (lane * state.LaneBytes), checked((int)state.LaneBytes));
            var product = MemoryMarshal.Cast<byte, float>(memory)[..(rows * pixels)];
            memory = memory[(int)AlignedBuffer.Align((long)rows * pixels * sizeof(float))..];
            FloatGemm.MultiplyUnpacked(
                new(weights + ((long)group * rows * channels), rows * channels), rows, new(x + ((long)chunk * channels * pixels), channels * pixels), channels, pixels, false, default, product, memory, 1);
            for (int f = 0; f < s.GroupChannels; f++)
            {
                var to = new Span<float>(y + (((long)chunk * s.GroupChannels) + f) * plane, plane);
                to.Clear();
                WindowColumns.Add(s, product.Slice(f * s.Window.Count * pixels, s.Window.Count * pixels), to);
                if (bias is not null) Elementwise.Combine<AddFunction>(to, [bias[(group * s.GroupChannels) + f]], to);
            }
        }
    }
}
