using Microsoft.AspNetCore.Components;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using SaeService.Api.Results;
using SaeService.Contracts;

namespace SaeService.Api.Explorer;

/// <summary>A page about results of a job. Where they are not there yet it is no failure: the page says how far the job is, and what can be looked at already.</summary>
public abstract class ExplorerResultPage : ExplorerJobPage
{
    [Inject] public required NpgsqlDataSource Database { get; set; }

    /// <summary>Why there is nothing to show; null where there is.</summary>
    protected string? NotReady { get; private set; }

    /// <summary>With <see cref="NotReady"/>: layers whose features can be looked at.</summary>
    protected IReadOnlyList<int> LabelledLayers { get; private set; } = [];

    /// <summary>Reads what the page shows.</summary>
    /// <exception cref="ProblemException">not_ready is caught, and shown.</exception>
    protected abstract Task LoadResultAsync();

    protected sealed override async Task LoadAsync()
    {
        await base.LoadAsync();
        try
        {
            await LoadResultAsync();
        }
        catch (ProblemException e) when (e.Code == ProblemCodes.NotReady)
        {
            NotReady = e.Message;
            LabelledLayers = await Db.Stages.AsNoTracking().Where(x => x.JobId == Id && x.Kind == StageKind.Label && x.Status == StageStatus.Succeeded && x.Layer != null)
                .Select(x => x.Layer!.Value).OrderBy(x => x).ToListAsync(Cancellation);
        }
    }

    /// <exception cref="ProblemException">not_ready.</exception>
    protected async Task<LayerFunctionalityDocument> DocumentAsync() =>
        await StoredDocument.ReadAsync(Database, await LayerEndpoints.RequireDocumentAsync(Id, Db, Context), Cancellation);
}
