using System.Globalization;
using System.Numerics;
using SaeService.Contracts;

namespace SaeService.Api.Requests;

/// <summary>A value or its default, with a note in the errors where it is out of bounds.</summary>
public sealed class Checks(RequestErrors errors)
{
    public int Range(int? value, int fallback, int least, long most, string path, string? why = null) => (int)Range((long?)value, fallback, least, most, path, why);

    public long Range(long? value, long fallback, long least, long most, string path, string? why = null) => Within(value ?? fallback, least, most, path, why);

    public double Between(double? value, double fallback, double least, double most, string path) => Within(value ?? fallback, least, most, path, null);

    public string OneOf(string? value, string[] known, string path)
    {
        // The first is the default.
        value ??= known[0];
        if (!known.Contains(value))
            errors.Add(ProblemCodes.InvalidRequest, path, $"'{(value.Length <= 60 ? value : value[..60] + "…")}' is not known; known: {string.Join(", ", known)}");
        return value;
    }

    private T Within<T>(T value, T least, T most, string path, string? why) where T : INumber<T>
    {
        // Written so that NaN fails too.
        if (!(value >= least && value <= most))
            errors.Add(ProblemCodes.InvalidRequest, path, string.Create(CultureInfo.InvariantCulture,
                $"must be between {least} and {most}{(why is null ? "" : $" ({why})")}, not {value}"));
        return value;
    }
}
