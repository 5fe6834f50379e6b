#include <math.h>
#include <string.h>

#include "cli/verify/escape.h"
#include "cli/verify/writers.h"

#define WIDTH      460.0
#define HEIGHT     300.0
#define LEFT       52.0
#define RIGHT      16.0
#define TOP        28.0
#define BOTTOM     46.0
#define CHARACTER  8.4 /* its width, about, where it is largest (style.c: on a phone) */
#define BAR_RIGHT  60.0
#define BAR_ROW    20.0
#define STYLES     6
#define TICKS_MAX  64
#define NAMED_MAX  8 /* as many different values of x are ticks themselves */
#define MARKED_MAX 12

/* One direction of a plot: from values to places. */
typedef struct hd_scale {
    bool logarithmic;
    double lowest, highest;
    double from, to; /* where those are drawn */
    double ticks[TICKS_MAX];
    size_t tick_count;
} hd_scale;

static double place(const hd_scale *scale, double value)
{
    double low = scale->lowest, high = scale->highest;
    if (scale->logarithmic) {
        value = log(value > low ? value : low);
        low = log(low);
        high = log(high);
    }
    return scale->from +
           (high > low ? (value - low) / (high - low) : 0.5) * (scale->to - scale->from);
}

static void add_tick(hd_scale *scale, double value)
{
    if (scale->tick_count < TICKS_MAX) {
        scale->ticks[scale->tick_count++] = value;
    }
}

/* From 0 (or lower) up, with steps of 1, 2 or 5 times a power of ten. */
static void divide_linear(hd_scale *scale)
{
    double low = scale->lowest < 0 ? scale->lowest : 0;
    double raw = (scale->highest - low) / 5;
    double power = raw > 0 ? pow(10, floor(log10(raw))) : 1;
    double step = power;
    while (step < raw) {
        double digit = round(step / power);
        step = digit < 2 ? 2 * power : digit < 5 ? 5 * power : 10 * power;
    }
    scale->lowest = floor(low / step) * step;
    scale->highest = ceil(scale->highest / step) * step;
    if (scale->highest <= scale->lowest) {
        scale->highest = scale->lowest + step;
    }
    for (double tick = scale->lowest; tick <= scale->highest + step / 2; tick += step) {
        add_tick(scale, fabs(tick) < step / 1000 ? 0 : tick);
    }
}

/* Powers of ten, also twice and five times those where there are few. */
static void divide_logarithmic(hd_scale *scale)
{
    static const double fine[] = {1, 2, 5}, coarse[] = {1};
    double decades = log10(scale->highest / scale->lowest);
    const double *digits = decades < 2.5 ? fine : coarse;
    size_t count = decades < 2.5 ? 3 : 1;
    double power = pow(10, floor(log10(scale->lowest)));
    double low = power, high = 0;
    for (; high == 0; power *= 10) {
        for (size_t i = 0; i < count && high == 0; i++) {
            double value = digits[i] * power;
            if (value <= scale->lowest * 1.0001) {
                low = value;
            } else if (value >= scale->highest * 0.9999) {
                high = value;
            }
        }
    }
    for (power = pow(10, floor(log10(low) + 1e-9)); power <= high * 1.001; power *= 10) {
        for (size_t i = 0; i < count; i++) {
            double value = digits[i] * power;
            if (value >= low * 0.999 && value <= high * 1.001) {
                add_tick(scale, value);
            }
        }
    }
    scale->lowest = low;
    scale->highest = high;
}

/* Looks at all values of one coordinate; false where there are none. */
static bool find_range(const hd_json_value *plot, bool vertical, hd_scale *scale)
{
    bool some = false;
    const hd_json_value *series = hd_json_get(plot, "series")->first;
    for (; series != NULL; series = series->next) {
        const hd_json_value *point = hd_json_get(series, "points")->first;
        for (; point != NULL; point = point->next) {
            double value = vertical ? point->last->number : point->first->number;
            if (scale->logarithmic && !(value > 0)) {
                continue;
            }
            scale->lowest = some && scale->lowest < value ? scale->lowest : value;
            scale->highest = some && scale->highest > value ? scale->highest : value;
            some = true;
        }
    }
    return some;
}

/* Takes the values themselves for ticks, if they are few; else leaves no tick. */
static void take_values(const hd_json_value *plot, hd_scale *scale)
{
    const hd_json_value *series = hd_json_get(plot, "series")->first;
    for (; series != NULL; series = series->next) {
        const hd_json_value *point = hd_json_get(series, "points")->first;
        for (; point != NULL; point = point->next) {
            size_t i = 0;
            while (i < scale->tick_count && scale->ticks[i] != point->first->number) {
                i++;
            }
            if (i == NAMED_MAX) {
                scale->tick_count = 0;
                return;
            }
            if (i == scale->tick_count) {
                add_tick(scale, point->first->number);
            }
        }
    }
}

static const char *tick_text(double value, char room[CELL_TEXT_MAX])
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t unit = 0;
    while (fabs(value) >= 1000 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(room, CELL_TEXT_MAX, "%.3g%s", value, units[unit]);
    return room;
}

static void write_text(FILE *stream, double x, double y, const char *anchor, const char *text)
{
    fprintf(stream, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    hd_escape_html(stream, text);
    fputs("</text>", stream);
}

static void write_line(FILE *stream, const char *class, double x1, double y1, double x2, double y2)
{
    fprintf(stream, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", class,
            x1, y1, x2, y2);
}

/* A mark of its own for each series, so that colour is not all there is. */
static void write_mark(FILE *stream, size_t index, double x, double y)
{
    int style = (int)(index % STYLES);
    switch (style) {
    case 0:
        fprintf(stream, "<circle class=\"f%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>", style, x, y);
        return;
    case 1:
        fprintf(stream, "<rect class=\"f%d\" x=\"%.1f\" y=\"%.1f\" width=\"7\" height=\"7\"/>",
                style, x - 3.5, y - 3.5);
        return;
    case 2:
        fprintf(stream, "<path class=\"f%d\" d=\"M%.1f %.1fl4.5 8h-9z\"/>", style, x, y - 5);
        return;
    case 3:
        fprintf(stream, "<path class=\"f%d\" d=\"M%.1f %.1fl5 5l-5 5l-5 -5z\"/>", style, x, y - 5);
        return;
    case 4:
        fprintf(stream, "<path class=\"f%d\" d=\"M%.1f %.1fl4.5 -8h-9z\"/>", style, x, y + 5);
        return;
    default:
        fprintf(stream, "<path class=\"line c%d\" d=\"M%.1f %.1fl7 7m0 -7l-7 7\"/>", style, x - 3.5,
                y - 3.5);
    }
}

void hd_plot_write_key(FILE *stream, size_t index)
{
    int style = (int)(index % STYLES);
    fprintf(stream,
            "<svg width=\"26\" height=\"12\" aria-hidden=\"true\">"
            "<line class=\"line c%d\" x1=\"0\" y1=\"6\" x2=\"26\" y2=\"6\"/>",
            style);
    write_mark(stream, index, 13, 6);
    fputs("</svg>", stream);
}

static void write_series(FILE *stream, const hd_json_value *series, size_t index, const hd_scale *x,
                         const hd_scale *y)
{
    const hd_json_value *points = hd_json_get(series, "points");
    fprintf(stream, "<polyline class=\"line c%d\" points=\"", (int)(index % STYLES));
    for (const hd_json_value *point = points->first; point != NULL; point = point->next) {
        fprintf(stream, "%.1f,%.1f ", place(x, point->first->number),
                place(y, point->last->number));
    }
    fputs("\"/>\n", stream);
    for (const hd_json_value *point = points->first; point != NULL; point = point->next) {
        if (points->count <= MARKED_MAX) {
            fputs("<g>", stream);
            write_mark(stream, index, place(x, point->first->number),
                       place(y, point->last->number));
            fputs("<title>", stream);
            hd_escape_html(stream, hd_json_text(series, "name"));
            char at[CELL_TEXT_MAX], value[CELL_TEXT_MAX];
            fprintf(stream, ": %s at %s</title></g>\n", hd_cell_text(point->last, value),
                    hd_cell_text(point->first, at));
        }
    }
}

static void write_lines(FILE *stream, const hd_json_value *plot)
{
    const hd_json_value *x_log = hd_json_get(plot, "x_log"), *y_log = hd_json_get(plot, "y_log");
    char room[CELL_TEXT_MAX];
    hd_scale x = {
        .logarithmic = x_log != NULL && x_log->boolean, .from = LEFT, .to = WIDTH - RIGHT};
    hd_scale y = {
        .logarithmic = y_log != NULL && y_log->boolean, .from = HEIGHT - BOTTOM, .to = TOP};
    if (!find_range(plot, false, &x) || !find_range(plot, true, &y)) {
        write_text(stream, WIDTH / 2, HEIGHT / 2, "middle", "no points");
        return;
    }
    take_values(plot, &x);
    if (x.tick_count == 0) {
        (x.logarithmic ? divide_logarithmic : divide_linear)(&x);
    }
    (y.logarithmic ? divide_logarithmic : divide_linear)(&y);
    for (size_t i = 0; i < y.tick_count; i++) {
        double at = place(&y, y.ticks[i]);
        write_line(stream, "grid", x.from, at, x.to, at);
        write_text(stream, x.from - 8, at + 4, "end", tick_text(y.ticks[i], room));
    }
    for (size_t i = 0; i < x.tick_count; i++) {
        double at = place(&x, x.ticks[i]);
        write_line(stream, "axis", at, y.from, at, y.from + 5);
        write_text(stream, at, y.from + 19, "middle", tick_text(x.ticks[i], room));
    }
    write_line(stream, "axis", x.from, y.from, x.to, y.from);
    write_text(stream, 2, 14, "start", hd_json_text(plot, "y_label"));
    write_text(stream, (x.from + x.to) / 2, HEIGHT - 8, "middle", hd_json_text(plot, "x_label"));
    fputc('\n', stream);
    const hd_json_value *series = hd_json_get(plot, "series")->first;
    for (size_t i = 0; series != NULL; series = series->next, i++) {
        write_series(stream, series, i, &x, &y);
    }
}

static double bars_height(const hd_json_value *plot)
{
    size_t count = 0;
    const hd_json_value *series = hd_json_get(plot, "series")->first;
    for (; series != NULL; series = series->next) {
        count += hd_json_get(series, "points")->count;
    }
    return TOP + BOTTOM + BAR_ROW * (double)count;
}

/* Room for the longest name. */
static double names_width(const hd_json_value *plot)
{
    double longest = 0;
    const hd_json_value *series = hd_json_get(plot, "series")->first;
    for (; series != NULL; series = series->next) {
        const hd_json_value *point = hd_json_get(series, "points")->first;
        for (; point != NULL; point = point->next) {
            double width = 12 + CHARACTER * (double)strlen(point->first->text);
            longest = width > longest ? width : longest;
        }
    }
    return longest < WIDTH / 2 ? longest : WIDTH / 2;
}

/* Bars that lie, so that their names can be read. On a logarithmic axis they begin at 1 (or lower). */
static void write_bars(FILE *stream, const hd_json_value *plot)
{
    const hd_json_value *y_log = hd_json_get(plot, "y_log");
    char room[CELL_TEXT_MAX];
    double height = bars_height(plot), bottom = height - BOTTOM, at = TOP;
    hd_scale scale = {.logarithmic = y_log != NULL && y_log->boolean,
                      .from = names_width(plot),
                      .to = WIDTH - BAR_RIGHT};
    if (!find_range(plot, true, &scale)) {
        write_text(stream, WIDTH / 2, height / 2, "middle", "nothing");
        return;
    }
    if (scale.logarithmic) {
        scale.lowest = scale.lowest < 1 ? scale.lowest : 1;
        scale.highest = scale.highest > 10 ? scale.highest : 10;
    }
    (scale.logarithmic ? divide_logarithmic : divide_linear)(&scale);
    for (size_t i = 0; i < scale.tick_count; i++) {
        double across = place(&scale, scale.ticks[i]);
        write_line(stream, "grid", across, TOP, across, bottom);
        write_text(stream, across, bottom + 16, "middle", tick_text(scale.ticks[i], room));
    }
    const hd_json_value *series = hd_json_get(plot, "series")->first;
    for (size_t i = 0; series != NULL; series = series->next, i++) {
        const hd_json_value *point = hd_json_get(series, "points")->first;
        for (; point != NULL; point = point->next, at += BAR_ROW) {
            double value = point->last->number, end = place(&scale, value);
            fprintf(stream,
                    "<rect class=\"f%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"12\"/>",
                    (int)(i % STYLES), scale.from, at + 4, end > scale.from ? end - scale.from : 0);
            write_text(stream, scale.from - 8, at + 14, "end", point->first->text);
            write_text(stream, end + 6, at + 14, "start", tick_text(value, room));
            fputc('\n', stream);
        }
    }
    write_line(stream, "axis", scale.from, TOP, scale.from, bottom);
    write_text(stream, (scale.from + scale.to) / 2, height - 8, "middle",
               hd_json_text(plot, "y_label"));
}

void hd_plot_write_svg(FILE *stream, const hd_json_value *plot)
{
    bool bars = strcmp(hd_json_text(plot, "kind"), "bars") == 0;
    fprintf(stream, "<svg class=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
            WIDTH, bars ? bars_height(plot) : HEIGHT);
    hd_escape_html(stream, hd_json_text(plot, "title"));
    fputs("\">\n", stream);
    if (bars) {
        write_bars(stream, plot);
    } else {
        write_lines(stream, plot);
    }
    fputs("</svg>\n", stream);
}
