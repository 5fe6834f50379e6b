#include <string.h>

#include "cli/verify/escape.h"
#include "cli/verify/verdict.h"
#include "cli/verify/writers.h"

static const char *badge_class(const char *text)
{
    static const char *const verdicts[][2] = {
        {"PASS", "pass"},     {"FAIL", "fail"},     {"SKIPPED", "skip"},
        {"STALE", "fail"},    {"killed", "pass"},   {"CHECKED EARLIER", "earlier"},
        {"rejected", "pass"}, {"SURVIVES", "fail"},
    };
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        if (strcmp(text, verdicts[i][0]) == 0) {
            return verdicts[i][1];
        }
    }
    return NULL;
}

static void write_badge(FILE *stream, const char *text)
{
    const char *class = badge_class(text);
    fprintf(stream, "<span class=\"badge %s\">", class == NULL ? "fail" : class);
    hd_escape_html(stream, text);
    fputs("</span>", stream);
}

static void write_member(FILE *stream, const char *before, const hd_json_value *object,
                         const char *key, const char *behind)
{
    fputs(before, stream);
    hd_escape_html(stream, hd_json_text(object, key));
    fputs(behind, stream);
}

static void write_cell(FILE *stream, const hd_json_value *cell, bool numeric)
{
    char room[CELL_TEXT_MAX];
    const char *text = hd_cell_text(cell, room);
    fputs(numeric ? "<td class=\"number\">" : "<td>", stream);
    if (cell->kind == JSON_STRING && badge_class(text) != NULL) {
        write_badge(stream, text);
    } else {
        hd_escape_html(stream, text);
    }
    fputs("</td>", stream);
}

/* Nothing where no column has a name. */
static void write_head(FILE *stream, const hd_json_value *table, const hd_json_value *columns)
{
    const hd_json_value *column = columns->first;
    while (column != NULL && *column->text == '\0') {
        column = column->next;
    }
    if (column == NULL) {
        return;
    }
    fputs("<thead><tr>", stream);
    column = columns->first;
    for (size_t i = 0; column != NULL; column = column->next, i++) {
        fputs(hd_column_is_numeric(table, i) ? "<th class=\"number\" scope=\"col\">"
                                             : "<th scope=\"col\">",
              stream);
        hd_escape_html(stream, column->text);
        fputs("</th>", stream);
    }
    fputs("</tr></thead>", stream);
}

static void write_table(FILE *stream, const hd_json_value *table)
{
    const hd_json_value *columns = hd_json_get(table, "columns"),
                        *rows = hd_json_get(table, "rows");
    bool folded = rows->count > TABLE_ROWS_OPEN;
    fputs(folded ? "<details class=\"table\"><summary>" : "<h3>", stream);
    hd_escape_html(stream, hd_json_text(table, "title"));
    if (folded) {
        fprintf(stream, " <span class=\"quiet\">%zu rows</span></summary>\n", rows->count);
    } else {
        fputs("</h3>\n", stream);
    }
    fputs("<div class=\"scroll\" tabindex=\"0\"><table>", stream);
    write_head(stream, table, columns);
    fputs("<tbody>\n", stream);
    for (const hd_json_value *row = rows->first; row != NULL; row = row->next) {
        const hd_json_value *cell = row->first;
        fputs("<tr>", stream);
        for (size_t i = 0; cell != NULL; cell = cell->next, i++) {
            write_cell(stream, cell, hd_column_is_numeric(table, i));
        }
        fputs("</tr>\n", stream);
    }
    fputs("</tbody></table></div>\n", stream);
    if (folded) {
        fputs("</details>\n", stream);
    }
}

static void write_plots(FILE *stream, const hd_json_value *plots)
{
    if (plots->count == 0) {
        return;
    }
    fputs("<div class=\"plots\">\n", stream);
    for (const hd_json_value *plot = plots->first; plot != NULL; plot = plot->next) {
        const hd_json_value *series = hd_json_get(plot, "series")->first;
        write_member(stream, "<figure><figcaption>", plot, "title", "</figcaption>\n");
        hd_plot_write_svg(stream, plot);
        fputs("<p class=\"legend\">", stream);
        for (size_t i = 0; series != NULL; series = series->next, i++) {
            if (hd_json_get(plot, "series")->count > 1) {
                fputs("<span>", stream);
                hd_plot_write_key(stream, i);
                hd_escape_html(stream, hd_json_text(series, "name"));
                fputs("</span> ", stream);
            }
        }
        fputs("</p></figure>\n", stream);
    }
    fputs("</div>\n", stream);
}

static void write_parts(FILE *stream, const hd_json_value *parts)
{
    char counts[VERDICT_TEXT_MAX], duration[VERDICT_TEXT_MAX];
    bool ran = false;
    for (const hd_json_value *part = parts->first; part != NULL; part = part->next) {
        ran = ran || *hd_json_text(part, "command") != '\0';
    }
    if (!ran) {
        return;
    }
    fputs("<details class=\"parts\"><summary>How it was run</summary><ul>\n", stream);
    for (const hd_json_value *part = parts->first; part != NULL; part = part->next) {
        fputs("<li>", stream);
        write_badge(stream, hd_json_text(part, "verdict"));
        write_member(stream, " ", part, "name", " ");
        const char *counted = hd_counts_text(part, counts);
        fprintf(stream, "<span class=\"quiet\">%s%s%s</span>", counted,
                *counted != '\0' ? ", " : "",
                hd_duration_text(hd_json_amount(part, "seconds"), duration));
        if (*hd_json_text(part, "reason") != '\0') {
            write_member(stream, "<br>", part, "reason", "");
        }
        if (*hd_json_text(part, "command") != '\0') {
            write_member(stream, "<br><code>", part, "command", "</code>");
            write_member(stream, "<br><span class=\"quiet\">what it printed: ", part, "log",
                         "</span>");
        }
        fputs("</li>\n", stream);
    }
    fputs("</ul></details>\n", stream);
}

/* Parts that did not run, or went wrong, above everything else. */
static void write_problems(FILE *stream, const hd_json_value *section)
{
    const hd_json_value *part = hd_json_get(section, "parts")->first;
    for (; part != NULL; part = part->next) {
        if (hd_verdict_of(part) == VERDICT_PASS) {
            continue;
        }
        fputs("<p class=\"problem\">", stream);
        write_badge(stream, hd_json_text(part, "verdict"));
        fputc(' ', stream);
        if (*hd_json_text(part, "name") != '\0') {
            write_member(stream, "", part, "name", ": ");
        }
        write_member(stream, "", part, "reason", "</p>\n");
    }
}

static void write_section(FILE *stream, const hd_json_value *section)
{
    char counts[VERDICT_TEXT_MAX];
    write_member(stream, "<section id=\"", section, "id", "\">\n<h2>");
    write_badge(stream, hd_json_text(section, "verdict"));
    write_member(stream, " ", section, "title", "");
    fprintf(stream, " <span class=\"quiet\">%s</span></h2>\n", hd_counts_text(section, counts));
    write_member(stream, "<p class=\"about\">", section, "about", "</p>\n");
    write_problems(stream, section);
    const hd_json_value *note = hd_json_get(section, "notes")->first;
    for (; note != NULL; note = note->next) {
        fputs("<p class=\"note\">", stream);
        hd_escape_html(stream, note->text);
        fputs("</p>\n", stream);
    }
    write_plots(stream, hd_json_get(section, "plots"));
    const hd_json_value *table = hd_json_get(section, "tables")->first;
    for (; table != NULL; table = table->next) {
        write_table(stream, table);
    }
    write_parts(stream, hd_json_get(section, "parts"));
    fputs("</section>\n", stream);
}

static void write_overview(FILE *stream, const hd_json_value *sections)
{
    char counts[VERDICT_TEXT_MAX], duration[VERDICT_TEXT_MAX];
    fputs("<nav aria-label=\"Sections\"><ol>\n", stream);
    for (const hd_json_value *section = sections->first; section != NULL; section = section->next) {
        double seconds = hd_json_amount(section, "seconds");
        write_member(stream, "<li><a href=\"#", section, "id", "\"><span>");
        write_badge(stream, hd_json_text(section, "verdict"));
        write_member(stream, "</span><span class=\"title\">", section, "title", "</span>");
        fprintf(stream,
                "<span class=\"quiet\">%s</span><span class=\"quiet time\">%s</span></a></li>\n",
                hd_counts_text(section, counts),
                seconds > 0 ? hd_duration_text(seconds, duration) : "");
    }
    fputs("</ol></nav>\n", stream);
}

void hd_report_write_html(FILE *stream, const hd_json_value *report)
{
    char duration[VERDICT_TEXT_MAX];
    const hd_json_value *sections = hd_json_get(report, "sections");
    const char *class = badge_class(hd_json_text(report, "verdict"));
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n",
          stream);
    write_member(stream, "<title>Heddle verification report: ", report, "verdict", "</title>\n");
    fprintf(stream, "<style>\n%s</style>\n</head>\n<body>\n", hd_report_style);
    fprintf(stream, "<header class=\"%s\">\n", class == NULL ? "fail" : class);
    fputs("<p class=\"kicker\">Heddle verification report</p>\n<h1>", stream);
    write_member(stream, "", report, "verdict", "</h1>\n");
    write_member(stream, "<p class=\"summary\">", report, "summary", "</p>\n<dl>\n");
    write_member(stream, "<div><dt>Heddle</dt><dd>", report, "version", "</dd></div>\n");
    write_member(stream, "<div><dt>Devices</dt><dd>", report, "device", "</dd></div>\n");
    write_member(stream, "<div><dt>System</dt><dd>", report, "system", "</dd></div>\n");
    write_member(stream, "<div><dt>Run</dt><dd>", report, "started", "");
    fprintf(stream, ", %s</dd></div>\n</dl>\n</header>\n<main>\n",
            hd_duration_text(hd_json_amount(report, "seconds"), duration));
    write_overview(stream, sections);
    for (const hd_json_value *section = sections->first; section != NULL; section = section->next) {
        write_section(stream, section);
    }
    fputs("</main>\n</body>\n</html>\n", stream);
}
