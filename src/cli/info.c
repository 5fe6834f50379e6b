/* heddle info: which devices there are, and on what system. */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli/report.h"
#include "cli/session.h"

static const char *kind_name(hd_device_kind kind)
{
    switch (kind) {
    case HD_DEVICE_CPU:
        return "cpu";
    case HD_DEVICE_CUDA:
        return "cuda";
    case HD_DEVICE_VULKAN:
        return "vulkan";
    }
    return "unknown";
}

/* Distribution's name from os-release(5), else the kernel's. */
static void read_system_name(const struct utsname *names, char *text, size_t size)
{
    char line[256], distribution[160] = "";
    FILE *file = fopen("/etc/os-release", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "PRETTY_NAME=", 12) == 0) {
            const char *begin = line + 12 + strspn(line + 12, "\"'");
            snprintf(distribution, sizeof distribution, "%.*s", (int)strcspn(begin, "\"'\n"),
                     begin);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    snprintf(text, size, "%s%s%s %s %s", distribution, distribution[0] != '\0' ? ", " : "",
             names->sysname, names->release, names->machine);
}

static void write_device(hd_report *report, const hd_device_info *info)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_object(json, NULL);
    hd_json_string(json, "name", info->name);
    hd_json_string(json, "kind", kind_name(info->kind));
    hd_json_string(json, "description", info->description);
    hd_json_string(json, "driver", info->driver);
    hd_json_integer(json, "cores", info->core_count);
    hd_json_integer(json, "queues", info->queue_count);
    hd_json_integer(json, "memory_bytes", (int64_t)info->memory_bytes);
    hd_json_end_object(json);
    if (report->tables) {
        printf("%-8s %s\n%-8s %s, %u cores, %u queues, %.1f GiB\n", info->name, info->description,
               "", info->driver, info->core_count, info->queue_count,
               (double)info->memory_bytes / (1024.0 * 1024 * 1024));
    }
}

/* *out_infos is to be freed. */
static hd_exit_code list_devices(hd_device_info **out_infos, size_t *out_count)
{
    hd_error error = {0};
    size_t capacity = 16;
    for (;;) {
        *out_infos = calloc(capacity, sizeof **out_infos);
        if (*out_infos == NULL) {
            return hd_failure_print_memory();
        }
        (*out_infos)[0].struct_size = sizeof **out_infos;
        if (hd_device_list(*out_infos, capacity, out_count, &error) != HD_OK) {
            free(*out_infos);
            *out_infos = NULL;
            return hd_failure_print_error(&error);
        }
        if (*out_count <= capacity) {
            return EXIT_CODE_OK;
        }
        capacity = *out_count;
        free(*out_infos);
    }
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_session session = {0};
    hd_device_info *infos = NULL;
    size_t count = 0;
    struct utsname names = {0};
    char system_name[512];
    hd_exit_code code = hd_report_open(given, &report);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = hd_session_open(given, NULL, &session);
    if (code != EXIT_CODE_OK) {
        goto fail;
    }
    code = list_devices(&infos, &count);
    if (code != EXIT_CODE_OK) {
        goto fail;
    }
    uname(&names);
    read_system_name(&names, system_name, sizeof system_name);
    if (report.tables) {
        printf("heddle %s on %s; default device: %s\n", hd_version(), system_name,
               session.info.name);
    }
    hd_report_begin(&report, "info", session.info.name, "devices");
    for (size_t i = 0; i < count; i++) {
        write_device(&report, &infos[i]);
    }
    hd_report_end_points(&report);
    hd_json_string(&report.json, "version", hd_version());
    hd_json_string(&report.json, "system", system_name);
    code = hd_report_end(&report);
fail:
    free(infos);
    hd_session_close(&session);
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_info = {
    .name = "info",
    .summary = "Prints the devices of this machine and what they can do.",
    .examples = {"heddle info", "heddle info --json -", NULL},
    .run = run,
};
