#include "hal/backend.h"

#include <string.h>

hd_status hd_backend_find(const char *name, const hd_backend **out_backend, hd_error *error)
{
    *out_backend = NULL;
    if (name == NULL || strcmp(name, "cpu") == 0 || strcmp(name, "auto") == 0) {
        *out_backend = &hd_backend_cpu;
        return HD_OK;
    }
    if (strcmp(name, "cuda") == 0 || strncmp(name, "cuda:", 5) == 0) {
        return hd_fail(error, HD_UNAVAILABLE, "device '%s': this build has no CUDA", name);
    }
    return hd_fail(error, HD_NOT_FOUND, "there is no device '%s'; known are cpu, cuda, cuda:N and auto",
                   name);
}
