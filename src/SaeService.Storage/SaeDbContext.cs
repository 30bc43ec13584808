using Microsoft.EntityFrameworkCore;

namespace SaeService.Storage;

/// <summary>Snake-case tables in schema <c>public</c>; Hangfire keeps its own in <c>hangfire</c>.</summary>
public sealed class SaeDbContext(DbContextOptions<SaeDbContext> options) : DbContext(options)
{
    public DbSet<JobRow> Jobs => Set<JobRow>();
    public DbSet<StageRow> Stages => Set<StageRow>();
    public DbSet<JobEventRow> JobEvents => Set<JobEventRow>();
    public DbSet<ArtifactRow> Artifacts => Set<ArtifactRow>();
    public DbSet<DatasetRow> Datasets => Set<DatasetRow>();
    public DbSet<LayerRow> Layers => Set<LayerRow>();
    public DbSet<FeatureRow> Features => Set<FeatureRow>();
    public DbSet<FeatureLabelRow> FeatureLabels => Set<FeatureLabelRow>();
    public DbSet<CellRow> Cells => Set<CellRow>();
    public DbSet<ProbeRow> Probes => Set<ProbeRow>();
    public DbSet<ApiKeyRow> ApiKeys => Set<ApiKeyRow>();
    public DbSet<IdempotencyKeyRow> IdempotencyKeys => Set<IdempotencyKeyRow>();
    public DbSet<InspectionRow> Inspections => Set<InspectionRow>();
    public DbSet<WebhookDeliveryRow> WebhookDeliveries => Set<WebhookDeliveryRow>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configuration)
    {
        configuration.Properties<Enum>().HaveConversion<string>().HaveMaxLength(32);
    }

    protected override void OnModelCreating(ModelBuilder model)
    {
        model.Entity<JobRow>(job =>
        {
            job.ToTable("jobs");
            job.Property(x => x.RequestJson).HasColumnName("request").HasColumnType("jsonb");
            job.Property(x => x.EstimateJson).HasColumnName("estimate").HasColumnType("jsonb");
            job.Property(x => x.ErrorJson).HasColumnName("error").HasColumnType("jsonb");
            job.Property(x => x.Version).IsRowVersion();
            // Ids are version 7 and so sort by time: lists page by id alone.
            job.HasIndex(x => new { x.ApiKeyId, x.Id }).IsDescending();
            job.HasIndex(x => x.Status);
        });
        model.Entity<StageRow>(stage =>
        {
            stage.ToTable("stages");
            stage.Property(x => x.ErrorJson).HasColumnName("error").HasColumnType("jsonb");
            stage.Property(x => x.Version).IsRowVersion();
            stage.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
            stage.HasIndex(x => new { x.JobId, x.Ordinal }).IsUnique();
            stage.HasIndex(x => x.Status);
        });
        model.Entity<JobEventRow>(e =>
        {
            e.ToTable("job_events");
            e.Property(x => x.Id).UseIdentityAlwaysColumn();
            e.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
            e.HasIndex(x => new { x.JobId, x.Id });
        });
        model.Entity<ArtifactRow>(artifact =>
        {
            artifact.ToTable("artifacts");
            artifact.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
            // A stage publishes once: no name twice.
            artifact.HasIndex(x => new { x.JobId, x.Stage, x.Layer, x.Name }).IsUnique().AreNullsDistinct(false);
        });
        model.Entity<DatasetRow>(dataset =>
        {
            dataset.ToTable("datasets");
            dataset.Property(x => x.StatisticsJson).HasColumnName("statistics").HasColumnType("jsonb");
            dataset.HasIndex(x => new { x.Name, x.ApiKeyId }).IsUnique().AreNullsDistinct(false);
        });
        model.Entity<LayerRow>(layer =>
        {
            layer.ToTable("layers");
            layer.HasKey(x => new { x.JobId, x.Layer });
            layer.Property(x => x.SaeJson).HasColumnName("sae").HasColumnType("jsonb");
            layer.Property(x => x.TrainingJson).HasColumnName("training").HasColumnType("jsonb");
            layer.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
        });
        model.Entity<FeatureRow>(feature =>
        {
            feature.ToTable("features");
            feature.HasKey(x => new { x.JobId, x.Layer, x.Index });
            feature.Property(x => x.HistogramJson).HasColumnName("histogram").HasColumnType("jsonb");
            feature.Property(x => x.ContextsJson).HasColumnName("contexts").HasColumnType("jsonb");
            feature.Property(x => x.PromotedJson).HasColumnName("promoted").HasColumnType("jsonb");
            feature.Property(x => x.SuppressedJson).HasColumnName("suppressed").HasColumnType("jsonb");
            feature.Property(x => x.IntervalsJson).HasColumnName("intervals").HasColumnType("jsonb");
            feature.Property(x => x.LabelHistogramsJson).HasColumnName("label_histograms").HasColumnType("jsonb");
            // A row is some kilobytes wide. Lists filter and sort by what these two indexes hold, and read the rows of their page alone.
            feature.HasIndex(x => new { x.JobId, x.Layer, x.Index }).IncludeProperties(x => new { x.Density, x.MaxActivation, x.PromotedTokens });
            feature.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
        });
        model.Entity<FeatureLabelRow>(label =>
        {
            label.ToTable("feature_labels");
            label.HasKey(x => new { x.JobId, x.Layer, x.Index, x.Task });
            label.Property(x => x.SummaryJson).HasColumnName("summary").HasColumnType("jsonb");
            label.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
            label.HasIndex(x => new { x.JobId, x.Layer, x.Task, x.Label }).IncludeProperties(x =>
                new { x.Index, x.Kind, x.Consistent, x.Consistency, x.ConsistencyLower, x.F1, x.Mcc, x.MiBits, x.ContextGain, x.Support });
        });
        model.Entity<CellRow>(cell =>
        {
            cell.ToTable("cells");
            cell.HasKey(x => new { x.JobId, x.Layer, x.Task, x.Label });
            cell.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
        });
        model.Entity<ProbeRow>(probe =>
        {
            probe.ToTable("probes");
            probe.HasKey(x => new { x.JobId, x.Layer, x.Task });
            probe.Property(x => x.InformationJson).HasColumnName("information").HasColumnType("jsonb");
            probe.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
        });
        model.Entity<ApiKeyRow>(key =>
        {
            key.ToTable("api_keys");
            key.HasIndex(x => x.Sha256).IsUnique();
        });
        model.Entity<IdempotencyKeyRow>(key =>
        {
            key.ToTable("idempotency_keys");
            key.HasKey(x => new { x.Owner, x.Key });
            key.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
            key.HasIndex(x => x.CreatedAt);
        });
        model.Entity<InspectionRow>(inspection =>
        {
            inspection.ToTable("inspections");
            inspection.Property(x => x.RequestJson).HasColumnName("request").HasColumnType("jsonb");
            inspection.Property(x => x.AnswerJson).HasColumnName("answer").HasColumnType("jsonb");
            inspection.Property(x => x.ErrorJson).HasColumnName("error").HasColumnType("jsonb");
            inspection.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
        });
        model.Entity<WebhookDeliveryRow>(delivery =>
        {
            delivery.ToTable("webhook_deliveries");
            delivery.HasOne<JobRow>().WithMany().HasForeignKey(x => x.JobId).OnDelete(DeleteBehavior.Cascade);
            delivery.HasIndex(x => x.NextAttemptAt);
        });
    }
}
