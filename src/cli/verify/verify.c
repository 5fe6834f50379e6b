/* heddle verify: runs what checks and measures Heddle, and writes one report of it. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/folder.h"
#include "cli/process.h"
#include "cli/report.h"
#include "cli/verify/child.h"
#include "cli/verify/files.h"
#include "cli/verify/part.h"
#include "heddle/api.h"

static void set_text(hd_verify *verify, const char *key, const char *text)
{
    hd_json_set(verify->report, key, hd_json_make_text(verify->arena, text));
}

/* The sources' folder, if it holds some. */
static hd_exit_code find_source(hd_verify *verify, const char *folder)
{
    static const char *const wanted[] = {"include/heddle/api.h", "src/runtime/device.c",
                                         "verify/structure/run"};
    char *path = folder == NULL ? NULL : realpath(folder, NULL);
    if (folder == NULL) {
        return EXIT_CODE_OK;
    }
    if (path == NULL) {
        return hd_failure_print(EXIT_CODE_INPUT, "--source: %s: %s", folder, strerror(errno));
    }
    verify->source = hd_arena_format(verify->arena, "%s", path);
    free(path);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const char *file = hd_arena_format(verify->arena, "%s/%s", verify->source, wanted[i]);
        if (access(file, R_OK) != 0) {
            return hd_failure_print(EXIT_CODE_INPUT,
                                    "--source: %s holds no sources of Heddle: there is no %s",
                                    folder, wanted[i]);
        }
    }
    return EXIT_CODE_OK;
}

/* Makes the report's folder and the one for logs, and sees at once whether it can be written to. */
static hd_exit_code find_output(hd_verify *verify, const char *folder)
{
    if (folder == NULL) {
        folder = verify->source == NULL
                     ? "build/verify"
                     : hd_arena_format(verify->arena, "%s/build/verify", verify->source);
    }
    hd_exit_code code = hd_folder_make(hd_arena_format(verify->arena, "%s/logs", folder));
    if (code != EXIT_CODE_OK) {
        return code;
    }
    char *path = realpath(folder, NULL);
    if (path == NULL) {
        return hd_failure_print(EXIT_CODE_INPUT, "%s: %s", folder, strerror(errno));
    }
    verify->output = hd_arena_format(verify->arena, "%s", path);
    free(path);
    return hd_report_files_try(verify->output);
}

static hd_exit_code find_program(hd_verify *verify)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) {
        return hd_failure_print(EXIT_CODE_DEFECT, "/proc does not say where this program lies");
    }
    verify->program = hd_arena_copy(verify->arena, path, (size_t)length);
    return EXIT_CODE_OK;
}

static bool is_wanted(const hd_arguments *given, const char *id)
{
    size_t count = hd_arguments_count(given, "--only");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(hd_arguments_nth(given, "--only", i), id) == 0) {
            return true;
        }
    }
    return count == 0 || strcmp(id, "environment") == 0;
}

static hd_exit_code check_only(const hd_arguments *given)
{
    for (size_t i = 0; i < hd_arguments_count(given, "--only"); i++) {
        const char *id = hd_arguments_nth(given, "--only", i);
        size_t row = 0;
        while (row < hd_verify_section_count && strcmp(hd_verify_sections[row].id, id) != 0) {
            row++;
        }
        if (row == hd_verify_section_count) {
            return hd_failure_print(
                EXIT_CODE_USAGE, "there is no section '%s'; heddle verify --help lists them", id);
        }
    }
    return EXIT_CODE_OK;
}

static void print_line(const hd_json_value *section)
{
    char counts[VERDICT_TEXT_MAX], duration[VERDICT_TEXT_MAX];
    const char *reason = hd_json_text(section, "reason");
    printf("%-15s %-46s %8s  %s", hd_json_text(section, "verdict"), hd_json_text(section, "title"),
           hd_duration_text(hd_json_amount(section, "seconds"), duration),
           hd_counts_text(section, counts));
    fputs(*reason != '\0' && counts[0] != '\0' ? ": " : "", stdout);
    for (; *reason != '\0'; reason++) { /* what a program said, without what moves a cursor */
        fputc((unsigned char)*reason < 0x20 || *reason == 0x7f ? ' ' : *reason, stdout);
    }
    fputc('\n', stdout);
    fflush(stdout);
}

static void begin_report(hd_verify *verify)
{
    char when[32];
    time_t now = time(NULL);
    struct tm broken;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &broken));
    verify->report = hd_json_make(verify->arena, JSON_OBJECT);
    hd_json_set(verify->report, "schema_version", hd_json_make_number(verify->arena, 1));
    set_text(verify, "command", "verify");
    set_text(verify, "device", "");
    set_text(verify, "version", hd_version());
    set_text(verify, "system", "");
    set_text(verify, "source", verify->source);
    set_text(verify, "started", when);
    hd_json_set(verify->report, "quick", hd_json_make(verify->arena, JSON_BOOLEAN))->boolean =
        verify->quick;
    set_text(verify, "verdict", "");
    set_text(verify, "summary", "");
    hd_json_set(verify->report, "sections", hd_json_make(verify->arena, JSON_ARRAY));
}

/* "2 sections passed, 1 failed (Memory), 3 skipped": those that there are. */
static const char *count_sections(hd_verify *verify)
{
    static const hd_verdict order[] = {VERDICT_FAIL, VERDICT_PASS, VERDICT_EARLIER,
                                       VERDICT_SKIPPED};
    static const char *const words[] = {"passed", "checked earlier", "skipped", "failed"};
    const char *text = "";
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const hd_json_value *section = hd_json_get(verify->report, "sections")->first;
        const char *names = "";
        size_t count = 0;
        for (; section != NULL; section = section->next) {
            if (hd_verdict_of(section) == order[i]) {
                names = hd_arena_format(verify->arena, "%s%s%s", names, count > 0 ? ", " : "",
                                        hd_json_text(section, "title"));
                count++;
            }
        }
        if (count > 0) {
            text = hd_arena_format(verify->arena, "%s%s%zu%s %s", text, *text != '\0' ? ", " : "",
                                   count,
                                   *text != '\0' ? ""
                                   : count > 1   ? " sections"
                                                 : " section",
                                   words[order[i]]);
        }
        if (count > 0 && order[i] == VERDICT_FAIL) {
            text = hd_arena_format(verify->arena, "%s (%s)", text, names);
        }
    }
    return text;
}

static hd_verdict finish_report(hd_verify *verify, double seconds, bool partial)
{
    const hd_json_value *section = hd_json_get(verify->report, "sections")->first;
    hd_verdict verdict = VERDICT_PASS;
    double passed = 0, failed = 0;
    for (; section != NULL; section = section->next) {
        verdict = hd_verdict_of(section) == VERDICT_FAIL ? VERDICT_FAIL : verdict;
        passed += hd_json_amount(section, "passed");
        failed += hd_json_amount(section, "failed");
    }
    hd_json_set(verify->report, "passed", hd_json_make_number(verify->arena, passed));
    hd_json_set(verify->report, "failed", hd_json_make_number(verify->arena, failed));
    hd_json_set(verify->report, "seconds", hd_json_make_number(verify->arena, seconds));
    char counts[VERDICT_TEXT_MAX];
    set_text(verify, "verdict", hd_verdict_text(verdict));
    set_text(verify, "summary",
             hd_arena_format(verify->arena, "%s; checks: %s%s.", count_sections(verify),
                             hd_counts_text(verify->report, counts),
                             partial         ? "; only some sections were asked for"
                             : verify->quick ? "; a quick run"
                                             : ""));
    return verdict;
}

/* Runs all sections. EXIT_CODE_DEVICE with a sentence: the one wanted device is not there. */
static hd_exit_code run_sections(hd_verify *verify, const hd_arguments *given, bool tables)
{
    for (size_t i = 0; i < hd_verify_section_count && verify->signal == 0; i++) {
        const hd_verify_section *row = &hd_verify_sections[i];
        if (!is_wanted(given, row->id)) {
            continue;
        }
        verify->section_number++;
        hd_json_value *section = hd_section_make(verify, row);
        row->run(verify, row, section);
        if (verify->signal == 0) {
            verify->signal = hd_child_interrupted();
        }
        if (verify->device != NULL && verify->device_count == 1 &&
            verify->devices[0].verdict != VERDICT_PASS) {
            return hd_failure_print(EXIT_CODE_DEVICE, "%s", verify->devices[0].reason);
        }
        hd_section_finish(verify, section);
        hd_json_append(hd_json_get(verify->report, "sections"), section);
        if (verify->signal == 0 && tables) {
            print_line(section);
        }
    }
    return EXIT_CODE_OK;
}

static hd_exit_code verify_all(hd_verify *verify, const hd_arguments *given, hd_report *copy)
{
    double began = hd_process_clock();
    for (size_t i = 0; i < hd_verify_section_count; i++) {
        verify->section_count += is_wanted(given, hd_verify_sections[i].id);
    }
    hd_child_begin();
    begin_report(verify);
    hd_exit_code code = run_sections(verify, given, copy->tables);
    if (verify->signal != 0 || code != EXIT_CODE_OK) {
        return code;
    }
    hd_verdict verdict =
        finish_report(verify, hd_process_clock() - began, hd_arguments_has(given, "--only"));
    code = hd_report_files_write(verify->output, verify->report);
    if (code == EXIT_CODE_OK) {
        hd_json_write(&copy->json, NULL, verify->report);
        code = hd_report_finish(copy);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (copy->tables) {
        printf("%s: %s\n%s/report.html, report.md, report.json\n", hd_verdict_text(verdict),
               hd_json_text(verify->report, "summary"), verify->output);
    }
    return verdict == VERDICT_FAIL
               ? hd_failure_print(EXIT_CODE_CHECK, "the report says FAIL; see %s/report.md",
                                  verify->output)
               : EXIT_CODE_OK;
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_arena arena = {0};
    hd_report copy;
    hd_verify verify = {.arena = &arena,
                        .device = hd_arguments_value(given, "--device"),
                        .quick = hd_arguments_has(given, "--quick")};
    hd_exit_code code = check_only(given);
    if (code == EXIT_CODE_OK && hd_arguments_has(given, "--time-limit")) {
        code = hd_arguments_seconds(given, "--time-limit", 0, &verify.time_limit);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_report_open(given, &copy);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = find_source(&verify, hd_arguments_value(given, "--source"));
    if (code == EXIT_CODE_OK) {
        code = find_output(&verify, hd_arguments_value(given, "--output-dir"));
    }
    if (code == EXIT_CODE_OK) {
        code = find_program(&verify);
    }
    if (code == EXIT_CODE_OK) {
        code = verify_all(&verify, given, &copy);
    }
    hd_report_close(&copy);
    hd_arena_free(&arena);
    if (verify.signal != 0) {
        hd_child_end_by(verify.signal);
    }
    return code;
}

const hd_command hd_command_verify = {
    .name = "verify",
    .summary = "Checks and measures Heddle on this machine, and writes a report.",
    .details =
        "Writes report.html (one file, with plots), report.md, report.json, and what each part\n"
        "printed in logs/. With --source DIR, a folder with Heddle's sources: all of it, up to 45\n"
        "minutes; otherwise what needs no sources. What did not run says SKIPPED and why.\n"
        "--quick leaves out the tests under sanitizers and most mutants, measures shortly, and\n"
        "takes up to 5 minutes.\n"
        "Sections: environment locking structure explorer models names traces proofs sanitizers "
        "cases\n"
        "batches queues pipeline memory",
    .options = {{"--source", "DIR", false, "Heddle's sources, where they were built"},
                {"--quick", NULL, false, "what can be done in 5 minutes"},
                {"--output-dir", "DIR", false, "where the report goes (default: build/verify)"},
                {"--only", "SECTION", true, "only this section, and the environment"},
                {"--time-limit", "S", false, "end a part that takes longer (default: its own)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle verify --output-dir report", "heddle verify --source . --quick",
                 "heddle verify --source . --only explorer", NULL},
    .run = run,
};
