using SaeService.Checkpoints;
using SaeService.Transformers.Parts;
using static TorchSharp.torch;

namespace SaeService.Transformers.Families;

/// <summary>
/// BERT (Devlin et al. 2019): an encoder with norms after the sums, learned positions and token types. RoBERTa and DistilBERT are the same graph under other
/// names; each family's file gives them. Names and switches are those of transformers' BertForPreTraining, each head of which a checkpoint may lack.
/// </summary>
internal sealed class Bert : LanguageModel
{
    /// <summary>What a family calls the layers: of the model, of a block, and of the language-model head.</summary>
    internal sealed record Names
    {
        public required string Prefix { get; init; }

        public string Embeddings { get; init; } = "embeddings.";

        public string Block { get; init; } = "encoder.layer.";

        public string Query { get; init; } = "attention.self.query";

        public string Key { get; init; } = "attention.self.key";

        public string Value { get; init; } = "attention.self.value";

        public string Out { get; init; } = "attention.output.dense";

        public string Norm1 { get; init; } = "attention.output.LayerNorm";

        public string Up { get; init; } = "intermediate.dense";

        public string Down { get; init; } = "output.dense";

        public string Norm2 { get; init; } = "output.LayerNorm";

        public string HeadDense { get; init; } = "cls.predictions.transform.dense";

        public string HeadNorm { get; init; } = "cls.predictions.transform.LayerNorm";

        /// <summary>The last matrix; its bias is <see cref="HeadBias"/>.</summary>
        public string HeadMatrix { get; init; } = "cls.predictions.decoder";

        public string HeadBias { get; init; } = "cls.predictions.bias";

        /// <summary>Under the prefix; null where the family has none.</summary>
        public string? Pooler { get; init; } = "pooler.dense";

        public string? SeqRelationship { get; init; } = "cls.seq_relationship";
    }

    internal sealed record Config
    {
        public required Names Names { get; init; }

        public required int Layers { get; init; }

        public required int Width { get; init; }

        public required int Heads { get; init; }

        public required int MlpWidth { get; init; }

        public required int Vocabulary { get; init; }

        public required int Positions { get; init; }

        /// <summary>0 where the family has none.</summary>
        public required int TokenTypes { get; init; }

        public required double Eps { get; init; }

        public required bool Tied { get; init; }

        public required Func<Tensor, Tensor> Activation { get; init; }

        /// <summary>Of the language-model head.</summary>
        public required Func<Tensor, Tensor> HeadActivation { get; init; }

        /// <summary>RoBERTa counts positions from here over all tokens that are not this one.</summary>
        public int? PositionsFrom { get; init; }

        /// <summary>Positions start as sinusoids (DistilBERT, where its config says so), not at random.</summary>
        public bool SinusoidalPositions { get; init; }

        public bool HasHead { get; init; }

        public bool HasPooler { get; init; }

        public bool HasSeqRelationship { get; init; }
    }

    private readonly Config _config;
    private readonly Names _names;

    private Bert(Config config, ModelDescription description, ParameterSet parameters) : base(description, parameters) => (_config, _names) = (config, config.Names);

    public override Tensor Unembedding => _config.Tied || !_config.HasHead ? Set[$"{_names.Prefix}{_names.Embeddings}word_embeddings.weight"] : Set[$"{_names.HeadMatrix}.weight"];

    public override Tensor? FinalNormGain => null;

    public override bool HasHead => _config.HasHead;

    public override int TokenTypes => _config.TokenTypes;

    private protected override Tensor Embed(Pass pass)
    {
        var w = Set.At(_names.Prefix + _names.Embeddings);
        var positions = pass.Positions; // [T]
        if (_config.PositionsFrom is { } from)
        {
            var real = pass.Ids.ne(Scalars.Of((long)from)).to(ScalarType.Int64);
            positions = (real.cumsum(1) * real).add(Scalars.Of((long)from)); // [B, T]
        }
        var x = Pass.Lookup(w["word_embeddings.weight"], pass.Ids) + Pass.Lookup(w["position_embeddings.weight"], positions); // [B, T, d]
        if (_config.TokenTypes > 0)
            x += Pass.Lookup(w["token_type_embeddings.weight"], pass.TokenTypes ?? zeros([1], ScalarType.Int64, x.device));
        return w.LayerNorm("LayerNorm", x, _config.Eps);
    }

    private protected override Tensor Block(int l, Tensor x, Pass pass)
    {
        var w = Set.At($"{_names.Prefix}{_names.Block}{l}.");
        var z = Attention.Run(Heads(_names.Query), Heads(_names.Key), Heads(_names.Value), pass.Visible(causal: false), pass, l); // [B, T, d]
        var sum = pass.At(HookPoint.Ln1In, l, x.Plus(pass.At(HookPoint.AttnOut, l, w.Linear(_names.Out, z))));
        var mid = pass.At(HookPoint.ResidMid, l, pass.At(HookPoint.Ln1Out, l, w.LayerNorm(_names.Norm1, sum, _config.Eps)));
        var act = pass.At(HookPoint.MlpAct, l, _config.Activation(w.Linear(_names.Up, mid))); // [B, T, d_mlp]
        sum = pass.At(HookPoint.Ln2In, l, mid.Plus(pass.At(HookPoint.MlpOut, l, w.Linear(_names.Down, act))));
        return pass.At(HookPoint.Ln2Out, l, w.LayerNorm(_names.Norm2, sum, _config.Eps));

        Tensor Heads(string matrix) => Attention.Heads(w.Linear(matrix, x), _config.Heads);
    }

    private protected override Tensor? Head(Tensor x, Pass pass)
    {
        if (_config.HasPooler)
        {
            var pooled = pass.At(HookPoint.PoolerOutput, -1, Set.At(_names.Prefix).Linear(_names.Pooler!, x.select(1, 0)).tanh()); // [B, d]
            if (_config.HasSeqRelationship)
                pass.At(HookPoint.SeqRelationship, -1, Set.At("").Linear(_names.SeqRelationship!, pooled)); // [B, 2]
        }
        if (!_config.HasHead)
            return null;
        var h = Set.At("").LayerNorm(_names.HeadNorm, _config.HeadActivation(Set.At("").Linear(_names.HeadDense, x)), _config.Eps); // [B, T, d]
        return pass.At(HookPoint.Logits, -1, nn.functional.linear(h, Unembedding, Set[_names.HeadBias]));
    }

    public static ModelPlan Plan(ModelConfig json, Func<string, bool> holds) => Plan(Read(json, new() { Prefix = "bert." }, 2), holds);

    /// <summary>The keys that BERT and RoBERTa share.</summary>
    internal static Config Read(ModelConfig json, Names names, int tokenTypes)
    {
        if (json.Text("position_embedding_type") is { } kind and not "absolute")
            throw json.Unsupported("position_embedding_type", $"'{kind}' is not supported");
        if (json.Flag("is_decoder", false))
            throw json.Unsupported("is_decoder", "encoders are not run as decoders");
        var width = json.Size(null, "hidden_size");
        var activation = Parts.Activation.Read(json, "hidden_act", "gelu");
        return new Config
        {
            Names = names,
            Layers = json.LayerCount("num_hidden_layers"),
            Width = width,
            Heads = DividingHeads(json, width, "num_attention_heads"),
            MlpWidth = json.Size(3072, "intermediate_size"),
            Vocabulary = json.Size(null, "vocab_size"),
            Positions = ModelDescription.Positions(json),
            TokenTypes = json.Size(tokenTypes, "type_vocab_size"),
            Eps = json.Eps("layer_norm_eps", 1e-12),
            Tied = json.Flag("tie_word_embeddings", true),
            Activation = activation,
            HeadActivation = activation,
        };
    }

    internal static int DividingHeads(ModelConfig json, int width, params ReadOnlySpan<string> keys)
    {
        var heads = json.Size(12, keys);
        return width % heads == 0 ? heads : throw json.Invalid(keys[0], $"a width of {width} is not divisible by {heads} heads");
    }

    internal static ModelPlan Plan(Config config, Func<string, bool> holds)
    {
        var n = config.Names;
        // Checkpoints of the bare model have no head, those of other tasks no pooler.
        var hasPooler = n.Pooler is not null && (holds($"{n.Prefix}{n.Pooler}.weight") || holds($"{n.Pooler}.weight"));
        var c = config with
        {
            HasHead = holds($"{n.HeadDense}.weight") || holds(n.HeadBias),
            HasPooler = hasPooler,
            HasSeqRelationship = hasPooler && n.SeqRelationship is not null && holds($"{n.SeqRelationship}.weight"),
        };
        var tensors = new TensorList();
        var embeddings = tensors.Outside(n.Prefix + n.Embeddings);
        embeddings.Table("word_embeddings", c.Vocabulary, c.Width);
        embeddings.Table("position_embeddings", c.Positions, c.Width, c.SinusoidalPositions ? Init.Sinusoids : Init.Normal);
        if (c.TokenTypes > 0)
            embeddings.Table("token_type_embeddings", c.TokenTypes, c.Width);
        embeddings.LayerNorm("LayerNorm", c.Width);
        for (var l = 0; l < c.Layers; l++)
        {
            var block = tensors.Block(l, $"{n.Prefix}{n.Block}{l}.");
            foreach (var matrix in new[] { n.Query, n.Key, n.Value, n.Out })
                block.Linear(matrix, c.Width, c.Width);
            block.LayerNorm(n.Norm1, c.Width);
            block.Linear(n.Up, c.Width, c.MlpWidth);
            block.Linear(n.Down, c.MlpWidth, c.Width);
            block.LayerNorm(n.Norm2, c.Width);
        }
        if (c.HasPooler)
            tensors.Linear($"{n.Prefix}{n.Pooler}", c.Width, c.Width);
        if (c.HasSeqRelationship)
            tensors.Linear(n.SeqRelationship!, c.Width, 2);
        if (c.HasHead)
        {
            tensors.Linear(n.HeadDense, c.Width, c.Width);
            tensors.LayerNorm(n.HeadNorm, c.Width);
            if (!c.Tied)
                tensors.Table(n.HeadMatrix, c.Vocabulary, c.Width);
            tensors.Add(n.HeadBias, Init.Zeros, c.Vocabulary);
        }
        var ties = new List<(string, string)>();
        if (n.HeadBias != $"{n.HeadMatrix}.bias")
            ties.Add(($"{n.HeadMatrix}.bias", n.HeadBias));
        if (c.Tied)
            ties.Add(($"{n.HeadMatrix}.weight", $"{n.Prefix}{n.Embeddings}word_embeddings.weight"));
        return new ModelPlan(tensors, n.Prefix, (description, parameters) => new Bert(c, description, parameters)) { Ties = ties };
    }
}
