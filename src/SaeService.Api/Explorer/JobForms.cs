using Microsoft.AspNetCore.Http.HttpResults;
using SaeService.Api.Access;
using SaeService.Api.Explorer.Layout;
using SaeService.Api.Jobs;
using SaeService.Api.Problems;
using SaeService.Contracts;
using SaeService.Queueing;
using SaeService.Storage;

namespace SaeService.Api.Explorer;

/// <summary>
/// What the pages' forms do, so that none of it needs a script: they are answered with the page to go on with. Programs have the same under <c>/v1/jobs</c>.
/// </summary>
public static class JobForms
{
    public static void Map(WebApplication app)
    {
        var jobs = app.MapGroup("/jobs").ExcludeFromDescription().RequireAuthorization(Scopes.Submit).AddEndpointFilter(SameOrigin.RequireAsync);
        jobs.MapPost("", Submit);
        jobs.MapPost("/{id:guid}/cancel", Cancel);
        jobs.MapPost("/{id:guid}/retry", Retry);
        jobs.MapPost("/{id:guid}/delete", Delete);
    }

    /// <summary>A form that is refused comes back as it was sent, with what is wrong at its fields.</summary>
    private static async Task<IResult> Submit(HttpContext context, JobSubmission submission)
    {
        if (!context.Request.HasFormContentType)
            throw new ProblemException(ProblemCodes.UnsupportedMediaType, "This is for the form of the start page; programs POST JSON to /v1/jobs.");
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var key = form[JobFormValues.KeyField].ToString() is { Length: > 0 } sent ? sent : null;
        try
        {
            var request = form.ContainsKey("sample") ? SampleJob.Request() : JobFormValues.Read(form);
            return SeeOther($"/jobs/{(await submission.SubmitAsync(request, Caller.Of(context), key, context.RequestAborted)).Job.Id}");
        }
        catch (ProblemException e) when (!form.ContainsKey("sample") && Session.WantsPage(context.Request))
        {
            var problem = ProblemResponses.From(e);
            return new RazorComponentResult<RefusedJobPage>(new { Form = new JobFormValues(Guid.NewGuid().ToString("N"), form, problem) }) { StatusCode = problem.Status };
        }
    }

    private static async Task<IResult> Cancel(Guid id, HttpContext context, SaeDbContext db, JobQueue queue)
    {
        await JobHead.RequireAsync(db, id, context);
        await queue.CancelAsync(id, context.RequestAborted);
        return SeeOther($"/jobs/{id}");
    }

    private static async Task<IResult> Retry(Guid id, HttpContext context, SaeDbContext db, JobQueue queue)
    {
        await JobHead.RequireAsync(db, id, context);
        await queue.RetryAsync(id, context.RequestAborted);
        return SeeOther($"/jobs/{id}");
    }

    private static async Task<IResult> Delete(Guid id, HttpContext context, SaeDbContext db, JobQueue queue)
    {
        await JobHead.RequireAsync(db, id, context);
        await queue.DeleteAsync(id, context.RequestAborted);
        return SeeOther("/");
    }

    /// <summary>So that going back or loading again does not send the form once more.</summary>
    private static SeeOtherResult SeeOther(string address) => new(address);

    private sealed class SeeOtherResult(string address) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.StatusCode = StatusCodes.Status303SeeOther;
            httpContext.Response.Headers.Location = address;
            return Task.CompletedTask;
        }
    }
}
