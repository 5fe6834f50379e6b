/* The sections that measure: each runs one of the program's benches once a device. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verify/findings.h"
#include "cli/verify/part.h"

#define LATENCY_CASE "transformer_b4s128d256h4"

/* Shows the points of one device's bench, and counts what was right. */
typedef void hd_show_points(hd_verify *verify, hd_json_value *section, const char *device,
                            const hd_json_value *results);

/* words: those of the bench, behind the program's name, up to NULL. */
static void bench_each_device(hd_verify *verify, const hd_verify_section *row,
                              hd_json_value *section, const char *const *words,
                              hd_show_points *show)
{
    for (size_t i = 0; i < verify->device_count && verify->signal == 0; i++) {
        const hd_verify_device *device = &verify->devices[i];
        const char *all[20] = {device->program};
        size_t count = 1;
        if (device->verdict != VERDICT_PASS) {
            hd_part_leave_out(verify, section, device->name, device->verdict, device->reason);
            continue;
        }
        for (; words[count - 1] != NULL; count++) {
            all[count] = words[count - 1];
        }
        all[count] = "--device";
        all[count + 1] = device->name;
        hd_json_value *results = hd_part_run(verify, section, device->name, all, NULL, row->limit);
        const hd_json_value *points = hd_json_get(results, "points");
        if (points != NULL && points->kind == JSON_ARRAY && points->count > 0) {
            show(verify, section, device->name, results);
        } else if (results != NULL) {
            hd_part_fail(verify, section, "it measured nothing");
        }
        if (hd_verdict_of(hd_json_get(section, "parts")->last) == VERDICT_FAIL &&
            hd_json_amount(hd_json_get(section, "parts")->last, "failed") == 0) {
            hd_part_count(verify, section, 0, 1);
        }
    }
    if (verify->device_count == 0) {
        hd_part_leave_out(verify, section, "", VERDICT_FAIL, "no device was found");
    }
}

static hd_json_value *add_table(hd_verify *verify, hd_json_value *section, const char *device,
                                const char *title, const char *const *columns)
{
    return hd_json_append(hd_json_get(section, "tables"),
                          hd_table_make(verify->arena,
                                        hd_arena_format(verify->arena, "%s: %s", device, title),
                                        columns));
}

static hd_json_value *add_plot(hd_verify *verify, hd_json_value *section, const char *device,
                               const char *title, hd_plot_axis x, hd_plot_axis y)
{
    return hd_json_append(
        hd_json_get(section, "plots"),
        hd_plot_make(verify->arena, hd_arena_format(verify->arena, "%s: %s", device, title), x, y));
}

/* The table's row that begins with these two texts (the second may be NULL); made where there is none. */
static hd_json_value *row_of(hd_verify *verify, hd_json_value *table, const char *first,
                             const char *second)
{
    hd_json_value *row = hd_json_get(table, "rows")->first;
    while (row != NULL && (strcmp(row->first->text, first) != 0 ||
                           (second != NULL && strcmp(row->first->next->text, second) != 0))) {
        row = row->next;
    }
    if (row == NULL) {
        row = hd_table_add_row(verify->arena, table);
        hd_row_add_text(verify->arena, row, first);
        if (second != NULL) {
            hd_row_add_text(verify->arena, row, second);
        }
        while (row->count < hd_json_get(table, "columns")->count) {
            hd_row_add_text(verify->arena, row, NULL);
        }
    }
    return row;
}

/* Sets the cell of the column that is called after a number, such as "8 threads" or "depth 8". */
static void set_cell(const hd_json_value *table, hd_json_value *row, double named, double number)
{
    const hd_json_value *column = hd_json_get(table, "columns")->first;
    for (hd_json_value *cell = row->first; cell != NULL; cell = cell->next) {
        const char *digits = strpbrk(column->text, "0123456789");
        if (digits != NULL && strtod(digits, NULL) == named) {
            cell->kind = JSON_NUMBER;
            cell->number = number;
        }
        column = column->next;
    }
}

static bool is_right(const hd_json_value *point)
{
    const hd_json_value *equal = hd_json_get(point, "equal_bits");
    const hd_json_value *error = hd_json_get(point, "max_error");
    return equal != NULL && equal->boolean && error != NULL && error->kind == JSON_NUMBER &&
           error->number <= 1e-4;
}

/* Of one case and way: operations a second of each number of threads, the worst error, whether all is right. */
static void show_case_points(hd_verify *verify, hd_json_value *section, const char *device,
                             const hd_json_value *results)
{
    static const char *const columns[] = {"case",       "via",       "result",    "largest error",
                                          "1 thread",   "2 threads", "4 threads", "8 threads",
                                          "16 threads", NULL};
    hd_json_value *table = add_table(verify, section, device, "operations a second", columns);
    for (hd_json_value *point = hd_json_get(results, "points")->first; point != NULL;
         point = point->next) {
        hd_json_value *row =
            row_of(verify, table, hd_json_text(point, "case"), hd_json_text(point, "via"));
        hd_json_value *result = row->first->next->next, *error = result->next;
        const hd_json_value *own = hd_json_get(point, "max_error");
        if (result->kind == JSON_NULL) {
            *result = (hd_json_value){.kind = JSON_STRING, .text = "PASS", .next = error};
            error->kind = JSON_NUMBER;
        }
        if (own == NULL || own->kind != JSON_NUMBER) {
            error->number = INFINITY; /* null in JSON */
        } else if (own->number > error->number) {
            error->number = own->number;
        }
        if (!is_right(point)) {
            result->text = "FAIL";
        }
        hd_part_count(verify, section, is_right(point), !is_right(point));
        set_cell(table, row, hd_json_amount(point, "threads"), hd_json_amount(point, "ops_per_s"));
    }
}

static void show_latencies(hd_verify *verify, hd_json_value *section, const char *device,
                           const hd_json_value *results)
{
    static const char *const columns[] = {"case", "threads", "p50, ms", "p95, ms", "p99, ms", NULL};
    hd_json_value *table = add_table(verify, section, device, "latencies of direct runs", columns);
    hd_json_value *plot =
        add_plot(verify, section, device, "latencies of the transformer block",
                 (hd_plot_axis){"latency, ms", true}, (hd_plot_axis){"part of all runs, %", false});
    for (hd_json_value *point = hd_json_get(results, "points")->first; point != NULL;
         point = point->next) {
        const char *name = hd_json_text(point, "case");
        double threads = hd_json_amount(point, "threads");
        hd_json_value *row = hd_table_add_row(verify->arena, table);
        hd_row_add_text(verify->arena, row, name);
        hd_row_add_number(verify->arena, row, threads);
        hd_row_add_number(verify->arena, row, hd_json_amount(point, "p50_ms"));
        hd_row_add_number(verify->arena, row, hd_json_amount(point, "p95_ms"));
        hd_row_add_number(verify->arena, row, hd_json_amount(point, "p99_ms"));
        const hd_json_value *latencies = hd_json_get(point, "latencies");
        if (strcmp(name, LATENCY_CASE) != 0 || latencies == NULL) {
            continue;
        }
        hd_json_value *series = hd_plot_series(
            verify->arena, plot,
            hd_arena_format(verify->arena, threads > 1 ? "%.0f threads" : "%.0f thread", threads));
        for (const hd_json_value *pair = latencies->first; pair != NULL; pair = pair->next) {
            if (pair->count == 2) {
                hd_plot_add_point(verify->arena, series, pair->last->number,
                                  pair->first->number * 100);
            }
        }
    }
}

static void show_direct(hd_verify *verify, hd_json_value *section, const char *device,
                        const hd_json_value *results)
{
    show_case_points(verify, section, device, results);
    show_latencies(verify, section, device, results);
}

/* Says what --quick has less of. */
static void note_quick(hd_verify *verify, hd_json_value *section, const char *text)
{
    if (verify->quick) {
        hd_json_append(hd_json_get(section, "notes"), hd_json_make_text(verify->arena, text));
    }
}

void hd_verify_cases(hd_verify *verify, const hd_verify_section *row, hd_json_value *section)
{
    bool quick = verify->quick;
    const char *words[] = {"bench",     "cases",
                           "--threads", quick ? "1,16" : "1,2,4,8,16",
                           "--via",     "direct",
                           "--repeat",  quick ? "2" : "5",
                           "--seconds", quick ? "0.1" : "0.5",
                           NULL};
    note_quick(verify, section, "--quick leaves out 2, 4 and 8 threads.");
    bench_each_device(verify, row, section, words, show_direct);
}

void hd_verify_batches(hd_verify *verify, const hd_verify_section *row, hd_json_value *section)
{
    bool quick = verify->quick;
    const char *words[] = {"bench",     "cases",
                           "--threads", quick ? "8" : "1,2,4,8,16",
                           "--via",     quick ? "batch-2" : "batch-1,batch-2,batch-4",
                           "--repeat",  quick ? "2" : "3",
                           "--seconds", quick ? "0.1" : "0.2",
                           NULL};
    note_quick(
        verify, section,
        "--quick leaves out queues of 1 and 4 workers, and other numbers of threads than 8.");
    bench_each_device(verify, row, section, words, show_case_points);
}

static void show_queue_points(hd_verify *verify, hd_json_value *section, const char *device,
                              const hd_json_value *results)
{
    static const char *const columns[] = {"queue and strategy", "in flight", "1 thread",
                                          "2 threads",          "4 threads", "8 threads",
                                          "16 threads",         NULL};
    hd_json_value *table = add_table(verify, section, device, "operations a second", columns);
    hd_json_value *plot =
        add_plot(verify, section, device, "one queue against a queue a thread",
                 (hd_plot_axis){"threads", true}, (hd_plot_axis){"operations a second", false});
    for (hd_json_value *point = hd_json_get(results, "points")->first; point != NULL;
         point = point->next) {
        const char *queues = hd_json_text(point, "queues");
        const char *strategy = hd_json_text(point, "strategy");
        double depth = hd_json_amount(point, "in_flight"),
               rate = hd_json_amount(point, "ops_per_s");
        const char *mode =
            depth == 0 ? "waits for each" : hd_arena_format(verify->arena, "%.0f", depth);
        hd_json_value *row =
            row_of(verify, table, hd_arena_format(verify->arena, "%s, %s", queues, strategy), mode);
        set_cell(table, row, hd_json_amount(point, "threads"), rate);
        if (strcmp(strategy, "per-encoder") == 0) {
            const char *name = hd_arena_format(verify->arena, "%s, %s", queues,
                                               depth == 0 ? "waiting" : "8 in flight");
            hd_plot_add_point(verify->arena, hd_plot_series(verify->arena, plot, name),
                              hd_json_amount(point, "threads"), rate);
        }
        hd_part_count(verify, section, 1, 0); /* its last results had the bits of a blocking run */
    }
}

void hd_verify_queues(hd_verify *verify, const hd_verify_section *row, hd_json_value *section)
{
    const char *words[] = {"bench",      "queues",    "--threads",
                           "1,2,4,8,16", "--seconds", verify->quick ? "0.05" : "0.5",
                           NULL};
    bench_each_device(verify, row, section, words, show_queue_points);
}

/* The rates of one operation and number of threads, over depths. */
typedef struct hd_pipeline_curve {
    double first; /* at depth 1 */
    double best;
    double best_depth;
} hd_pipeline_curve;

static hd_pipeline_curve find_curve(const hd_json_value *points, double threads)
{
    hd_pipeline_curve curve = {0};
    const hd_json_value *point = points == NULL ? NULL : points->first;
    for (; point != NULL; point = point->next) {
        double depth = hd_json_amount(point, "depth"), rate = hd_json_amount(point, "ops_per_s");
        if (hd_json_amount(point, "threads") != threads) {
            continue;
        }
        if (depth == 1) {
            curve.first = rate;
        }
        if (rate > curve.best) {
            curve.best = rate;
            curve.best_depth = depth;
        }
    }
    return curve;
}

/* Says what depth brought, and where that is little, how much there was to win: an operation that does nothing takes as
 * long as all that can be hidden behind another one's computing. */
static void note_gain(hd_verify *verify, hd_json_value *section, const char *device,
                      const hd_json_value *results, double threads)
{
    hd_pipeline_curve kernel = find_curve(hd_json_get(results, "points"), threads);
    hd_pipeline_curve empty = find_curve(hd_json_get(results, "empty_points"), threads);
    if (!(kernel.first > 0) || !(empty.first > 0)) {
        return;
    }
    double gain = (kernel.best / kernel.first - 1) * 100;
    const char *text = hd_arena_format(
        verify->arena, "%s, %.0f thread%s: the best depth is %.0f, with %+.1f %% over depth 1.",
        device, threads, threads > 1 ? "s" : "", kernel.best_depth, gain);
    if (gain <= 10) {
        double operation = 1e6 / kernel.first, hidden = 1e6 / empty.first;
        text = hd_arena_format(verify->arena,
                               "%s That is not more than 10 %%: at depth 1 an operation is "
                               "completed every %.0f microseconds, and one that "
                               "computes nothing every %.1f; so %.1f %% is all that depth could "
                               "hide behind the computing itself.",
                               text, operation, hidden, hidden / operation * 100);
    }
    hd_json_append(hd_json_get(section, "notes"), hd_json_make_text(verify->arena, text));
}

static void show_pipeline_points(hd_verify *verify, hd_json_value *section, const char *device,
                                 const hd_json_value *results)
{
    static const char *const columns[] = {"operation", "depth 1",  "depth 2",  "depth 4",
                                          "depth 8",   "depth 16", "depth 32", NULL};
    static const char *const lists[] = {"points", "empty_points"};
    static const char *const names[] = {"the kernel", "an empty operation"};
    hd_json_value *table = add_table(verify, section, device, "operations a second", columns);
    for (size_t i = 0; i < 2; i++) {
        hd_json_value *plot = add_plot(verify, section, device, names[i],
                                       (hd_plot_axis){"operations in flight of a thread", true},
                                       (hd_plot_axis){"operations a second", false});
        const hd_json_value *points = hd_json_get(results, lists[i]);
        const hd_json_value *point = points == NULL ? NULL : points->first;
        for (; point != NULL; point = point->next) {
            double threads = hd_json_amount(point, "threads");
            const char *name = hd_arena_format(
                verify->arena, threads > 1 ? "%.0f threads" : "%.0f thread", threads);
            hd_json_value *row = row_of(
                verify, table, hd_arena_format(verify->arena, "%s, %s", names[i], name), NULL);
            set_cell(table, row, hd_json_amount(point, "depth"),
                     hd_json_amount(point, "ops_per_s"));
            hd_plot_add_point(verify->arena, hd_plot_series(verify->arena, plot, name),
                              hd_json_amount(point, "depth"), hd_json_amount(point, "ops_per_s"));
            hd_part_count(verify, section, 1, 0);
        }
    }
    note_gain(verify, section, device, results, 1);
    note_gain(verify, section, device, results, 8);
}

void hd_verify_pipeline(hd_verify *verify, const hd_verify_section *row, hd_json_value *section)
{
    const char *words[] = {"bench", "pipeline", "--seconds", verify->quick ? "0.05" : "0.5", NULL};
    bench_each_device(verify, row, section, words, show_pipeline_points);
}

static void show_memory_points(hd_verify *verify, hd_json_value *section, const char *device,
                               const hd_json_value *results)
{
    static const char *const columns[] = {"runs so far", "resident, MiB", "mallocs meanwhile",
                                          NULL};
    hd_json_value *table = add_table(verify, section, device, "memory of the process", columns);
    hd_json_value *plot = add_plot(verify, section, device, "resident memory over runs",
                                   (hd_plot_axis){"runs", false}, (hd_plot_axis){"MiB", false});
    hd_json_value *series = hd_plot_series(verify->arena, plot, "resident");
    for (hd_json_value *point = hd_json_get(results, "points")->first; point != NULL;
         point = point->next) {
        double runs = hd_json_amount(point, "runs");
        double mib = hd_json_amount(point, "rss_bytes") / (1024.0 * 1024);
        hd_json_value *row = hd_table_add_row(verify->arena, table);
        hd_row_add_number(verify->arena, row, runs);
        hd_row_add_text(verify->arena, row, hd_arena_format(verify->arena, "%.2f", mib));
        hd_row_add_number(verify->arena, row, hd_json_amount(point, "mallocs"));
        hd_plot_add_point(verify->arena, series, runs, mib);
    }
    bool right = hd_verdict_of(hd_json_get(section, "parts")->last) == VERDICT_PASS;
    hd_part_count(verify, section, right, !right);
}

void hd_verify_memory(hd_verify *verify, const hd_verify_section *row, hd_json_value *section)
{
    const char *words[] = {"bench", "memory", "--seconds", verify->quick ? "2" : "10", NULL};
    bench_each_device(verify, row, section, words, show_memory_points);
}
