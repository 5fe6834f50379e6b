#include "cli/verify/findings.h"

#include <string.h>

static bool is_kind(const hd_json_value *value, hd_json_kind kind)
{
    return value != NULL && value->kind == kind;
}

static bool all_are(const hd_json_value *array, hd_json_kind kind)
{
    if (!is_kind(array, JSON_ARRAY)) {
        return false;
    }
    for (const hd_json_value *one = array->first; one != NULL; one = one->next) {
        if (one->kind != kind) {
            return false;
        }
    }
    return true;
}

static bool is_count(const hd_json_value *object, const char *key)
{
    const hd_json_value *value = hd_json_get(object, key);
    return is_kind(value, JSON_NUMBER) && value->number >= 0;
}

static const char *check_table(hd_arena *arena, const hd_json_value *table)
{
    const hd_json_value *columns = hd_json_get(table, "columns");
    const hd_json_value *rows = hd_json_get(table, "rows");
    if (!is_kind(hd_json_get(table, "title"), JSON_STRING)) {
        return "a table has no title";
    }
    const char *title = hd_json_text(table, "title");
    if (!all_are(columns, JSON_STRING) || columns->count == 0 || !all_are(rows, JSON_ARRAY)) {
        return hd_arena_format(arena, "table '%s' has no columns or rows", title);
    }
    for (const hd_json_value *row = rows->first; row != NULL; row = row->next) {
        if (row->count != columns->count) {
            return hd_arena_format(arena, "a row of table '%s' has %zu cells, not %zu", title,
                                   row->count, columns->count);
        }
        for (const hd_json_value *cell = row->first; cell != NULL; cell = cell->next) {
            if (cell->kind == JSON_ARRAY || cell->kind == JSON_OBJECT) {
                return hd_arena_format(arena, "a cell of table '%s' is no single value", title);
            }
        }
    }
    return NULL;
}

static const char *check_plot(hd_arena *arena, const hd_json_value *plot)
{
    const char *title = hd_json_text(plot, "title"), *kind = hd_json_text(plot, "kind");
    const hd_json_value *series = hd_json_get(plot, "series");
    bool bars = strcmp(kind, "bars") == 0;
    if (*title == '\0' || (!bars && strcmp(kind, "lines") != 0) ||
        *hd_json_text(plot, "y_label") == '\0' || !all_are(series, JSON_OBJECT)) {
        return hd_arena_format(arena, "plot '%s' lacks a title, kind, y_label or series", title);
    }
    for (const hd_json_value *one = series->first; one != NULL; one = one->next) {
        const hd_json_value *points = hd_json_get(one, "points");
        if (!is_kind(hd_json_get(one, "name"), JSON_STRING) || !all_are(points, JSON_ARRAY)) {
            return hd_arena_format(arena, "a series of plot '%s' has no name or points", title);
        }
        for (const hd_json_value *point = points->first; point != NULL; point = point->next) {
            if (point->count != 2 || point->last->kind != JSON_NUMBER ||
                point->first->kind != (bars ? JSON_STRING : JSON_NUMBER)) {
                return hd_arena_format(arena, "a point of plot '%s' is none", title);
            }
        }
    }
    return NULL;
}

const char *hd_findings_check(hd_arena *arena, const hd_json_value *findings)
{
    static const char *const lists[] = {"notes", "tables", "plots"};
    if (!is_kind(findings, JSON_OBJECT) || hd_json_amount(findings, "schema_version") != 1) {
        return "schema_version is not 1";
    }
    if (*hd_json_text(findings, "verdict") == '\0') {
        return "there is no verdict";
    }
    if (!is_count(findings, "passed") || !is_count(findings, "failed")) {
        return "passed or failed is no count";
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const hd_json_value *list = hd_json_get(findings, lists[i]);
        if (list != NULL && !all_are(list, i == 0 ? JSON_STRING : JSON_OBJECT)) {
            return hd_arena_format(arena, "%s is no list of them", lists[i]);
        }
        const hd_json_value *one = list == NULL ? NULL : list->first;
        for (; one != NULL && i > 0; one = one->next) {
            const char *wrong = i == 1 ? check_table(arena, one) : check_plot(arena, one);
            if (wrong != NULL) {
                return wrong;
            }
        }
    }
    return NULL;
}

hd_json_value *hd_table_make(hd_arena *arena, const char *title, const char *const *columns)
{
    hd_json_value *table = hd_json_make(arena, JSON_OBJECT);
    hd_json_set(table, "title", hd_json_make_text(arena, title));
    hd_json_value *names = hd_json_set(table, "columns", hd_json_make(arena, JSON_ARRAY));
    for (; *columns != NULL; columns++) {
        hd_json_append(names, hd_json_make_text(arena, *columns));
    }
    hd_json_set(table, "rows", hd_json_make(arena, JSON_ARRAY));
    return table;
}

hd_json_value *hd_table_add_row(hd_arena *arena, hd_json_value *table)
{
    return hd_json_append(hd_json_get(table, "rows"), hd_json_make(arena, JSON_ARRAY));
}

void hd_row_add_text(hd_arena *arena, hd_json_value *row, const char *text)
{
    hd_json_append(row, hd_json_make_text(arena, text));
}

void hd_row_add_number(hd_arena *arena, hd_json_value *row, double number)
{
    hd_json_append(row, hd_json_make_number(arena, number));
}

hd_json_value *hd_plot_make(hd_arena *arena, const char *title, hd_plot_axis x, hd_plot_axis y)
{
    hd_json_value *plot = hd_json_make(arena, JSON_OBJECT);
    hd_json_set(plot, "title", hd_json_make_text(arena, title));
    hd_json_set(plot, "kind", hd_json_make_text(arena, "lines"));
    hd_json_set(plot, "x_label", hd_json_make_text(arena, x.label));
    hd_json_set(plot, "y_label", hd_json_make_text(arena, y.label));
    hd_json_set(plot, "x_log", hd_json_make(arena, JSON_BOOLEAN))->boolean = x.logarithmic;
    hd_json_set(plot, "y_log", hd_json_make(arena, JSON_BOOLEAN))->boolean = y.logarithmic;
    hd_json_set(plot, "series", hd_json_make(arena, JSON_ARRAY));
    return plot;
}

hd_json_value *hd_plot_series(hd_arena *arena, hd_json_value *plot, const char *name)
{
    hd_json_value *list = hd_json_get(plot, "series"), *series = list->first;
    while (series != NULL && strcmp(hd_json_text(series, "name"), name) != 0) {
        series = series->next;
    }
    if (series == NULL) {
        series = hd_json_append(list, hd_json_make(arena, JSON_OBJECT));
        hd_json_set(series, "name", hd_json_make_text(arena, name));
        hd_json_set(series, "points", hd_json_make(arena, JSON_ARRAY));
    }
    return series;
}

void hd_plot_add_point(hd_arena *arena, hd_json_value *series, double x, double y)
{
    hd_json_value *point =
        hd_json_append(hd_json_get(series, "points"), hd_json_make(arena, JSON_ARRAY));
    hd_json_append(point, hd_json_make_number(arena, x));
    hd_json_append(point, hd_json_make_number(arena, y));
}
