using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace SaeService.Storage.Migrations
{
    /// <inheritdoc />
    public partial class JobEstimates : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "estimate",
                table: "jobs",
                type: "jsonb",
                nullable: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropColumn(
                name: "estimate",
                table: "jobs");
        }
    }
}
