using Microsoft.AspNetCore.Components;
using SaeService.Api.Access;
using SaeService.Api.Jobs;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Explorer;

/// <summary>A page that has what it shows before its first line is rendered: no half-filled states, and a refusal (<see cref="ProblemException"/>) is answered as one.</summary>
public abstract class ExplorerPage : ComponentBase
{
    [CascadingParameter] public required HttpContext Context { get; set; }

    protected CancellationToken Cancellation => Context.RequestAborted;

    /// <summary>Whether to offer what changes things.</summary>
    protected bool MaySubmit => Context.User.IsInRole(Scopes.Submit);

    /// <summary>Reads what the page shows. Parameters are set.</summary>
    protected abstract Task LoadAsync();

    public override async Task SetParametersAsync(ParameterView parameters)
    {
        parameters.SetParameterProperties(this);
        await LoadAsync();
        await base.SetParametersAsync(ParameterView.Empty);
    }
}

/// <summary>A page about one job, which the caller may see.</summary>
public abstract class ExplorerJobPage : ExplorerPage
{
    /// <summary>Of the address.</summary>
    [Parameter] public Guid Id { get; set; }
    [Inject] public required SaeDbContext Db { get; set; }
    [Inject] public required JobReader Reader { get; set; }

    protected JobHead Head { get; private set; } = null!;
    protected Job Job { get; private set; } = null!;

    protected override async Task LoadAsync()
    {
        Head = await JobHead.RequireAsync(Db, Id, Context);
        Job = await Reader.GetAsync(Id, cancellation: Cancellation) ?? throw new ProblemException(ProblemCodes.NotFound, $"There is no job {Id}.");
    }
}
