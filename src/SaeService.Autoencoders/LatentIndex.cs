namespace SaeService.Autoencoders;

/// <summary>
/// The active latents of a batch turned round: for each latent the rows it fires on, ascending, with its values (compressed sparse columns). A
/// counting sort over fixed chunks of rows, so that both passes run in parallel and the order does not depend on who did them.
/// </summary>
internal sealed unsafe class LatentIndex
{
    private const int Chunks = 8;
    private readonly int latents;
    private readonly Lanes lanes;
    private readonly AlignedBuffer<int> cursor;    // [Chunks, F]

    public LatentIndex(int latents, int maxRows, int k, Lanes lanes)
    {
        (this.latents, this.lanes) = (latents, lanes);
        cursor = new((long)Chunks * latents);
        Start = new(latents + 1);
        Row = new((long)maxRows * k);
        Value = new((long)maxRows * k);
        Dot = new((long)maxRows * k);
    }

    public AlignedBuffer<int> Start { get; }      // [F + 1]
    public AlignedBuffer<int> Row { get; }        // [nnz]
    public AlignedBuffer<float> Value { get; }    // [nnz]
    public AlignedBuffer<float> Dot { get; }      // [nnz]

    /// <param name="active">Of the batch.</param>
    /// <param name="dots">A number that goes with each of the values.</param>
    /// <param name="rows">Tokens of the batch.</param>
    public void Build(ActiveRows active, AlignedBuffer<float> dots, int rows)
    {
        lanes.For(Chunks, (chunk, _) =>
        {
            var count = cursor.Pointer + (long)chunk * latents;
            new Span<int>(count, latents).Clear();
            for (var i = (int)((long)rows * chunk / Chunks); i < (int)((long)rows * (chunk + 1) / Chunks); i++)
            {
                foreach (var latent in active.IndicesOf(i))
                    count[latent]++;
            }
        });
        var next = 0;
        for (var latent = 0; latent < latents; latent++)
        {
            Start.Pointer[latent] = next;
            for (var chunk = 0; chunk < Chunks; chunk++)
            {
                var count = cursor.Pointer + (long)chunk * latents + latent;
                (*count, next) = (next, next + *count);
            }
        }
        Start.Pointer[latents] = next;
        lanes.For(Chunks, (chunk, _) =>
        {
            var at = cursor.Pointer + (long)chunk * latents;
            for (var i = (int)((long)rows * chunk / Chunks); i < (int)((long)rows * (chunk + 1) / Chunks); i++)
                for (var j = active.Start.Pointer[i]; j < active.Start.Pointer[i] + active.Count.Pointer[i]; j++)
                {
                    var entry = at[active.Index.Pointer[j]]++;
                    Row.Pointer[entry] = i;
                    Value.Pointer[entry] = active.Value.Pointer[j];
                    Dot.Pointer[entry] = dots.Pointer[j];
                }
        });
    }

    /// <summary>Rows that a latent fires on.</summary>
    public int Entries(int latent) => Start.Pointer[latent + 1] - Start.Pointer[latent];

    public void Clear() => Start.Span.Clear();
}
