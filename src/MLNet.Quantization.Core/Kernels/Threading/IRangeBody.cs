namespace MLNet.Quantization.Kernels;

/// <summary>Work on a range of elements or rows, any part of which can be done by itself.</summary>
internal interface IRangeBody
{
    /// <param name="from">First element.</param>
    /// <param name="to">After the last.</param>
    void Run(int from, int to);
}
