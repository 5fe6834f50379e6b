/* The table of sections, in the order of the report, and what runs the checkers of the sources. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/verify/part.h"

#define FROM_SOURCES (NEEDS_SOURCE | NEEDS_PYTHON)

const hd_verify_section hd_verify_sections[] = {
    {.id = "environment",
     .title = "Environment",
     .about = "What everything below ran on. Figures of one machine compare with each other, "
              "hardly with those of "
              "another one.",
     .run = hd_verify_environment},
    {.id = "locking",
     .title = "Thread-safety analysis",
     .about = "Clang's analysis of every C file: each lock is taken in the order of its rank, each "
              "guarded member is "
              "touched under its lock. Examples that must be refused are, and changed copies of "
              "the sources, too.",
     .needs = FROM_SOURCES | NEEDS_CLANG,
     .run = hd_verify_checker,
     .words = {"verify/structure/run", "locking"},
     .quick = {"verify/structure/run", "locking"},
     .limit = 300},
    {.id = "structure",
     .title = "Structural checks",
     .about = "Checks ST.001 to ST.014 on clang's syntax tree and call graph. Each is seen to flag "
              "changed sources "
              "(its mutants).",
     .needs = FROM_SOURCES | NEEDS_CLANG,
     .run = hd_verify_checker,
     .words = {"verify/structure/run", "ST."},
     .quick = {"verify/structure/run", "ST."},
     .limit = 600},
    {.id = "explorer",
     .title = "Schedules explored",
     .about = "The real C files of the synchronized objects under every schedule of small "
              "scenarios. 'complete' means "
              "every execution within the scenario's bounds; each mutant changes one thing in the "
              "C code, and must be "
              "found.",
     .needs = FROM_SOURCES | NEEDS_CLANG | NEEDS_PATCH,
     .run = hd_verify_checker,
     .words = {"verify/interleave/run", "--quick"},
     .quick = {"verify/interleave/run", "--brief"},
     .limit = 1200},
    {.id = "models",
     .title = "Specifications checked by TLC",
     .about = "Each specification of a protocol, over every state within its bounds; each mutant "
              "must be rejected.",
     .needs = FROM_SOURCES | NEEDS_JAVA,
     .run = hd_verify_checker,
     .words = {"verify/tla/run"},
     .quick = {"verify/tla/run", "--brief"},
     .limit = 1200},
    {.id = "names",
     .title = "Names in specifications, code and tests",
     .about = "Actions name C functions that are there, properties a promise and an assertion, "
              "assertions of the code a "
              "property or the reason why none; and each property is seen to fail.",
     .needs = FROM_SOURCES,
     .run = hd_verify_checker,
     .words = {"verify/tla/check"},
     .quick = {"verify/tla/check"},
     .limit = 60},
    {.id = "traces",
     .title = "Traces of the code against the specifications",
     .about = "What the C code did in runs of the explorer must be a behaviour of the "
              "specification; traces that were "
              "changed so that they are none must be rejected.",
     .needs = FROM_SOURCES | NEEDS_CLANG | NEEDS_JAVA,
     .run = hd_verify_checker,
     .words = {"verify/tla/traces/run"},
     .quick = {"verify/tla/traces/run", "Timeline", "SlotPool", "Allocator"},
     .limit = 900},
    {.id = "proofs",
     .title = "Proofs in Lean",
     .about = "Nine theorems on five locking strategies, for any number of threads, streams and "
              "encoders. Where there "
              "is no Lean, what the last check saw is shown, if the sources are still the same.",
     .needs = FROM_SOURCES,
     .run = hd_verify_checker,
     .words = {"verify/lean/check"},
     .quick = {"verify/lean/check", "--earlier"},
     .limit = 900},
    {.id = "sanitizers",
     .title = "Tests under sanitizers",
     .about = "The library's tests under ThreadSanitizer, and under AddressSanitizer with "
              "UndefinedBehaviorSanitizer.",
     .needs = FROM_SOURCES | NEEDS_CLANG | NEEDS_NINJA | LEFT_OUT_QUICK,
     .run = hd_verify_checker,
     .words = {"verify/sanitizers/run"},
     .limit = 2400},
    {.id = "cases",
     .title = "Ten cases, called directly",
     .about = "Each thread has an input of its own; every output must have the bits of a "
              "sequential run, and be within "
              "1e-4 * max(1, |b|) of a reference b in double precision.",
     .run = hd_verify_cases,
     .limit = 600},
    {.id = "batches",
     .title = "Ten cases, through a batch queue",
     .about = "The same through batch queues of 1, 2 and 4 workers, which compute up to four "
              "requests at once.",
     .run = hd_verify_batches,
     .limit = 600},
    {.id = "queues",
     .title = "Multi-queue",
     .about = "One hardware queue that all threads share against a queue a thread: v = sin(v) * "
              "cos(v) + v on 65,536 "
              "floats, ten times over, an operation; each thread waits for each, or has eight in "
              "flight.",
     .run = hd_verify_queues,
     .limit = 300},
    {.id = "pipeline",
     .title = "Asynchronous pipeline",
     .about = "What several operations in flight bring over one at a time; the operation is that "
              "of the section above.",
     .run = hd_verify_pipeline,
     .limit = 300},
    {.id = "memory",
     .title = "Memory",
     .about = "A warm run allocates nothing, and what is resident does not grow with the number of "
              "runs.",
     .run = hd_verify_memory,
     .limit = 300},
};
const size_t hd_verify_section_count = sizeof hd_verify_sections / sizeof *hd_verify_sections;

/* A program that rows may need, and what brings it. */
typedef struct hd_needed_program {
    unsigned need;
    const char *name;
    const char *set; /* of tools/install-deps */
    const char *package;
} hd_needed_program;

static const hd_needed_program programs[] = {
    {NEEDS_PYTHON, "python3", "test", "python3"},
    {NEEDS_CLANG, "clang-22", "test", "clang-22"},
    {NEEDS_JAVA, "java", "tla", "openjdk-17-jdk-headless"},
    {NEEDS_JAVA, "javac", "tla", "openjdk-17-jdk-headless"},
    {NEEDS_PATCH, "patch", "test", "patch"},
    {NEEDS_NINJA, "ninja", "test", "ninja-build"},
    {NEEDS_NINJA, "cmake", "test", "cmake"},
};

static bool is_on_path(hd_arena *arena, const char *name)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        const char *file = hd_arena_format(arena, "%.*s/%s", (int)length, path, name);
        if (length > 0 && access(file, X_OK) == 0) {
            return true;
        }
        path += length + (path[length] == ':');
    }
    return false;
}

/* Why the program's part cannot run; NULL where it can. */
static const char *find_obstacle(hd_verify *verify, unsigned needs)
{
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        if ((needs & programs[i].need) != 0 && !is_on_path(verify->arena, programs[i].name)) {
            return hd_arena_format(
                verify->arena,
                "%s is missing; install it by `tools/install-deps %s` (Debian: apt-get install %s)",
                programs[i].name, programs[i].set, programs[i].package);
        }
    }
    return NULL;
}

void hd_verify_checker(hd_verify *verify, const hd_verify_section *row, hd_json_value *section)
{
    const char *words[SECTION_WORDS_MAX + 1] = {NULL};
    if (verify->source == NULL) {
        hd_part_leave_out(verify, section, "", VERDICT_SKIPPED,
                          "it checks the sources, and no --source DIR was given");
        return;
    }
    if (verify->quick && (row->needs & LEFT_OUT_QUICK) != 0) {
        hd_part_leave_out(verify, section, "", VERDICT_SKIPPED, "--quick leaves it out");
        return;
    }
    const char *obstacle = find_obstacle(verify, row->needs);
    if (obstacle != NULL) {
        hd_part_leave_out(verify, section, "", VERDICT_FAIL, obstacle);
        return;
    }
    for (size_t i = 0; i < SECTION_WORDS_MAX; i++) {
        words[i] = verify->quick ? row->quick[i] : row->words[i];
    }
    hd_json_value *findings = hd_part_run(verify, section, "", words, verify->source, row->limit);
    if (findings != NULL) {
        hd_part_take_findings(verify, section, findings);
    }
}
