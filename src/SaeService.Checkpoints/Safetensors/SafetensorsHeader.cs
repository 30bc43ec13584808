using System.Text.Json;
using System.Text.Unicode;

namespace SaeService.Checkpoints;

/// <summary>
/// Reads the JSON header of a safetensors file by the rules of the reference reader (huggingface/safetensors, tensor.rs) and two of the
/// format text that it does not enforce: the header begins with '{' and no key is repeated.
/// </summary>
internal ref struct SafetensorsHeader
{
    private readonly string _file;
    private readonly long _dataStart;
    private readonly long _dataLength;
    private Utf8JsonReader _json;

    public Dictionary<string, TensorEntry> Tensors { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <param name="file">For messages.</param>
    /// <param name="json">The header, without its length prefix.</param>
    /// <param name="dataStart">Position of the first data byte in the file.</param>
    /// <param name="dataLength">Bytes from there to the end of the file.</param>
    public SafetensorsHeader(string file, ReadOnlySpan<byte> json, long dataStart, long dataLength)
    {
        _file = file;
        _dataStart = dataStart;
        _dataLength = dataLength;
        if (json.IsEmpty || json[0] != (byte)'{')
            throw Invalid(null, "the header does not begin with '{'");
        if (!Utf8.IsValid(json))
            throw Invalid(null, "the header is not UTF-8");
        _json = new Utf8JsonReader(json);
        try
        {
            ReadAll();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Invalid(null, $"the header is not valid JSON ({e.Message})", e);
        }
        CheckLayout();
    }

    private void ReadAll()
    {
        var seenMetadata = false;
        _json.Read();
        while (_json.Read() && _json.TokenType == JsonTokenType.PropertyName)
        {
            var name = _json.GetString()!;
            _json.Read();
            if (name == "__metadata__")
            {
                if (seenMetadata)
                    throw Invalid(name, "appears twice");
                seenMetadata = true;
                ReadMetadata();
            }
            else if (!Tensors.TryAdd(name, ReadEntry(name)))
                throw Invalid(name, "the tensor appears twice");
        }
        // Anything but white space after the object is an error that the reader itself throws.
        _json.Read();
    }

    private void ReadMetadata()
    {
        if (_json.TokenType != JsonTokenType.StartObject)
            throw Invalid("__metadata__", "must be an object of strings");
        while (_json.Read() && _json.TokenType == JsonTokenType.PropertyName)
        {
            var key = _json.GetString()!;
            _json.Read();
            if (_json.TokenType != JsonTokenType.String)
                throw Invalid($"__metadata__.{key}", "must be a string");
            if (!Metadata.TryAdd(key, _json.GetString()!))
                throw Invalid($"__metadata__.{key}", "appears twice");
        }
    }

    private TensorEntry ReadEntry(string name)
    {
        if (_json.TokenType != JsonTokenType.StartObject)
            throw Invalid(name, "the entry is not an object");
        DType? dtype = null;
        List<long>? shape = null, offsets = null;
        while (_json.Read() && _json.TokenType == JsonTokenType.PropertyName)
        {
            var field = _json.GetString()!;
            _json.Read();
            switch (field)
            {
                case "dtype":
                    dtype = dtype is null ? ReadDType(name) : throw Invalid(name, "dtype appears twice");
                    break;
                case "shape":
                    shape = shape is null ? ReadNumbers(name, field) : throw Invalid(name, "shape appears twice");
                    break;
                case "data_offsets":
                    offsets = offsets is null ? ReadNumbers(name, field) : throw Invalid(name, "data_offsets appears twice");
                    break;
                default:
                    _json.Skip();
                    break;
            }
        }
        if (dtype is null || shape is null || offsets is null)
            throw Invalid(name, $"the entry has no {(dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets")}");
        if (offsets.Count != 2)
            throw Invalid(name, $"data_offsets holds {offsets.Count} numbers, not 2");
        return Checked(name, dtype.Value, [.. shape], offsets[0], offsets[1]);
    }

    private readonly DType ReadDType(string name)
    {
        if (_json.TokenType != JsonTokenType.String)
            throw Invalid(name, "dtype is not a string");
        var text = _json.GetString()!;
        // Enum.TryParse would also accept numbers and lists.
        return Enum.IsDefined(typeof(DType), text)
            ? Enum.Parse<DType>(text)
            : throw new CheckpointException(CheckpointFault.Invalid, _file, name, $"unknown dtype '{(text.Length > 40 ? text[..40] : text)}'");
    }

    private List<long> ReadNumbers(string name, string field)
    {
        if (_json.TokenType != JsonTokenType.StartArray)
            throw Invalid(name, $"{field} is not an array");
        var numbers = new List<long>();
        while (_json.Read() && _json.TokenType != JsonTokenType.EndArray)
        {
            if (_json.TokenType != JsonTokenType.Number || !_json.TryGetInt64(out var number) || number < 0)
                throw Invalid(name, $"{field} holds something that is not a whole number of 0 or more");
            numbers.Add(number);
        }
        return numbers;
    }

    private readonly TensorEntry Checked(string name, DType dtype, long[] shape, long begin, long end)
    {
        if (begin > end || end > _dataLength)
            throw Invalid(name, $"data_offsets [{begin}, {end}] do not lie in the {_dataLength} data bytes of the file (truncated?)");
        // Two 63-bit factors fit 128 bits; leave as soon as the product passes 64, so that no shape wraps around.
        UInt128 bytes = (UInt128)dtype.Size();
        var hasZero = shape.Contains(0);
        foreach (var dimension in shape)
        {
            bytes = hasZero ? 0 : bytes * (UInt128)dimension;
            if (bytes > long.MaxValue)
                throw Invalid(name, $"shape {TensorEntry.TextOf(shape)} overflows");
        }
        if (bytes != (UInt128)(end - begin))
            throw Invalid(name, $"{dtype} {TensorEntry.TextOf(shape)} needs {bytes} bytes, data_offsets hold {end - begin}");
        return new TensorEntry(name, dtype, shape, _dataStart + begin, end - begin);
    }

    /// <summary>The tensors cover the data exactly: no hole, no overlap, no byte before, between or after.</summary>
    private readonly void CheckLayout()
    {
        var next = _dataStart;
        foreach (var entry in Tensors.Values.OrderBy(e => e.Offset).ThenBy(e => e.Length))
        {
            if (entry.Offset != next)
                throw Invalid(entry.Name, entry.Offset < next ? "overlaps another tensor" : $"{entry.Offset - next} unused bytes before it");
            next += entry.Length;
        }
        if (next != _dataStart + _dataLength)
            throw Invalid(null, $"{_dataStart + _dataLength - next} bytes after the last tensor");
    }

    private readonly CheckpointException Invalid(string? key, string message, Exception? inner = null) =>
        new(CheckpointFault.Invalid, _file, key, message, inner);
}
