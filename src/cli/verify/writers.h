/* Writers: the report in its three formats. Each walks over the document of docs/report.md, and escapes every text.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_VERIFY_WRITERS_H
#define HEDDLE_CLI_VERIFY_WRITERS_H

#include <stdio.h>

#include "cli/verify/json_value.h"

/* The stream's error tells whether all was written. */
void hd_report_write_markdown(FILE *stream, const hd_json_value *report);
void hd_report_write_html(FILE *stream, const hd_json_value *report);

/* A plot as an SVG element, whose colours are those of the page's style. */
void hd_plot_write_svg(FILE *stream, const hd_json_value *plot);
/* The mark and colour of the index-th series, as a small SVG element for a legend. */
void hd_plot_write_key(FILE *stream, size_t index);

/* The page's style sheet. */
extern const char hd_report_style[];

/* A table that is longer is folded away until the reader asks. */
#define TABLE_ROWS_OPEN 14

#endif
