/* Section: what a run of `heddle verify` knows and has found, and the table of its sections. What it finds is one document, which docs/report.md
 * describes and which the writers of the three formats walk over: a list of sections, each with the parts that ran
 * for it, tables and plots.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_VERIFY_SECTION_H
#define HEDDLE_CLI_VERIFY_SECTION_H

#include "cli/failure.h"
#include "cli/verify/verdict.h"

/* A device that rows of the report are about. */
typedef struct hd_verify_device {
    const char *name;
    const char *program; /* the program that has it */
    hd_verdict verdict;  /* not VERDICT_PASS: it cannot be opened, for this reason */
    const char *reason;
} hd_verify_device;

#define VERIFY_DEVICES_MAX 8

typedef struct hd_verify {
    hd_arena *arena;
    const char *source;  /* the folder of the sources, without links; NULL: there is none */
    const char *output;  /* the report's folder, likewise */
    const char *program; /* the file of this program */
    const char *device;  /* the only one wanted; NULL: all that there are */
    bool quick;
    double time_limit; /* seconds of a part; 0: as the part says */
    hd_json_value *report;
    hd_verify_device devices[VERIFY_DEVICES_MAX];
    size_t device_count;
    size_t section_number; /* of section_count, for who watches */
    size_t section_count;
    int signal; /* that interrupted it, or 0 */
} hd_verify;

/* What a section's row of the table says. */
enum {
    NEEDS_SOURCE = 1,
    NEEDS_PYTHON = 2,
    NEEDS_CLANG = 4,
    NEEDS_JAVA = 8,
    NEEDS_PATCH = 16,
    NEEDS_NINJA = 32,
    LEFT_OUT_QUICK = 64 /* with --quick */
};

#define SECTION_WORDS_MAX 4

typedef struct hd_verify_section hd_verify_section;
struct hd_verify_section {
    const char *id;
    const char *title;
    const char *about; /* what a reader should know of it, in a few sentences */
    unsigned needs;
    /* Fills the section. Checkers of the sources: hd_verify_checker, with `words` (a file below the sources and its
     * arguments) and with --quick `quick`. */
    void (*run)(hd_verify *verify, const hd_verify_section *row, hd_json_value *section);
    const char *words[SECTION_WORDS_MAX];
    const char *quick[SECTION_WORDS_MAX];
    double limit; /* seconds of a part */
};

extern const hd_verify_section hd_verify_sections[];
extern const size_t hd_verify_section_count;

/* Runs of sections that measure, one a device (measure_sections.c), and of the others. */
void hd_verify_environment(hd_verify *verify, const hd_verify_section *row, hd_json_value *section);
void hd_verify_checker(hd_verify *verify, const hd_verify_section *row, hd_json_value *section);
void hd_verify_cases(hd_verify *verify, const hd_verify_section *row, hd_json_value *section);
void hd_verify_batches(hd_verify *verify, const hd_verify_section *row, hd_json_value *section);
void hd_verify_queues(hd_verify *verify, const hd_verify_section *row, hd_json_value *section);
void hd_verify_pipeline(hd_verify *verify, const hd_verify_section *row, hd_json_value *section);
void hd_verify_memory(hd_verify *verify, const hd_verify_section *row, hd_json_value *section);

#endif
