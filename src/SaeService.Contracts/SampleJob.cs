namespace SaeService.Contracts;

/// <summary>The bundled model on the bundled data set, which every service has.</summary>
public static class SampleJob
{
    /// <summary>The sample is small and simple: a quarter of the usual training and a third of the probes' words show the same.</summary>
    public static JobRequest Request(string? mode = null) => new()
    {
        Model = new("sample"),
        Dataset = new("sample"),
        Mode = mode,
        Sae = new SaeSettings { TrainTokens = 500_000 },
        Information = new InformationSettings { MaxTrainWords = 7_000 },
    };
}
