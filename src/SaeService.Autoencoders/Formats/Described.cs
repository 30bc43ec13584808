namespace SaeService.Autoencoders.Formats;

/// <summary>An autoencoder in words, for those whose format can not hold it.</summary>
internal static class Described
{
    public static string Of(SparseAutoencoder sae) => (sae.Architecture switch
    {
        SaeArchitecture.TopK => "a top-k",
        SaeArchitecture.Standard => "a ReLU",
        _ => "a JumpReLU",
    }) + (sae.SampleNorm switch
    {
        SampleNorm.None => "",
        SampleNorm.LayerNorm => " of layer-normalised activations",
        _ => " of activations of constant norm",
    });
}
