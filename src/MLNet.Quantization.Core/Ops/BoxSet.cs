namespace MLNet.Quantization.Ops;

/// <summary>The boxes of one image, and which of them a class keeps.</summary>
/// <param name="count">Of boxes.</param>
internal sealed class BoxSet(int count)
{
    private readonly Box[] _boxes = new Box[count];
    private readonly float[] _keys = new float[count];
    private readonly int[] _order = new int[count];
    private readonly List<int> _chosen = [];

    /// <param name="numbers">Four a box: two opposite corners, or its center (x, y), width and height.</param>
    /// <param name="isCentered">They are the latter.</param>
    public void Read(ReadOnlySpan<float> numbers, bool isCentered)
    {
        for (int i = 0; i < _boxes.Length; i++)
        {
            var n = numbers.Slice(4 * i, 4);
            _boxes[i] = isCentered
                ? Box.Between(n[0] - (n[2] / 2), n[1] - (n[3] / 2), n[0] + (n[2] / 2), n[1] + (n[3] / 2))
                : Box.Between(n[0], n[1], n[2], n[3]);
        }
    }

    /// <param name="scores">One a box.</param>
    /// <param name="most">How many are kept at most.</param>
    /// <param name="overlap">What a box may share with a better one that is kept: intersection over union.</param>
    /// <param name="least">What a score must exceed; null: any is good enough.</param>
    /// <returns>Their numbers, best first; valid until the next call.</returns>
    public IReadOnlyList<int> Choose(ReadOnlySpan<float> scores, long most, float overlap, float? least)
    {
        int candidates = 0;
        for (int i = 0; i < scores.Length; i++)
            if (least is { } bound ? scores[i] > bound : !float.IsNaN(scores[i])) (_keys[candidates], _order[candidates++]) = (-scores[i], i);
        _keys.AsSpan(0, candidates).Sort(_order.AsSpan(0, candidates));
        PutEqualInOrder(candidates);
        _chosen.Clear();
        for (int c = 0; c < candidates && _chosen.Count < most; c++)
            if (IsFree(_boxes[_order[c]], overlap)) _chosen.Add(_order[c]);
        return _chosen;
    }

    /// <summary>Sorting leaves equal keys in any order.</summary>
    private void PutEqualInOrder(int candidates)
    {
        for (int start = 0, end; start < candidates; start = end)
        {
            for (end = start + 1; end < candidates && _keys[end] == _keys[start]; end++) { }
            if (end - start > 1) _order.AsSpan(start, end - start).Sort();
        }
    }

    private bool IsFree(in Box box, float overlap)
    {
        foreach (int other in _chosen)
            if (box.Overlap(_boxes[other]) > overlap) return false;
        return true;
    }

    private readonly record struct Box(float Top, float Left, float Bottom, float Right, float Area)
    {
        public static Box Between(float y1, float x1, float y2, float x2)
        {
            float top = Math.Min(y1, y2), left = Math.Min(x1, x2), bottom = Math.Max(y1, y2), right = Math.Max(x1, x2);
            return new(top, left, bottom, right, (bottom - top) * (right - left));
        }

        /// <summary>Intersection over union, 0 where there is none.</summary>
        public float Overlap(in Box other)
        {
            float height = Math.Min(Bottom, other.Bottom) - Math.Max(Top, other.Top), width = Math.Min(Right, other.Right) - Math.Max(Left, other.Left);
            if (!(height > 0) || !(width > 0) || !(Area > 0) || !(other.Area > 0)) return 0;
            float shared = height * width;
            return shared / (Area + other.Area - shared);
        }
    }
}
