using System.Text;
using SaeService.Checkpoints;

namespace SaeService.Api.Tests;

/// <summary>The operator's folders of a test: good and bad models, good and bad data sets, and things outside that must stay out of reach.</summary>
public sealed class TestFolders : IDisposable
{
    public const string TinyConfig = """
        {"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":16,"intermediate_size":32,"num_hidden_layers":2,"num_attention_heads":2,
         "num_key_value_heads":2,"vocab_size":32,"max_position_embeddings":64,"rms_norm_eps":1e-5,"hidden_act":"silu","tie_word_embeddings":true}
        """;

    public string Root { get; } = Directory.CreateTempSubdirectory("sae-api-").FullName;
    public string Models => Path.Combine(Root, "models");
    public string Datasets => Path.Combine(Root, "datasets");
    public string Bundled => Path.Combine(Root, "bundle");
    public string Artifacts => Path.Combine(Root, "artifacts");
    public string Outside => Path.Combine(Root, "outside");

    public TestFolders()
    {
        WriteModel(Path.Combine(Models, "tiny"));
        WriteModel(Path.Combine(Models, "org", "nested"));
        WriteModel(Path.Combine(Bundled, "model"));
        WriteModel(Path.Combine(Outside, "secret"));

        var pickle = Directory.CreateDirectory(Path.Combine(Models, "pickle")).FullName;
        File.WriteAllText(Path.Combine(pickle, "config.json"), TinyConfig);
        File.WriteAllBytes(Path.Combine(pickle, "pytorch_model.bin"), [0x80, 2]);

        var damaged = Path.Combine(Models, "damaged");
        WriteModel(damaged);
        File.WriteAllBytes(Path.Combine(damaged, "model.safetensors"), [255, 255, 255, 255, 255, 255, 255, 127, 123]);

        var family = Path.Combine(Models, "strange");
        WriteModel(family);
        File.WriteAllText(Path.Combine(family, "config.json"), """{"model_type":"perceptron"}""");

        // A folder that leads out, and a folder whose weights do.
        Directory.CreateSymbolicLink(Path.Combine(Models, "escape"), Path.Combine(Outside, "secret"));
        var linked = Directory.CreateDirectory(Path.Combine(Models, "linked")).FullName;
        File.Copy(Path.Combine(Outside, "secret", "config.json"), Path.Combine(linked, "config.json"));
        File.CreateSymbolicLink(Path.Combine(linked, "model.safetensors"), Path.Combine(Outside, "secret", "model.safetensors"));

        // Autoencoders of three layers each: as they should be, of another width, gated, pickled, outside, and with weights that are outside.
        for (var layer = 0; layer < 3; layer++)
        {
            WriteSae(Path.Combine(Models, $"sae-{layer}"), 16);
            WriteSae(Path.Combine(Models, $"narrow-sae-{layer}"), 8);
            WriteSae(Path.Combine(Models, $"gated-sae-{layer}"), 16, "gated");
            WriteSae(Path.Combine(Outside, $"sae-{layer}"), 16);
            var pickled = Directory.CreateDirectory(Path.Combine(Models, $"pickle-sae-{layer}")).FullName;
            File.WriteAllBytes(Path.Combine(pickled, "ae.pt"), [0x80, 2]);
            var lent = Directory.CreateDirectory(Path.Combine(Models, $"linked-sae-{layer}")).FullName;
            File.Copy(Path.Combine(Outside, $"sae-{layer}", "cfg.json"), Path.Combine(lent, "cfg.json"));
            File.CreateSymbolicLink(Path.Combine(lent, "sae_weights.safetensors"), Path.Combine(Outside, $"sae-{layer}", "sae_weights.safetensors"));
        }

        Directory.CreateDirectory(Path.Combine(Datasets, "mini"));
        File.WriteAllText(Path.Combine(Datasets, "mini", "mini-train.conllu"), Conllu(40));
        File.WriteAllText(Path.Combine(Datasets, "mini", "mini-dev.conllu"), Conllu(8, 1000));
        File.WriteAllText(Path.Combine(Datasets, "broken.conllu"), Conllu(2) + "1\tonly\tthree\n\n");
        Directory.CreateDirectory(Path.Combine(Bundled, "corpus"));
        File.WriteAllText(Path.Combine(Bundled, "corpus", "sample.conllu"), Conllu(60));
        File.WriteAllText(Path.Combine(Outside, "private.conllu"), Conllu(3));
        File.CreateSymbolicLink(Path.Combine(Datasets, "escape.conllu"), Path.Combine(Outside, "private.conllu"));
    }

    /// <summary>A ReLU autoencoder of 24 latents in the layout of SAELens.</summary>
    public static void WriteSae(string folder, int d, string architecture = "standard")
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "cfg.json"), $$"""{"architecture":"{{architecture}}","d_in":{{d}},"d_sae":24}""");
        SafetensorsWriter.Write(Path.Combine(folder, "sae_weights.safetensors"),
        [
            TensorSource.Of<float>("W_enc", DType.F32, [d, 24], new float[d * 24]), TensorSource.Of<float>("W_dec", DType.F32, [24, d], new float[d * 24]),
            TensorSource.Of<float>("b_enc", DType.F32, [24], new float[24]), TensorSource.Of<float>("b_dec", DType.F32, [d], new float[d]),
        ]);
    }

    public static void WriteModel(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), TinyConfig);
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), """
            {"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
             "model":{"type":"WordLevel","unk_token":"?","vocab":{"?":0,"Ada":1,"sees":2,"old":3,"dogs":4,".":5}}}
            """);
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"),
            [TensorSource.Of<float>("model.embed_tokens.weight", DType.F32, [32, 16], new float[32 * 16])]);
    }

    /// <summary>Sentences of five words with part of speech, relation and entity, three to a document.</summary>
    public static string Conllu(int sentences, int first = 0)
    {
        var text = new StringBuilder();
        for (var i = first; i < first + sentences; i++)
        {
            if ((i - first) % 3 == 0)
                text.Append(System.Globalization.CultureInfo.InvariantCulture, $"# newdoc id = d{i}\n");
            text.Append($"""
                # sent_id = s{i}
                # text = Ada sees old dogs.
                1	Ada	Ada	PROPN	_	_	2	nsubj	_	NER=B-PER
                2	sees	see	VERB	_	_	0	root	_	NER=O
                3	old	old	ADJ	_	_	4	amod	_	NER=O
                4	dogs	dog	NOUN	_	_	2	obj	_	NER=O|SpaceAfter=No
                5	.	.	PUNCT	_	_	2	punct	_	NER=O


                """.ReplaceLineEndings("\n"));
        }
        return text.ToString();
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
