using System.Net.Http.Headers;

namespace SaeService.Sources;

/// <summary>
/// Fetches one file: large ones in pieces over several connections, each piece going on where it broke off, in this process or an earlier one.
/// What was announced (size, hash, commit) is checked; nothing is read beyond it.
/// </summary>
internal sealed class FileDownload(SourceHttp http, HttpLimits limits, long pieceBytes, SemaphoreSlim connections)
{
    private const long OnePiece = long.MaxValue / 2;

    /// <summary>The server sent the whole where a part was asked for: it knows no ranges, or the file is another one by now.</summary>
    private sealed class WholeAnswerException : Exception;

    /// <summary>Fetches into <paramref name="incomplete"/>, which is whole, synced to disk and checked afterwards.</summary>
    /// <param name="maxBytes">Where no size was announced, what is taken at most.</param>
    /// <param name="progress">Told of bytes as they come; less than 0 where some have to be fetched again.</param>
    public async Task RunAsync(RemoteFile file, string incomplete, long maxBytes, Action<long> progress, CancellationToken ct)
    {
        if (file.Size > maxBytes)
            throw new SourceException(SourceFault.Refused, $"{file.Name} has {file.Size} bytes, more than the {maxBytes} that are taken");
        for (var attempt = 0; ; attempt++)
        {
            var (resumed, length) = await FetchAsync(file, incomplete, maxBytes, progress, ct);
            if (file.Hash is not { } expected || await ContentHash.OfAsync(incomplete, expected.IsSha256, ct) is var actual && actual == expected)
                return;
            DownloadState.Delete(incomplete);
            progress(-length);
            // What an earlier process left may have been lost in part with its machine; all of it is fetched once more.
            if (attempt > 0 || !resumed)
                throw new SourceException(SourceFault.Damaged, $"{file.Name} came with {actual} and was announced with {expected}");
        }
    }

    private async Task<(bool Resumed, long Length)> FetchAsync(RemoteFile file, string incomplete, long maxBytes, Action<long> progress, CancellationToken ct)
    {
        var (resumed, piece) = (false, pieceBytes);
        for (var whole = 0; ; whole++)
        {
            using var state = DownloadState.Open(incomplete, file.Size, piece, hashed: file.Hash is not null);
            resumed |= whole == 0 && state.Total > 0;
            if (whole == 0)
                progress(state.Total);
            try
            {
                using var failed = CancellationTokenSource.CreateLinkedTokenSource(ct);
                var pieces = Enumerable.Range(0, state.Pieces).Select(async index =>
                {
                    try
                    {
                        await FetchPieceAsync(file, state, index, maxBytes, progress, failed.Token);
                    }
                    catch
                    {
                        await failed.CancelAsync();
                        throw;
                    }
                }).ToList();
                await WhenAllAsync(pieces);
                RandomAccess.FlushToDisk(state.Data);
                return (resumed, RandomAccess.GetLength(state.Data));
            }
            catch (WholeAnswerException) when (whole < 3)
            {
                // From the beginning, in one piece, which is what the server gives.
                progress(-state.Total);
                state.Dispose();
                DownloadState.Delete(incomplete);
                piece = OnePiece;
            }
            catch (WholeAnswerException)
            {
                throw new SourceException(SourceFault.Damaged, $"{file.Name} changes while it is fetched");
            }
            catch when (!state.Data.IsClosed)
            {
                state.Save();
                throw;
            }
        }
    }

    /// <summary>Waits for all, then throws the failure that cancelled the others, not one of theirs.</summary>
    private static async Task WhenAllAsync(List<Task> tasks)
    {
        try
        {
            await Task.WhenAll(tasks);
        }
        catch
        {
            var faults = tasks.Where(task => task.IsFaulted).SelectMany(task => task.Exception!.InnerExceptions).ToList();
            var first = faults.Find(e => e is SourceException { Transient: false }) ?? faults.Find(e => e is WholeAnswerException) ?? faults.FirstOrDefault();
            if (first is not null)
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(first);
            throw;
        }
    }

    private async Task FetchPieceAsync(RemoteFile file, DownloadState state, int index, long maxBytes, Action<long> progress, CancellationToken ct)
    {
        var before = state.Done(index);
        await limits.RetryAsync(async () =>
        {
            before = state.Done(index);
            var (start, end) = state.Bounds(index);
            if (end is { } known && start + before == known)
                return true;
            await connections.WaitAsync(ct);
            try
            {
                await ReceiveAsync(file, state, index, start + before, end, maxBytes, progress, ct);
            }
            finally
            {
                connections.Release();
            }
            return true;
        }, ct, () => state.Done(index) > before);
    }

    private async Task ReceiveAsync(RemoteFile file, DownloadState state, int index, long from, long? end, long maxBytes, Action<long> progress, CancellationToken ct)
    {
        var part = from > 0 || state.Pieces > 1;
        using var answer = await SendAsync(() =>
        {
            var request = new HttpRequestMessage(HttpMethod.Get, file.Uri);
            if (part)
            {
                request.Headers.Range = new RangeHeaderValue(from, end - 1);
                // Of a piece in a file that did begin: the rest must be of the same bytes.
                if (state.Etag is { } etag)
                    request.Headers.IfRange = new RangeConditionHeaderValue(new EntityTagHeaderValue(etag));
            }
            return request;
        }, ct);
        Check(file, answer, part, from, end);
        var limit = end ?? maxBytes;
        var buffer = new byte[1 << 17];
        var at = from;
        while (await answer.ReadAsync(buffer, ct) is > 0 and var count)
        {
            if (at + count > limit)
                throw new SourceException(end is null ? SourceFault.Refused : SourceFault.Damaged, $"{file.Name} has more than the {limit} bytes that were announced or are taken");
            await RandomAccess.WriteAsync(state.Data, buffer.AsMemory(0, count), at, ct);
            at += count;
            state.Advance(index, count, answer.StrongEtag);
            progress(count);
        }
        if (end is { } expected && at < expected)
            throw new SourceException(SourceFault.Network, $"{file.Name} broke off after {at} of {expected} bytes");
    }

    private async Task<SourceAnswer> SendAsync(Func<HttpRequestMessage> create, CancellationToken ct)
    {
        try
        {
            return await http.SendAsync(create, limits, ct);
        }
        catch (SourceException e) when (e.Status == 416)
        {
            throw new WholeAnswerException(); // there is less than there was
        }
    }

    private static void Check(RemoteFile file, SourceAnswer answer, bool part, long from, long? end)
    {
        if (file.Commit is { } commit && answer.Linked.Commit is { } other && other != commit)
            throw new SourceException(SourceFault.Damaged, $"{file.Name} comes from commit {other} and not from {commit}");
        if (file.Size is { } size && answer.Linked.Size is { } linkedSize && linkedSize != size)
            throw new SourceException(SourceFault.Damaged, $"{file.Name} has {linkedSize} bytes and was announced with {size}");
        if (file.Hash is { IsSha256: true } hash && ContentHash.Sha256(answer.Linked.Etag) is { } linked && linked != hash)
            throw new SourceException(SourceFault.Damaged, $"{file.Name} has {linked} and was announced with {hash}");
        if (part && !answer.Partial)
            throw new WholeAnswerException();
        if (part && (answer.Range is not { From: { } first, To: { } last } range || first != from || (end is { } stop && last != stop - 1)
            || (file.Size is { } total && range.Length is { } said && said != total)))
            throw new SourceException(SourceFault.Damaged, $"{file.Name}: bytes {from} to {end - 1} were asked for, and the answer has {answer.Range?.ToString() ?? "no range"}");
        if (!part && answer.Partial)
            throw new SourceException(SourceFault.Damaged, $"{file.Name}: a part came where the whole was asked for");
        if (!part && file.Size is { } whole && answer.Length is { } length && length != whole)
            throw new SourceException(SourceFault.Damaged, $"{file.Name} has {length} bytes and was announced with {whole}");
    }
}
