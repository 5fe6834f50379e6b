#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

/* Each input that the command gives may be an initializer that it gives another value. */
static hd_exit_code load_model(const hd_arguments *given, const char *path,
                               hd_model_options options, hd_session *session)
{
    hd_error error = {0};
    size_t files = hd_arguments_count(given, "--input");
    size_t count = files + hd_arguments_count(given, "--shape");
    const char **names = calloc(count + 1, sizeof *names);
    if (names == NULL) {
        return hd_failure_print_memory();
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = i < files ? hd_arguments_named(given, "--input", i).name
                             : hd_arguments_named(given, "--shape", i - files).name;
    }
    options.override_names = names;
    options.override_count = count;
    hd_status status = hd_model_load(session->device, path, &options, &session->model, &error);
    free(names);
    return status == HD_OK ? EXIT_CODE_OK : hd_failure_print_error(&error);
}

static hd_exit_code read_precision(const hd_arguments *given, hd_precision *out_precision)
{
    static const char *const names[] = {[HD_PRECISION_FLOAT32] = "float32",
                                        [HD_PRECISION_TF32] = "tf32",
                                        [HD_PRECISION_FLOAT16] = "float16",
                                        [HD_PRECISION_BFLOAT16] = "bfloat16"};
    const char *name = hd_arguments_value(given, "--precision");
    *out_precision = HD_PRECISION_FLOAT32;
    for (size_t i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out_precision = (hd_precision)i;
            return EXIT_CODE_OK;
        }
    }
    return name == NULL
               ? EXIT_CODE_OK
               : hd_failure_print(EXIT_CODE_USAGE, "--precision takes " HD_SESSION_PRECISIONS);
}

hd_exit_code hd_session_open(const hd_arguments *given, const char *path, hd_session *out_session)
{
    hd_error error = {0};
    *out_session = (hd_session){0};
    hd_device_options options = {.struct_size = sizeof options};
    hd_model_options limits = {.struct_size = sizeof limits};
    hd_exit_code code =
        hd_arguments_number(given, "--memory-limit", 1, UINT64_MAX, 0, &options.memory_limit);
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_number(given, "--work-limit", 1, UINT64_MAX, 0, &limits.work_limit);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_number(given, "--run-memory-limit", 1, UINT64_MAX, 0,
                                   &limits.run_memory_limit);
    }
    if (code == EXIT_CODE_OK) {
        code = read_precision(given, &options.precision);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (hd_device_open(hd_arguments_device(given), &options, &out_session->device, &error) !=
        HD_OK) {
        hd_failure_print_error(&error);
        /* The name's form was checked before: what is not found is a device that this build
         * lacks. */
        return error.status == HD_NOT_FOUND ? EXIT_CODE_DEVICE : hd_failure_code(error.status);
    }
    out_session->info.struct_size = sizeof out_session->info;
    if (hd_device_get_info(out_session->device, &out_session->info) != HD_OK) {
        return hd_failure_print(EXIT_CODE_DEFECT, "the device does not say what it is");
    }
    return path == NULL ? EXIT_CODE_OK : load_model(given, path, limits, out_session);
}

void hd_session_close(hd_session *session)
{
    hd_model_destroy(&session->model);
    hd_device_destroy(&session->device);
}
