using SaeService.Contracts;
using SaeService.Estimates;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>What an estimate follows from, and what is said of one that does not fit. How near it comes an end-to-end test measures on a job.</summary>
public sealed class EstimatorTests
{
    private static JobSize Size(Func<SaeSettings, SaeSettings>? sae = null, string mode = "standard", long tokens = 100_000) => new()
    {
        Request = new JobRequest
        {
            Model = new("m"),
            Dataset = new("d"),
            ContextLength = 128,
            Sae = (sae ?? (x => x))(new SaeSettings { DSae = 2048, K = 16, Seed = 0, TrainTokens = 500_000, BatchTokens = 2048 }),
            Labels = new LabelSettings { SubwordPolicy = "max" },
            Information = new InformationSettings { MaxTrainWords = 20_000 },
            Mode = mode,
        },
        Model = new ModelSize(4, 256, 5000, 5_000_000, null),
        Layers = 5,
        Tokens = tokens,
        Words = tokens * 2 / 3,
        Documents = 300,
        Labels = [17, 40],
    };

    private static readonly WorkerShape s_worker = new(Threads: 2);

    [Fact]
    public void Each_part_grows_with_what_it_is_of_and_with_nothing_else()
    {
        var usual = JobEstimator.Of(Size(), s_worker).Parts!;
        Assert.Equal(4L * 100_000 * 256 * 5 + 100_000 * 5 + 66_666, usual.DiskBytes["activations"]);
        Assert.InRange(usual.DiskBytes["autoencoders"], 5 * 2 * 4 * 2048 * 256, 5 * 2 * 4 * 2048 * 260);

        var wide = JobEstimator.Of(Size(x => x with { DSae = 16_384 }), s_worker).Parts!;
        // Weights, gradient and two moments alone: 16 floats for each of the latents' components more.
        Assert.True(wide.MemoryBytes["train"] - usual.MemoryBytes["train"] > 8L * 4 * 256 * (16_384 - 2048));
        Assert.Equal(usual.MemoryBytes["capture"], wide.MemoryBytes["capture"]);
        Assert.Equal(usual.MemoryBytes["inform"], wide.MemoryBytes["inform"]);
        Assert.True(wide.Seconds["train"] > 6 * (usual.Seconds["train"] - 1));

        var size = Size() with { Model = new ModelSize(4, 256, 5000, 500_000_000, null) };
        var large = JobEstimator.Of(size, s_worker).Parts!;
        Assert.Equal(4L * 495_000_000, large.MemoryBytes["capture"] - usual.MemoryBytes["capture"]);
        Assert.Equal(usual.MemoryBytes["train"], large.MemoryBytes["train"]);
        // The model is run again with the autoencoders in place, but not by the quick mode; nor are its weights this machine's on a GPU.
        Assert.True(large.MemoryBytes["control"] > 4L * 495_000_000);
        Assert.True(JobEstimator.Of(Size(mode: "quick") with { Model = size.Model }, s_worker).Parts!.MemoryBytes["control"] < 1L << 29);
        var gpu = s_worker with { OnGpu = true };
        Assert.Equal(JobEstimator.Of(Size(), gpu).Parts!.MemoryBytes["capture"], JobEstimator.Of(size, gpu).Parts!.MemoryBytes["capture"]);
        // Read block by block: the embedding twice at most, and a block.
        var lazy = JobEstimator.Of(size, s_worker with { MaxModelBytes = 1_000_000 }).Parts!;
        Assert.InRange(lazy.MemoryBytes["capture"], 4L * 500_000_000 / 4, 4L * 500_000_000 / 3);
        // In half precision the weights are converted, and the file's pages count beside them.
        var half = JobEstimator.Of(size with { Model = size.Model with { WeightBytes = 1_000_000_000 } }, s_worker).Parts!;
        Assert.Equal(6L * 500_000_000 - 4L * 5_000_000, half.MemoryBytes["capture"] - usual.MemoryBytes["capture"]);
    }

    [Fact]
    public void Passes_that_run_at_once_are_counted_as_many_as_the_worker_runs()
    {
        long Capture(WorkerShape worker, long tokens = 100_000) => JobEstimator.Of(Size(tokens: tokens), worker).Parts!.MemoryBytes["capture"];
        var bytes = (long)PassMemory.OfCapture(256, 128, s_worker);
        Assert.Equal(2, PassMemory.AtOnce(bytes, s_worker));
        var many = s_worker with { Threads = 40 };
        Assert.Equal(38 * bytes, Capture(many) - Capture(s_worker));
        // What a worker gives to passes bounds them, and so do the tokens; one there must be.
        Assert.Equal(7, PassMemory.AtOnce(bytes, many with { MaxPassBytes = 7 * bytes + 1 }));
        Assert.Equal(5 * bytes, Capture(many with { MaxPassBytes = 7 * bytes + 1 }) - Capture(s_worker));
        Assert.Equal(bytes, Capture(many, tokens: 3000) - Capture(s_worker, tokens: 3000));
        Assert.Equal(1, PassMemory.AtOnce(bytes, many with { MaxPassBytes = 1 }));
        Assert.Equal(1, PassMemory.AtOnce(bytes, many with { OnGpu = true }));
    }

    [Fact]
    public void A_GPU_holds_what_its_stages_compute_with_and_refuses_what_it_can_not_hold()
    {
        Assert.Null(JobEstimator.Of(Size(), s_worker).GpuMemoryBytes);
        var gpu = s_worker with { OnGpu = true, BatchTokens = 16_384, BytesPerParameter = 2 };
        var size = Size(mode: "thorough") with { Model = new ModelSize(4, 256, 5000, 500_000_000, null) };
        var estimate = JobEstimator.Of(size, gpu);
        var parts = estimate.Parts!.GpuMemoryBytes!;
        Assert.Equal(["capture", "control", "dictionaries", "label", "permuted", "permuted_capture", "runtime", "train", "untrained", "untrained_capture"], parts.Keys.Order());
        Assert.Equal(2L * 500_000_000 + (long)PassMemory.OfCapture(256, 128, gpu), parts["capture"]);
        var blockByBlock = JobEstimator.Of(size, gpu with { MaxModelBytes = 1_000_000 }).Parts!.GpuMemoryBytes!["capture"];
        Assert.InRange(parts["capture"] - blockByBlock, 2L * 500_000_000 * 2 / 3, 2L * 500_000_000 * 3 / 4);
        // Parameters, gradient and two moments of [2048, 256] twice, and what a step computes beside them.
        Assert.InRange(parts["train"], 4L * 2 * 4 * 2048 * 256, 4L * 2 * 4 * 2048 * 256 + (1L << 29));
        Assert.Equal(estimate.GpuMemoryBytes, parts["runtime"] + parts.Where(x => x.Key != "runtime").Max(x => x.Value));

        var refusal = JobEstimator.Refusal(estimate, new(null, null, 1L << 30))!;
        Assert.Matches(@"^needs about [\d,]+ MiB of the GPU's memory \(in stage \w+\), and may use 1,024 MiB; use a smaller model, or a worker with less Worker:CaptureBatchTokens", refusal);
        var wide = JobEstimator.Of(Size(x => x with { DSae = 131_072 }), gpu);
        Assert.EndsWith("lower sae.d_sae (or sae.expansion) or sae.batch_tokens", JobEstimator.Refusal(wide, new(null, null, 1L << 30)), StringComparison.Ordinal);
        Assert.Null(JobEstimator.Refusal(wide, new(null, null, 1L << 36)));
        Assert.Null(JobEstimator.Refusal(JobEstimator.Of(Size(), s_worker), new(null, null, 1)));
    }

    [Fact]
    public void A_mode_costs_what_it_runs()
    {
        var (standard, full, thorough) = (JobEstimator.Of(Size(), s_worker), JobEstimator.Of(Size(mode: "full"), s_worker), JobEstimator.Of(Size(mode: "thorough"), s_worker));
        Assert.Equal(standard.Parts!.Seconds.Keys.Append("dictionaries").Append("untrained").Append("untrained_capture").Order(), full.Parts!.Seconds.Keys.Order());
        Assert.Equal(full.Parts.Seconds.Keys.Append("permuted").Append("permuted_capture").Order(), thorough.Parts!.Seconds.Keys.Order());
        Assert.Equal(full.Parts.Seconds.Keys.Order(), full.Parts.MemoryBytes.Keys.Except(["runtime"]).Order());
        Assert.Equal(2 * standard.Parts.DiskBytes["activations"], full.Parts.DiskBytes["activations"]);
        Assert.Equal(3 * standard.Parts.DiskBytes["activations"], thorough.Parts.DiskBytes["activations"]);
        // Twice the training again: of the untrained model's vectors, and of normal ones.
        Assert.True(full.Seconds > standard.Seconds + 2 * (standard.Parts.Seconds["train"] - 1));
        Assert.True(full.Parts.MemoryBytes["untrained"] >= standard.Parts.MemoryBytes["train"]);
        // Of an autoencoder trained elsewhere only those beside it are trained.
        var pretrained = JobEstimator.Of(Size(x => new SaeSettings { Path = "p", DSae = x.DSae, K = x.K }, "full"), s_worker).Parts!.Seconds;
        Assert.True(pretrained["untrained"] > 3 * full.Parts.Seconds["untrained"] / 2 && pretrained["train"] < 1.5);
    }

    [Fact]
    public void A_pace_stretches_its_stage()
    {
        var usual = JobEstimator.Of(Size(), s_worker);
        var slow = JobEstimator.Of(Size(), s_worker, new Dictionary<string, double> { ["train"] = 3 });
        Assert.Equal(3 * usual.Parts!.Seconds["train"], slow.Parts!.Seconds["train"], 0.2);
        Assert.Equal(usual.Parts.Seconds["label"], slow.Parts.Seconds["label"]);
        Assert.Equal(3, slow.Pace["train"]);
        // Training that takes long enough writes checkpoints: here they are less than what later takes their place.
        Assert.Equal(usual.MemoryBytes, slow.MemoryBytes);
        var tall = JobEstimator.Of(Size(x => x with { DSae = 65_536, TrainTokens = 100_000_000 }, tokens: 1000), s_worker);
        Assert.True(tall.Parts!.DiskBytes["checkpoint"] > 4L * 65_536 * 256 * 8);
    }

    [Fact]
    public void What_does_not_fit_is_refused_with_the_numbers_and_what_to_lower()
    {
        var estimate = JobEstimator.Of(Size(x => x with { DSae = 65_536 }), s_worker);
        Assert.Null(JobEstimator.Refusal(estimate, new(estimate.MemoryBytes, estimate.DiskBytes)));
        Assert.Null(JobEstimator.Refusal(estimate, new(null, null)));
        Assert.Matches(@"^needs about [\d,]+ MiB of memory \(in stage train\), and may use 100 MiB; lower sae.d_sae",
            JobEstimator.Refusal(estimate, new(100 << 20, null))!);
        Assert.Matches(@"^needs about [\d,]+ MiB of disk, and may use 1 MiB; lower sae.d_sae", JobEstimator.Refusal(estimate, new(null, 1 << 20))!);
        var large = JobEstimator.Of(Size(tokens: 10_000_000), s_worker);
        Assert.Contains("dataset.max_words", JobEstimator.Refusal(large, new(null, 1 << 20))!, StringComparison.Ordinal);
    }

    [Fact]
    public void The_machine_has_what_this_process_holds_and_more()
    {
        Assert.InRange(MachineLimits.AvailableMemory, Environment.WorkingSet / 2, MachineLimits.TotalMemory + Environment.WorkingSet);
        Assert.True(MachineLimits.FreeDisk(Path.GetTempPath()) > 0);
    }
}
