using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Parquet;
using Parquet.Schema;
using SaeService.Api.Results.Exports;
using SaeService.Contracts;
using SaeService.Corpora.Parquet;
using SaeService.TestSupport;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>Tables as CSV and as Parquet say the same, whoever reads them.</summary>
public sealed class ExportTests(ApiFixture api) : IClassFixture<ApiFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>A document with what the tables are made of.</summary>
    private static LayerFunctionalityDocument Filled(LayerFunctionalityDocument document) => document with
    {
        Tasks = [document.Tasks[0] with
        {
            Layers = [.. document.Layers.Select(l => new LayerInformation
            {
                Layer = l.Layer, IvBits = new InformationEstimate(1.25, [1.2, 1.3], "v-information", 100, 50), Normalised = 0.5, ContextGainBits = new Estimate(0.25, [0.2, 0.3]), ControlBits = 0.125,
                SelectivityBits = 1.125, ShuffledBits = -0.01, Accuracy = 0.9, MacroF1 = 0.8, PerLabel = [new LabelInformation("NOUN", 0.75, [0.7, 0.8], 0.6, 20)],
            })],
        }],
        Layers = [.. document.Layers.Select(l => l with
        {
            Cells =
            [
                new LabelCell("pos", "NOUN", CellStatus.Established, 0.5, 0.25, 3, 0.75, 0.6, 20, FinishedJob.Summary(4, "pos", "NOUN", 0.9, 40)) { SparseProbes = [new SparseProbe(5, 0.7, 0.9, [1]), new SparseProbe(20, 0.8, 0.95, [1])] },
                new LabelCell("pos", "one, \"two\"\nthree", CellStatus.NotEstablished, 0, -0.25, 0, 0, 0, 0, null),
            ],
            Functionalities = [new Functionality
            {
                Task = "pos", Label = "NOUN", Aliases = ["dep:nsubj", "ner:PER"], Status = CellStatus.Established, Rank = 1, FailedGates = [],
                Encodes = new Encodes(0.5, [0.4, 0.6], 0.45, 0.55, new GatingBaselines(0.25, 0.2), new Estimate(0.25, [0.1, 0.3])),
                Distinguishes = new Distinguishes(0.1, [-0.1, 0.2], l.Layer == 0 ? null : 0.05, null), Information = new CellInformation(0.75, 0.6, null), Features = new CellFeatures(3, 1, 1, 1, 0.25),
            }],
        })],
    };

    [Theory]
    [InlineData("features", 72)]
    [InlineData("cells", 6)]
    [InlineData("probes", 6)]
    public async Task Csv_and_Parquet_hold_the_same_rows(string table, int rows)
    {
        var job = await api.SubmitAsync();
        await FinishedJob.FinishAsync(api, job, Filled);
        using var csv = await api.Submitter.GetAsync($"{job.Urls.Self}/exports/{table}.csv", Ct);
        Assert.Equal("text/csv", csv.Content.Headers.ContentType!.MediaType);
        var lines = Records(await csv.Content.ReadAsStringAsync(Ct));
        Assert.Equal(rows, lines.Count - 1);

        using var answer = await api.Submitter.GetAsync($"{job.Urls.Self}/exports/{table}.parquet", Ct);
        Assert.Equal("application/vnd.apache.parquet", answer.Content.Headers.ContentType!.MediaType);
        Assert.NotEqual(csv.Headers.ETag, answer.Headers.ETag);
        var bytes = await answer.Content.ReadAsByteArrayAsync(Ct);
        var columns = await ReadAsync(bytes);
        Assert.Equal(lines[0], columns.Select(c => c.Name));
        for (var row = 0; row < rows; row++)
            Assert.Equal(lines[row + 1], columns.Select(c => c.Values[row] ?? ""));

        // What our own reader of data sets reads: all but fractions.
        var own = ReadWithOurs(bytes);
        Assert.True(own.Count > 3);
        foreach (var (name, values) in own)
            Assert.Equal(columns.Single(c => c.Name == name).Values, values);
    }

    [Fact]
    public async Task Python_reads_them_too()
    {
        var job = await api.SubmitAsync();
        await FinishedJob.FinishAsync(api, job, Filled);
        const string Script = """
            import io, json, sys
            import pyarrow.parquet as parquet
            table = parquet.read_table(io.BytesIO(sys.stdin.buffer.read()))
            json.dump({name: [None if v is None else v for v in table.column(name).to_pylist()] for name in table.column_names}, sys.stdout)
            """;
        var python = Environment.GetEnvironmentVariable("PYTHON") is { Length: > 0 } named ? named : "/usr/bin/python3";
        if (!File.Exists(python) || await PythonAsync(python, "import pyarrow", []) is null)
            Assert.Skip($"needs {python} with pyarrow");
        foreach (var table in new[] { "features", "cells", "probes" })
        {
            var bytes = await api.Submitter.GetByteArrayAsync($"{job.Urls.Self}/exports/{table}.parquet", Ct);
            var theirs = JsonDocument.Parse((await PythonAsync(python, Script, bytes))!).RootElement;
            foreach (var (name, values) in await ReadAsync(bytes))
                Assert.Equal(values, theirs.GetProperty(name).EnumerateArray().Select(v => v.ValueKind switch
                {
                    JsonValueKind.Null => null,
                    JsonValueKind.String => v.GetString(),
                    JsonValueKind.Number => v.GetDouble().ToString(CultureInfo.InvariantCulture),
                    _ => v.GetRawText(),
                }));
        }
    }

    [Fact]
    public async Task Rows_without_end_are_written_in_groups_and_held_one_group_at_a_time()
    {
        var table = new ExportTable<int>(ExportColumn<int>.Of("n", "a number", n => (int?)n), ExportColumn<int>.Of("text", "its text", n => n % 3 == 0 ? null : $"number {n}"));
        const int Rows = 100_000;
        var file = new MemoryStream();
        var written = new List<long>();
        async IAsyncEnumerable<int> All()
        {
            for (var n = 0; n < Rows; n++)
            {
                if (n % 10_000 == 0)
                    written.Add(file.Length);
                yield return n;
                if (n % 1000 == 0)
                    await Task.Yield();
            }
        }
        await table.WriteParquetAsync(All(), new ForwardOnly(file), Ct);
        Assert.True(written[2] > 0 && written[^1] > written[2], "nothing was written before the rows ended");
        var columns = await ReadAsync(file.ToArray());
        Assert.Equal(Enumerable.Range(0, Rows).Select(n => n.ToString(CultureInfo.InvariantCulture)), columns[0].Values);
        Assert.Equal("number 99998", columns[1].Values[^2]);
        Assert.Null(columns[1].Values[^1]);
    }

    [Fact]
    public async Task The_columns_are_documented_from_where_they_are_defined()
    {
        var text = new StringBuilder("""
            # Exported tables

            `GET /v1/jobs/{id}/exports/{table}.csv` or `.parquet`, for a finished job. CSV is RFC 4180 with a header; Parquet is compressed with Zstandard. Empty, or null,
            is what was not measured or does not apply. Numbers are those of the layer-functionality document, where their definitions are
            (`GET /v1/schemas/layer-functionality-1.0.json`). This page is made from the code.


            """.ReplaceLineEndings("\n"));
        Append("features", "A row for every feature and task.", ResultTables.Features.Columns);
        Append("cells", "A row for every layer and label. What only established and suggestive cells have is null for others.", ResultTables.Cells.Columns);
        Append("probes", "A row for every layer and task, and for every label of it: information between the layer's vectors and the labels.", ResultTables.Probes.Columns);
        text.Append("""
            ## Neuronpedia

            `GET /v1/jobs/{id}/layers/{layer}/neuronpedia?model=…&source=…`, as soon as the layer is labelled: JSON Lines, each line a body of Neuronpedia's
            `POST /api/feature/upload-batch`, `{modelId, source, features}` with at most 128 features that fire on some word. A feature has `index`; `density`, the share of
            words it fires on; `topLogits` and `bottomLogits`, ten tokens of the model each, with the change of their logits per unit of activation; `explanations`,
            a text `task: label` for every task it is highly consistent for; and `activations`. `GET …/features/{index}?view=neuronpedia` has the members of Neuronpedia's
            `GET /api/feature/{modelId}/{layer}/{index}`; what was not measured there is an empty array or null.

            Activations are of words: `tokens` are words as the data set has them, not tokens of the model, without the spaces between them, and `values` are the largest
            activation among a word's tokens, or that of its last where `labels.subword_policy` is `last`. The first twenty are where the feature fires most strongly
            (`quantileMin` and `quantileFraction` -1, `quantileMax` the maximum). Then come three of each of five equal intervals of the activations from 0 to the maximum,
            the strongest interval first, drawn at random but always the same: `quantileMin` to below `quantileMax`, and `quantileFraction`, the share of the words it fires on that
            lie in it. No sentence comes twice among the first, nor in an interval.
            """.ReplaceLineEndings("\n"));
        var file = Path.Combine(SharedData.RepositoryRoot, "docs", "exports.md");
        var made = text.ToString().TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            await File.WriteAllTextAsync(file, made, Ct);
        }
        Assert.True(made == (await File.ReadAllTextAsync(file, Ct)).ReplaceLineEndings("\n"), "docs/exports.md differs from the columns; UPDATE_GOLDEN=1 rewrites it");

        void Append<T>(string name, string about, IReadOnlyList<ExportColumn<T>> columns)
        {
            Assert.Equal(columns.Count, columns.Select(c => c.Name).Distinct().Count());
            text.Append(CultureInfo.InvariantCulture, $"## {name}\n\n{about}\n\n| column | type | what |\n|---|---|---|\n");
            foreach (var column in columns)
                text.Append(CultureInfo.InvariantCulture, $"| `{column.Name}` | {column.Kind} | {column.Meaning} |\n");
            text.Append('\n');
        }
    }

    /// <summary>By Parquet.Net's reader, as text in the form of CSV.</summary>
    private static async Task<List<(string Name, List<string?> Values)>> ReadAsync(byte[] bytes)
    {
        await using var reader = await ParquetReader.CreateAsync(new MemoryStream(bytes), cancellationToken: Ct);
        var columns = reader.Schema.GetDataFields().Select(f => (Field: f, Values: new List<string?>())).ToList();
        for (var g = 0; g < reader.RowGroupCount; g++)
        {
            using var group = reader.OpenRowGroupReader(g);
            foreach (var (field, values) in columns)
                if (!field.ClrType.IsPrimitive)
                {
                    var read = new string?[group.RowCount];
                    await group.ReadAsync(field, read.AsMemory()!, cancellationToken: Ct);
                    values.AddRange(read);
                }
                else
                    values.AddRange(field.ClrType == typeof(int) ? await Of<int>(field) : field.ClrType == typeof(double) ? await Of<double>(field) : await Of<bool>(field));

            async Task<IEnumerable<string?>> Of<T>(DataField field) where T : struct
            {
                var read = new T?[group.RowCount];
                await group.ReadAsync<T>(field, read.AsMemory(), cancellationToken: Ct);
                return read.Select(v => v is bool truth ? truth ? "true" : "false" : Convert.ToString(v, CultureInfo.InvariantCulture) is { Length: > 0 } text ? text : null);
            }
        }
        return columns.ConvertAll(c => (c.Field.Name, c.Values));
    }

    private static List<(string Name, List<string?> Values)> ReadWithOurs(byte[] bytes)
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory().FullName, "x.parquet");
        File.WriteAllBytes(path, bytes);
        using var file = File.OpenRead(path);
        var footer = ParquetFooter.Read(file);
        var columns = footer.Leaves.Select(l => (Leaf: l, Values: new List<string?>())).Where(c => ColumnCursor.CanRead(c.Leaf)).ToList();
        foreach (var group in footer.RowGroups)
            foreach (var (leaf, values) in columns)
            {
                var cursor = new ColumnCursor(file.SafeFileHandle, leaf, group.Chunks[footer.Leaves.IndexOf(leaf)], new ExpansionBudget(1 << 26));
                for (var row = 0; row < group.Rows; row++)
                    values.Add(cursor.Next() is [var cell] ? cell.Text : null);
            }
        return columns.ConvertAll(c => (c.Leaf.Column, c.Values));
    }

    /// <summary>RFC 4180.</summary>
    private static List<string[]> Records(string csv)
    {
        var records = new List<string[]>();
        var fields = new List<string>();
        var field = new StringBuilder();
        var quoted = false;
        for (var i = 0; i < csv.Length; i++)
            if (quoted && csv[i] == '"' && i + 1 < csv.Length && csv[i + 1] == '"')
                field.Append(csv[i++]);
            else if (csv[i] == '"')
                quoted = !quoted;
            else if (!quoted && csv[i] is ',' or '\n')
            {
                fields.Add(field.ToString());
                field.Clear();
                if (csv[i] == ',')
                    continue;
                records.Add([.. fields]);
                fields.Clear();
            }
            else if (quoted || csv[i] != '\r')
                field.Append(csv[i]);
        return records;
    }

    /// <summary>Standard output; null where it fails.</summary>
    private static async Task<string?> PythonAsync(string python, string script, byte[] input)
    {
        using var process = Process.Start(new ProcessStartInfo(python, ["-c", script]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEndAsync(Ct);
        var errors = process.StandardError.ReadToEndAsync(Ct);
        await process.StandardInput.BaseStream.WriteAsync(input, Ct);
        process.StandardInput.Close();
        await process.WaitForExitAsync(Ct);
        return process.ExitCode == 0 ? await output : (await errors, (string?)null).Item2;
    }

    /// <summary>As an answer is: written forwards, asynchronously, and never asked how far it is.</summary>
    private sealed class ForwardOnly(Stream target) : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() => throw new InvalidOperationException("synchronous");
        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new InvalidOperationException("synchronous");
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => target.WriteAsync(buffer, cancellationToken);
    }
}
