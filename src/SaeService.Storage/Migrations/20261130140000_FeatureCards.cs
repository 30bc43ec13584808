using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace SaeService.Storage.Migrations
{
    /// <inheritdoc />
    public partial class FeatureCards : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "ix_feature_labels_job_id_layer_task_label",
                table: "feature_labels");

            migrationBuilder.AddColumn<string>(
                name: "intervals",
                table: "features",
                type: "jsonb",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "label_histograms",
                table: "features",
                type: "jsonb",
                nullable: true);

            migrationBuilder.AddColumn<string>(
                name: "promoted_tokens",
                table: "features",
                type: "text",
                nullable: true);

            migrationBuilder.CreateIndex(
                name: "ix_features_job_id_layer_index",
                table: "features",
                columns: new[] { "job_id", "layer", "index" })
                .Annotation("Npgsql:IndexInclude", new[] { "density", "max_activation", "promoted_tokens" });

            migrationBuilder.CreateIndex(
                name: "ix_feature_labels_job_id_layer_task_label",
                table: "feature_labels",
                columns: new[] { "job_id", "layer", "task", "label" })
                .Annotation("Npgsql:IndexInclude", new[] { "index", "kind", "consistent", "consistency", "consistency_lower", "f1", "mcc", "mi_bits", "context_gain", "support" });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "ix_features_job_id_layer_index",
                table: "features");

            migrationBuilder.DropIndex(
                name: "ix_feature_labels_job_id_layer_task_label",
                table: "feature_labels");

            migrationBuilder.DropColumn(
                name: "intervals",
                table: "features");

            migrationBuilder.DropColumn(
                name: "label_histograms",
                table: "features");

            migrationBuilder.DropColumn(
                name: "promoted_tokens",
                table: "features");

            migrationBuilder.CreateIndex(
                name: "ix_feature_labels_job_id_layer_task_label",
                table: "feature_labels",
                columns: new[] { "job_id", "layer", "task", "label" });
        }
    }
}
