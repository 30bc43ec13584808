using SaeService.Checkpoints;
using SaeService.Transformers.Parts;

namespace SaeService.Transformers.Families;

/// <summary>RoBERTa (Liu et al. 2019), and so CamemBERT and XLM-RoBERTa: BERT whose positions are counted over tokens that are no padding.</summary>
internal static class Roberta
{
    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds)
    {
        var names = new Bert.Names
        {
            Prefix = "roberta.",
            HeadDense = "lm_head.dense",
            HeadNorm = "lm_head.layer_norm",
            HeadMatrix = "lm_head.decoder",
            HeadBias = "lm_head.bias",
            SeqRelationship = null,
        };
        // The head's activation is not in the config.
        return Bert.Plan(Bert.Read(json, names, 2) with { PositionsFrom = ModelDescription.PadToken(json), HeadActivation = Activation.Of("gelu")! }, holds);
    }
}
