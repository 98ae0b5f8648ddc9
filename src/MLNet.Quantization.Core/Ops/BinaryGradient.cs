using System.Numerics;
using System.Runtime.CompilerServices;

namespace MLNet.Quantization.Ops;

/// <summary>z = f(a, b), and what of the gradient g at z goes to either side.</summary>
internal interface IBinaryGradient<T> where T : unmanaged, IFloatingPointIeee754<T>
{
    static abstract Vector<T> Value(Vector<T> a, Vector<T> b);

    static abstract Vector<T> ToA(Vector<T> g, Vector<T> a, Vector<T> b);

    static abstract Vector<T> ToB(Vector<T> g, Vector<T> a, Vector<T> b);
}

/// <summary>Functions of two tensors with broadcasting: a side that stands still gets the sum of what its copies would.</summary>
internal static class BinaryGradient
{
    public static void Forward<T, TFunction>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IBinaryGradient<T>
    {
        var plan = PlanOf(node);
        for (int run = 0; run < plan.Runs; run++)
        {
            var (a, b, z) = Operands(node, plan, run, node.Output().Data);
            int i = 0;
            for (; i <= z.Length - Vector<T>.Count; i += Vector<T>.Count) TFunction.Value(At(a, i, plan.AMoves), At(b, i, plan.BMoves)).CopyTo(z[i..]);
            for (; i < z.Length; i++) z[i] = TFunction.Value(new(a[plan.AMoves ? i : 0]), new(b[plan.BMoves ? i : 0]))[0];
        }
    }

    public static void Backward<T, TFunction>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IBinaryGradient<T>
    {
        var plan = PlanOf(node);
        Values<T>? toA = node.InputGradient(0), toB = node.InputGradient(1);
        for (int run = 0; run < plan.Runs; run++)
        {
            var (a, b, g) = Operands(node, plan, run, node.OutputGradient().Data);
            var (fromA, fromB) = plan.StartOf(run);
            if (toA is not null) Add<T, ToA<T, TFunction>>(g, a, b, plan, toA.Data.AsSpan(fromA, a.Length), plan.AMoves);
            if (toB is not null) Add<T, ToB<T, TFunction>>(g, a, b, plan, toB.Data.AsSpan(fromB, b.Length), plan.BMoves);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<T, TSide>(ReadOnlySpan<T> g, ReadOnlySpan<T> a, ReadOnlySpan<T> b, BroadcastPlan plan, Span<T> to, bool moves)
        where T : unmanaged, IFloatingPointIeee754<T> where TSide : struct, ISide<T>
    {
        var sums = Vector<T>.Zero;
        int i = 0;
        for (; i <= g.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            var part = TSide.Of(new(g[i..]), At(a, i, plan.AMoves), At(b, i, plan.BMoves));
            if (moves) (new Vector<T>(to[i..]) + part).CopyTo(to[i..]);
            else sums += part;
        }
        if (!moves) to[0] += Vector.Sum(sums);
        for (; i < g.Length; i++) to[moves ? i : 0] += TSide.Of(new(g[i]), new(a[plan.AMoves ? i : 0]), new(b[plan.BMoves ? i : 0]))[0];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<T> At<T>(ReadOnlySpan<T> values, int i, bool moves) where T : unmanaged, IFloatingPointIeee754<T> => moves ? new(values[i..]) : new(values[0]);

    private static BroadcastPlan PlanOf<T>(TapeNode<T> node) where T : unmanaged, IFloatingPointIeee754<T> =>
        (BroadcastPlan)(node.State ??= new BroadcastPlan(node.Input(0).Dims, node.Input(1).Dims, node.Output().Dims));

    private static Run<T> Operands<T>(TapeNode<T> node, BroadcastPlan plan, int run, T[] z) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var (a, b) = plan.StartOf(run);
        return new(
            node.Input(0).Data.AsSpan(a, plan.AMoves ? plan.RunLength : 1), node.Input(1).Data.AsSpan(b, plan.BMoves ? plan.RunLength : 1), z.AsSpan(run * plan.RunLength, plan.RunLength));
    }

    private readonly ref struct Run<T>(ReadOnlySpan<T> a, ReadOnlySpan<T> b, Span<T> z)
    {
        private readonly ReadOnlySpan<T> _a = a, _b = b;
        private readonly Span<T> _z = z;

        public void Deconstruct(out ReadOnlySpan<T> a, out ReadOnlySpan<T> b, out Span<T> z)
        {
            a = _a;
            b = _b;
            z = _z;
        }
    }

    private interface ISide<T> where T : unmanaged, IFloatingPointIeee754<T>
    {
        static abstract Vector<T> Of(Vector<T> g, Vector<T> a, Vector<T> b);
    }

    private readonly struct ToA<T, TFunction> : ISide<T> where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IBinaryGradient<T>
    {
        public static Vector<T> Of(Vector<T> g, Vector<T> a, Vector<T> b) => TFunction.ToA(g, a, b);
    }

    private readonly struct ToB<T, TFunction> : ISide<T> where T : unmanaged, IFloatingPointIeee754<T> where TFunction : struct, IBinaryGradient<T>
    {
        public static Vector<T> Of(Vector<T> g, Vector<T> a, Vector<T> b) => TFunction.ToB(g, a, b);
    }
}
