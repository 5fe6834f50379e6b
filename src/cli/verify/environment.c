/* The section on what the report was made on, which also finds the devices that the others measure. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/verify/child.h"
#include "cli/verify/findings.h"
#include "cli/verify/part.h"
#include "cli/verify/text_file.h"

#define INFO_LIMIT_S 60

static void add_device(hd_verify *verify, const char *name, const char *program, hd_verdict verdict,
                       const char *reason)
{
    size_t length = verify->device == NULL ? 0 : strlen(verify->device);
    bool wanted = verify->device == NULL || strcmp(verify->device, name) == 0 ||
                  (strncmp(verify->device, name, length) == 0 && strcmp(name + length, ":0") == 0);
    if (wanted && verify->device_count < VERIFY_DEVICES_MAX) {
        verify->devices[verify->device_count++] =
            (hd_verify_device){name, program, verdict, reason};
    }
}

static void add_row(hd_verify *verify, hd_json_value *table, const hd_json_value *device)
{
    hd_json_value *row = hd_table_add_row(verify->arena, table);
    hd_row_add_text(verify->arena, row, hd_json_text(device, "name"));
    hd_row_add_text(verify->arena, row, hd_json_text(device, "description"));
    hd_row_add_text(verify->arena, row, hd_json_text(device, "driver"));
    hd_row_add_number(verify->arena, row, hd_json_amount(device, "cores"));
    hd_row_add_number(verify->arena, row, hd_json_amount(device, "queues"));
    double gib = hd_json_amount(device, "memory_bytes") / (1024.0 * 1024 * 1024);
    hd_row_add_text(verify->arena, row, hd_arena_format(verify->arena, "%.1f GiB", gib));
}

/* "cuda:1" is of the kind cuda. */
static bool is_of(const hd_json_value *device, const char *kind)
{
    const char *name = hd_json_text(device, "name");
    size_t length = strlen(kind);
    return strncmp(name, kind, length) == 0 && (name[length] == '\0' || name[length] == ':');
}

/* Takes the devices that `heddle info` lists: this program's own, or the first simulated one of `simulator`. */
static void take_devices(hd_verify *verify, hd_json_value *table, const hd_json_value *info,
                         const char *simulator)
{
    const hd_json_value *devices = hd_json_get(info, "devices");
    const hd_json_value *device = devices == NULL ? NULL : devices->first;
    for (; device != NULL; device = device->next) {
        if (is_of(device, "sim") == (simulator != NULL)) {
            add_device(verify, simulator != NULL ? "sim" : hd_json_text(device, "name"),
                       simulator != NULL ? simulator : verify->program, VERDICT_PASS, NULL);
            add_row(verify, table, device);
            if (simulator != NULL) {
                return;
            }
        }
    }
}

static bool has_kind(const hd_json_value *info, const char *kind)
{
    const hd_json_value *devices = hd_json_get(info, "devices");
    const hd_json_value *device = devices == NULL ? NULL : devices->first;
    while (device != NULL && !is_of(device, kind)) {
        device = device->next;
    }
    return device != NULL;
}

/* Runs `words` for the last line that it prints; "" where it fails and `succeeds` is wanted. */
static const char *ask(hd_verify *verify, const char *const *words, const char *folder,
                       bool succeeds)
{
    const char *log = hd_arena_format(verify->arena, "%s/logs/question.log", verify->output);
    hd_child child = {.words = words, .folder = folder, .log = log, .limit = INFO_LIMIT_S};
    hd_child_result result;
    verify->signal = hd_child_run(&child, &result);
    size_t length;
    const char *text = hd_text_file_read(verify->arena, log, &length);
    unlink(log);
    bool good = result.end == CHILD_ENDED && (!succeeds || result.status == 0);
    return !good || text == NULL ? "" : hd_arena_copy(verify->arena, text, strcspn(text, "\r\n"));
}

/* Why there is no CUDA device, in the program's own words. */
static void note_absent_cuda(hd_verify *verify, const hd_json_value *info)
{
    if (has_kind(info, "cuda")) {
        return;
    }
    const char *words[] = {verify->program, "info", "--device", "cuda", NULL};
    const char *said = ask(verify, words, NULL, false);
    add_device(verify, "cuda", verify->program, VERDICT_SKIPPED,
               strncmp(said, "heddle: ", 8) == 0 ? said + 8 : "there is no such device");
}

/* The test build of the program, which alone has the simulated device. */
static const char *find_simulator(hd_verify *verify)
{
    const char *slash = strrchr(verify->program, '/');
    const char *beside = hd_arena_format(verify->arena, "%.*s/tests/heddle-sim",
                                         (int)(slash - verify->program), verify->program);
    if (access(beside, X_OK) == 0) {
        return beside;
    }
    const char *built =
        hd_arena_format(verify->arena, "%s/build/release/tests/heddle-sim", verify->source);
    return access(built, X_OK) == 0 ? built : NULL;
}

static void find_simulated(hd_verify *verify, hd_json_value *section, hd_json_value *table)
{
    if (verify->source == NULL) {
        add_device(verify, "sim", NULL, VERDICT_SKIPPED,
                   "the simulated device is in test builds only, which need the sources");
        return;
    }
    const char *simulator = find_simulator(verify);
    if (simulator == NULL) {
        const char *reason = "the test build of the program is missing: make verify builds it "
                             "(cmake --build --preset release --target heddle_program_sim)";
        add_device(verify, "sim", NULL, VERDICT_FAIL, reason);
        hd_part_leave_out(verify, section, "sim", VERDICT_FAIL, reason);
        return;
    }
    const char *words[] = {simulator, "info", "--device", "sim", NULL};
    hd_json_value *info = hd_part_run(verify, section, "sim", words, NULL, INFO_LIMIT_S);
    if (info != NULL && has_kind(info, "sim")) {
        hd_part_count(verify, section, 1, 0);
        take_devices(verify, table, info, simulator);
    } else {
        hd_part_fail(verify, section, "the test build of the program has no simulated device");
        hd_part_count(verify, section, 0, 1);
        add_device(verify, "sim", simulator, VERDICT_FAIL, "the simulated device is not there");
    }
}

static void add_fact(hd_verify *verify, hd_json_value *table, const char *what, const char *value)
{
    if (*value != '\0') {
        hd_json_value *row = hd_table_add_row(verify->arena, table);
        hd_row_add_text(verify->arena, row, what);
        hd_row_add_text(verify->arena, row, value);
    }
}

static void add_facts(hd_verify *verify, hd_json_value *section, const hd_json_value *info)
{
    static const char *const columns[] = {"", "", NULL};
    static const char *const tools[][2] = {{"gcc", "--version"},
                                           {"clang-22", "--version"},
                                           {"java", "-version"},
                                           {"python3", "--version"}};
    hd_arena *arena = verify->arena;
    hd_json_value *table = hd_json_append(hd_json_get(section, "tables"),
                                          hd_table_make(arena, "System and tools", columns));
    double load[3];
    add_fact(verify, table, "heddle",
             hd_arena_format(arena, "%s, default device %s", hd_json_text(info, "version"),
                             hd_json_text(info, "device")));
    add_fact(verify, table, "system", hd_json_text(info, "system"));
    add_fact(verify, table, "processors in use",
             hd_arena_format(arena, "%ld", sysconf(_SC_NPROCESSORS_ONLN)));
    if (getloadavg(load, 3) == 3) {
        add_fact(verify, table, "load before",
                 hd_arena_format(arena, "%.2f, %.2f, %.2f over 1, 5 and 15 minutes", load[0],
                                 load[1], load[2]));
    }
    if (verify->source == NULL) {
        return;
    }
    const char *describe[] = {"git", "-C", verify->source, "describe", "--always", "--dirty", NULL};
    add_fact(verify, table, "commit", ask(verify, describe, NULL, true));
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        const char *words[] = {tools[i][0], tools[i][1], NULL};
        add_fact(verify, table, tools[i][0], ask(verify, words, NULL, true));
    }
}

static void name_devices(hd_verify *verify)
{
    const char *names = "";
    for (size_t i = 0; i < verify->device_count; i++) {
        if (verify->devices[i].verdict == VERDICT_PASS) {
            names = hd_arena_format(verify->arena, "%s%s%s", names, *names == '\0' ? "" : ", ",
                                    verify->devices[i].name);
        }
    }
    hd_json_set(verify->report, "device", hd_json_make_text(verify->arena, names));
}

void hd_verify_environment(hd_verify *verify, const hd_verify_section *row, hd_json_value *section)
{
    static const char *const columns[] = {"device", "description", "driver", "cores",
                                          "queues", "memory",      NULL};
    const char *words[] = {verify->program, "info", NULL};
    (void)row;
    hd_json_value *info = hd_part_run(verify, section, "", words, NULL, INFO_LIMIT_S);
    if (info == NULL) {
        hd_part_count(verify, section, 0, 1);
        return;
    }
    hd_part_count(verify, section, 1, 0);
    hd_json_set(verify->report, "system",
                hd_json_make_text(verify->arena, hd_json_text(info, "system")));
    hd_json_value *table = hd_json_append(hd_json_get(section, "tables"),
                                          hd_table_make(verify->arena, "Devices", columns));
    if (verify->device != NULL && strcmp(verify->device, "auto") == 0) {
        verify->device = hd_json_text(info, "device");
    }
    take_devices(verify, table, info, NULL);
    if (verify->device == NULL || strcmp(verify->device, "sim") == 0) {
        find_simulated(verify, section, table);
    }
    note_absent_cuda(verify, info);
    if (verify->device != NULL && verify->device_count == 0) {
        add_device(verify, verify->device, verify->program, VERDICT_SKIPPED,
                   hd_arena_format(verify->arena, "there is no device %s", verify->device));
    }
    for (size_t i = 0; i < verify->device_count; i++) {
        if (verify->devices[i].verdict == VERDICT_SKIPPED) {
            hd_part_leave_out(verify, section, verify->devices[i].name, VERDICT_SKIPPED,
                              verify->devices[i].reason);
        }
    }
    add_facts(verify, section, info);
    name_devices(verify);
}
