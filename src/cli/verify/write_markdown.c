#include "cli/verify/escape.h"
#include "cli/verify/verdict.h"
#include "cli/verify/writers.h"

static void write_row(FILE *stream, const hd_json_value *row)
{
    char room[CELL_TEXT_MAX];
    fputc('|', stream);
    for (const hd_json_value *cell = row->first; cell != NULL; cell = cell->next) {
        fputc(' ', stream);
        hd_escape_markdown(stream, hd_cell_text(cell, room));
        fputs(" |", stream);
    }
    fputc('\n', stream);
}

static void write_table(FILE *stream, const hd_json_value *table)
{
    const hd_json_value *columns = hd_json_get(table, "columns"),
                        *rows = hd_json_get(table, "rows");
    bool folded = rows->count > TABLE_ROWS_OPEN;
    if (folded) {
        fputs("<details><summary>", stream);
        hd_escape_html(stream, hd_json_text(table, "title"));
        fprintf(stream, " (%zu rows)</summary>\n\n", rows->count);
    } else {
        fputs("**", stream);
        hd_escape_markdown(stream, hd_json_text(table, "title"));
        fputs("**\n\n", stream);
    }
    write_row(stream, columns);
    for (size_t i = 0; i < columns->count; i++) {
        fputs(hd_column_is_numeric(table, i) ? "|---:" : "|---", stream);
    }
    fputs("|\n", stream);
    for (const hd_json_value *row = rows->first; row != NULL; row = row->next) {
        write_row(stream, row);
    }
    fputs(folded ? "\n</details>\n\n" : "\n", stream);
}

static void write_member(FILE *stream, const char *before, const hd_json_value *object,
                         const char *key, const char *behind)
{
    fputs(before, stream);
    hd_escape_markdown(stream, hd_json_text(object, key));
    fputs(behind, stream);
}

/* One line of the list that follows a section's text: a part, or a line of the overview. */
static void write_verdict(FILE *stream, const hd_json_value *object)
{
    char counts[VERDICT_TEXT_MAX], duration[VERDICT_TEXT_MAX];
    write_member(stream, "**", object, "verdict", "**");
    if (*hd_counts_text(object, counts) != '\0') {
        fprintf(stream, ", %s", counts);
    }
    if (hd_json_amount(object, "seconds") > 0) {
        fprintf(stream, ", %s", hd_duration_text(hd_json_amount(object, "seconds"), duration));
    }
    if (*hd_json_text(object, "reason") != '\0') {
        write_member(stream, ". ", object, "reason", "");
    }
}

static void write_section(FILE *stream, const hd_json_value *section)
{
    write_member(stream, "## ", section, "title", "\n\n");
    write_verdict(stream, section);
    fputs("\n\n", stream);
    hd_escape_markdown_line(stream, hd_json_text(section, "about"));
    fputs("\n\n", stream);
    const hd_json_value *note = hd_json_get(section, "notes")->first;
    for (; note != NULL; note = note->next) {
        fputs("- ", stream);
        hd_escape_markdown_line(stream, note->text);
        fputs(note->next == NULL ? "\n\n" : "\n", stream);
    }
    const hd_json_value *table = hd_json_get(section, "tables")->first;
    for (; table != NULL; table = table->next) {
        write_table(stream, table);
    }
    const hd_json_value *part = hd_json_get(section, "parts")->first;
    for (; part != NULL; part = part->next) {
        fputs("- ", stream);
        if (*hd_json_text(part, "name") != '\0') {
            hd_escape_markdown_line(stream, hd_json_text(part, "name"));
            fputs(": ", stream);
        }
        write_verdict(stream, part);
        if (*hd_json_text(part, "command") != '\0') {
            write_member(stream, "; ", part, "command", "");
        }
        fputc('\n', stream);
    }
    fputc('\n', stream);
}

void hd_report_write_markdown(FILE *stream, const hd_json_value *report)
{
    char counts[VERDICT_TEXT_MAX], duration[VERDICT_TEXT_MAX];
    const hd_json_value *sections = hd_json_get(report, "sections");
    write_member(stream, "# Heddle verification report: ", report, "verdict", "\n\n");
    write_member(stream, "", report, "summary", "\n\n");
    write_member(stream, "Heddle ", report, "version", "");
    write_member(stream, " on ", report, "system", "; devices: ");
    write_member(stream, "", report, "device", "; ");
    write_member(stream, "", report, "started", "");
    fprintf(stream, ", %s. Plots are in report.html, all figures in report.json, too.\n\n",
            hd_duration_text(hd_json_amount(report, "seconds"), duration));
    fputs("| | section | checks | time |\n|---|---|---|---:|\n", stream);
    for (const hd_json_value *section = sections->first; section != NULL; section = section->next) {
        write_member(stream, "| ", section, "verdict", " | ");
        write_member(stream, "", section, "title", " | ");
        double seconds = hd_json_amount(section, "seconds");
        fprintf(stream, "%s | %s |\n", hd_counts_text(section, counts),
                seconds > 0 ? hd_duration_text(seconds, duration) : "");
    }
    fputc('\n', stream);
    for (const hd_json_value *section = sections->first; section != NULL; section = section->next) {
        write_section(stream, section);
    }
}
