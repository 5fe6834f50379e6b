#include "cli/session.h"

hd_exit_code hd_session_open(const hd_arguments *given, const char *path, hd_session *out_session)
{
    hd_error error = {0};
    *out_session = (hd_session){0};
    if (hd_device_open(hd_arguments_device(given), NULL, &out_session->device, &error) != HD_OK) {
        hd_failure_print_error(&error);
        /* The name's form was checked before: what is not found is a device that this build
         * lacks. */
        return error.status == HD_NOT_FOUND ? EXIT_CODE_DEVICE : hd_failure_code(error.status);
    }
    if (hd_device_get_info(out_session->device, &out_session->info) != HD_OK) {
        return hd_failure_print(EXIT_CODE_DEFECT, "the device does not say what it is");
    }
    if (path != NULL &&
        hd_model_load(out_session->device, path, NULL, &out_session->model, &error) != HD_OK) {
        return hd_failure_print_error(&error);
    }
    return EXIT_CODE_OK;
}

void hd_session_close(hd_session *session)
{
    hd_model_destroy(&session->model);
    hd_device_destroy(&session->device);
}
