using SaeService.Checkpoints;
using SaeService.Transformers.Parts;

namespace SaeService.Transformers.Families;

/// <summary>DistilBERT (Sanh et al. 2019): BERT without token types and pooler. Its positions are stored also where they began as sinusoids.</summary>
internal static class DistilBert
{
    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var width = json.Size(null, "dim", "hidden_size");
        var activation = Activation.Read(json, "activation", "gelu");
        return Bert.Plan(new Bert.Config
        {
            Names = new()
            {
                Prefix = "distilbert.",
                Block = "transformer.layer.",
                Query = "attention.q_lin",
                Key = "attention.k_lin",
                Value = "attention.v_lin",
                Out = "attention.out_lin",
                Norm1 = "sa_layer_norm",
                Up = "ffn.lin1",
                Down = "ffn.lin2",
                Norm2 = "output_layer_norm",
                HeadDense = "vocab_transform",
                HeadNorm = "vocab_layer_norm",
                HeadMatrix = "vocab_projector",
                HeadBias = "vocab_projector.bias",
                Pooler = null,
                SeqRelationship = null,
            },
            Layers = json.LayerCount("n_layers", "num_hidden_layers"),
            Width = width,
            Heads = Bert.DividingHeads(json, width, "n_heads", "num_attention_heads"),
            MlpWidth = json.Size(3072, "hidden_dim"),
            Vocabulary = json.Size(null, "vocab_size"),
            Positions = ModelDescription.Positions(json),
            TokenTypes = 0,
            SinusoidalPositions = json.Flag("sinusoidal_pos_embds", false),
            Eps = 1e-12,
            Tied = json.Flag("tie_word_embeddings", true),
            Activation = activation,
            HeadActivation = activation,
        }, holds);
    }
}
