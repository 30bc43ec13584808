namespace SaeService.Interpretation.Information;

/// <summary>Anything that predicts a distribution over classes from standardised vectors: linear or with a hidden layer.</summary>
internal interface IProbe
{
    int Classes { get; }

    /// <summary>ln q(class | x) of standardised vectors.</summary>
    /// <param name="x">[rows rounded up to whole tiles, stride of the design]</param>
    /// <param name="into">[rows, Classes] nats.</param>
    void LogProbabilities(ReadOnlySpan<float> x, int rows, Span<double> into);
}
