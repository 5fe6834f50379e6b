/* Report: where a command's results go: a table for people on standard output, and, with --json, a
 * file for programs. With `--json -` the JSON alone goes to standard output.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_REPORT_H
#define HEDDLE_CLI_REPORT_H

#include "cli/arguments.h"
#include "cli/json.h"

typedef struct hd_report {
    hd_json_writer json; /* the points go here, between hd_report_begin and hd_report_end */
    const char *path;    /* of the JSON file; NULL: none is wanted */
    FILE *file;          /* opened at once, so that a path that cannot be written costs no bench */
    bool created;        /* the file was not there before, so it goes when the command fails */
    char *text;
    size_t text_size;
    bool tables; /* print for people */
} hd_report;

/* Opens the JSON file if one was asked for. EXIT_CODE_INPUT with a sentence. */
hd_exit_code hd_report_open(const hd_arguments *given, hd_report *out_report);

/* Writes what every file begins with and opens the array `points_key`. */
void hd_report_begin(hd_report *report, const char *command, const char *device,
                     const char *points_key);

/* Closes the array. Members that follow go into the object itself, such as peak_rss_bytes. */
void hd_report_end_points(hd_report *report);

/* Ends the JSON and writes the file. EXIT_CODE_INPUT with a sentence. */
hd_exit_code hd_report_end(hd_report *report);
/* The same where the JSON was written without hd_report_begin, and is ended already. */
hd_exit_code hd_report_finish(hd_report *report);

/* Frees the report; a file that was made and not ended is removed. */
void hd_report_close(hd_report *report);

/* Says on standard error, only where that is a terminal, what goes on; NULL wipes it away. */
void hd_report_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
