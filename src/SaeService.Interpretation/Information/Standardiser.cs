namespace SaeService.Interpretation.Information;

/// <summary>
/// Per-dimension z-scores fitted on train words. The columns of a one-hot (the label of another task, where information beyond it is asked for) are
/// treated like any other. A constant dimension becomes 0.
/// </summary>
internal sealed class Standardiser
{
    private readonly double[] _mean;
    private readonly double[] _scale;

    /// <param name="x">[rows, stride]</param>
    /// <param name="dimension">Columns in use.</param>
    /// <exception cref="InvalidDataException">A column holds a number that is not finite.</exception>
    public Standardiser(float[] x, int rows, int stride, int dimension)
    {
        _mean = new double[dimension];
        _scale = new double[dimension];
        for (var row = 0; row < rows; row++)
            for (var j = 0; j < dimension; j++)
                _mean[j] += x[row * stride + j];
        for (var j = 0; j < dimension; j++)
            _mean[j] /= rows;
        for (var row = 0; row < rows; row++)
        {
            for (var j = 0; j < dimension; j++)
            {
                var centred = x[row * stride + j] - _mean[j];
                _scale[j] += centred * centred;
            }
        }
        for (var j = 0; j < dimension; j++)
        {
            var deviation = Math.Sqrt(_scale[j] / rows);
            if (!double.IsFinite(deviation))
                throw new InvalidDataException($"dimension {j} of the vectors holds a number that is not finite");
            // Of a constant, rounding of the mean is all that is left: float32 carries 6e-8 of a number.
            _scale[j] = deviation <= 1e-7 * Math.Abs(_mean[j]) ? 0 : 1 / deviation;
        }
    }

    /// <param name="x">[rows, stride], in place.</param>
    public void Apply(Span<float> x, int rows, int stride)
    {
        for (var row = 0; row < rows; row++)
        {
            var v = x.Slice(row * stride, _mean.Length);
            for (var j = 0; j < v.Length; j++)
                v[j] = (float)((v[j] - _mean[j]) * _scale[j]);
        }
    }
}
