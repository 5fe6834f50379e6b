/* Disturbs hd_model_run, to show that the program notices: preloaded into it, this library takes the
 * call's place. DISTURB says how, from the second run of the process on (the first is the one that
 * others are compared with):
 *   bit        flips the lowest bit of the first output's middle byte
 *   malloc     calls malloc and free
 *   status:N   fails with this status */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heddle/model.h"

static _Atomic unsigned call_count;

HD_API hd_status hd_model_run(hd_model *model, const hd_tensor *inputs, size_t input_count,
                              hd_tensor *outputs, size_t output_count, hd_error *error)
{
    hd_status (*run)(hd_model *, const hd_tensor *, size_t, hd_tensor *, size_t, hd_error *) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "hd_model_run");
    memcpy(&run, &symbol, sizeof run);
    const char *how = getenv("DISTURB");
    if (how == NULL || atomic_fetch_add(&call_count, 1) == 0) {
        return run(model, inputs, input_count, outputs, output_count, error);
    }
    if (strncmp(how, "status:", 7) == 0) {
        hd_status status = (hd_status)atoi(how + 7);
        *error = (hd_error){.status = status};
        snprintf(error->message, sizeof error->message, "disturbed with %s",
                 hd_status_name(status));
        return status;
    }
    hd_status status = run(model, inputs, input_count, outputs, output_count, error);
    if (status == HD_OK && strcmp(how, "bit") == 0) {
        ((unsigned char *)outputs[0].data)[outputs[0].size / 2] ^= 1;
    }
    if (strcmp(how, "malloc") == 0) {
        void *volatile memory = malloc(1);
        free(memory);
    }
    return status;
}
