namespace SaeService.Checkpoints;

/// <summary>Safetensors that lie beside an autoencoder's weights and are none: statistics that SAELens keeps, and what results are compared with here.</summary>
public static class SideFiles
{
    /// <summary>Inputs, and the values of a reference, beside a model or an autoencoder.</summary>
    public const string Expected = "expected.safetensors";

    public static bool IsOne(string path) => Path.GetFileName(path) is Expected or "sparsity.safetensors" or "activations_store_state.safetensors";
}
