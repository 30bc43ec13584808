using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace SaeService.Storage.Migrations
{
    /// <inheritdoc />
    public partial class StageMemoryAndVacuum : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<long>(
                name: "peak_bytes",
                table: "stages",
                type: "bigint",
                nullable: true);

            // Lists are answered from indexes alone once a vacuum has marked their pages as seen by all. By its own measure, a share of the whole table, it would not come for a
            // job beside many others: it comes for every layer's rows.
            migrationBuilder.Sql("ALTER TABLE features SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000)");
            migrationBuilder.Sql("ALTER TABLE feature_labels SET (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000)");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.Sql("ALTER TABLE features RESET (autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold)");
            migrationBuilder.Sql("ALTER TABLE feature_labels RESET (autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold)");

            migrationBuilder.DropColumn(
                name: "peak_bytes",
                table: "stages");
        }
    }
}
