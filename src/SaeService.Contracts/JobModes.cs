namespace SaeService.Contracts;

/// <summary>What <see cref="JobRequest.Mode"/> decides.</summary>
public static class JobModes
{
    /// <summary>Random dictionaries that each layer's features are compared with.</summary>
    public static int RandomRepeats(string mode) => mode == "quick" ? 1 : 3;

    /// <summary>Whether the model is run again with each layer's autoencoder in place.</summary>
    public static bool Splices(string mode) => mode != "quick";

    /// <summary>About so many predictions are measured there.</summary>
    public const int SplicedPredictions = 8192;
}
