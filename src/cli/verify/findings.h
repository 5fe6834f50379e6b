/* Findings: what a checker writes for the report (docs/report.md), and tables and plots made here.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_VERIFY_FINDINGS_H
#define HEDDLE_CLI_VERIFY_FINDINGS_H

#include "cli/verify/json_value.h"

/* What is not as it should be, or NULL. */
const char *hd_findings_check(hd_arena *arena, const hd_json_value *findings);

/* A table without rows. `columns` ends with NULL. */
hd_json_value *hd_table_make(hd_arena *arena, const char *title, const char *const *columns);
/* An empty row at the table's end; cells are appended to it, one a column. */
hd_json_value *hd_table_add_row(hd_arena *arena, hd_json_value *table);
void hd_row_add_text(hd_arena *arena, hd_json_value *row, const char *text); /* NULL: nothing */
void hd_row_add_number(hd_arena *arena, hd_json_value *row, double number);

typedef struct hd_plot_axis {
    const char *label; /* with its unit */
    bool logarithmic;
} hd_plot_axis;

/* A plot of lines without any. */
hd_json_value *hd_plot_make(hd_arena *arena, const char *title, hd_plot_axis x, hd_plot_axis y);
/* The line of that name; made where there is none. */
hd_json_value *hd_plot_series(hd_arena *arena, hd_json_value *plot, const char *name);
void hd_plot_add_point(hd_arena *arena, hd_json_value *series, double x, double y);

#endif
