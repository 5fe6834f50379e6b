#include "hal/backend.h"

#include <string.h>

#include "hal/cpu/backend.h"
#if HD_HAVE_CUDA
#include "hal/cuda/backend.h"
#endif
#include "hal/cpu/isa.h"

/* Programs of the tests are linked with it, others are not: then its address is NULL. */
__attribute__((weak)) extern const hd_backend hd_backend_sim;

/* What this build has, the host first. */
static const hd_backend *const backends[] = {&hd_backend_cpu,
#if HD_HAVE_CUDA
                                             &hd_backend_cuda,
#endif
                                             &hd_backend_sim};

const hd_backend *hd_backend_host(void)
{
    return &hd_backend_cpu;
}

const hd_backend *hd_backend_at(size_t index)
{
    return index < sizeof backends / sizeof *backends ? backends[index] : NULL;
}

/* Whether `name` is that of `kind`, alone or with a number behind a colon, which *out_ordinal then is. */
static bool is_named(const char *name, const char *kind, uint32_t *out_ordinal)
{
    size_t length = strlen(kind);
    if (strncmp(name, kind, length) != 0 || (name[length] != '\0' && name[length] != ':')) {
        return false;
    }
    *out_ordinal = 0;
    if (name[length] == '\0') {
        return true;
    }
    const char *digit = name + length + 1;
    if (*digit == '\0' || strlen(digit) > 4) {
        return false;
    }
    for (; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return false;
        }
        *out_ordinal = *out_ordinal * 10 + (uint32_t)(*digit - '0');
    }
    return true;
}

static const hd_backend *preferred(void)
{
    for (size_t i = 0; hd_backend_at(i) != NULL; i++) {
        if (hd_backend_at(i)->is_preferred && hd_backend_at(i)->count() > 0) {
            return hd_backend_at(i);
        }
    }
    return hd_backend_host();
}

hd_status hd_backend_find(const char *name, const hd_backend **out_backend, uint32_t *out_ordinal,
                          hd_error *error)
{
    *out_backend = NULL;
    *out_ordinal = 0;
    /* The host computes for every device. */
    hd_status status = hd_cpu_isa_check(error);
    if (status != HD_OK) {
        return status;
    }
    if (hd_backend_is_auto(name)) {
        *out_backend = preferred();
        return HD_OK;
    }
    for (size_t i = 0; hd_backend_at(i) != NULL; i++) {
        const hd_backend *backend = hd_backend_at(i);
        if (!is_named(name, backend->name, out_ordinal) ||
            (backend == hd_backend_host() && strchr(name, ':') != NULL)) {
            continue;
        }
        uint32_t count = backend->count();
        if (count == 0) {
            return hd_fail(error, HD_UNAVAILABLE, "device '%s': %s", name, backend->absence());
        }
        if (*out_ordinal >= count) {
            return hd_fail(error, HD_UNAVAILABLE, "device '%s': this machine has %u of them", name,
                           count);
        }
        *out_backend = backend;
        return HD_OK;
    }
    if (is_named(name, "cuda", out_ordinal)) {
        return hd_fail(error, HD_UNAVAILABLE, "device '%s': this build has no CUDA", name);
    }
    return hd_fail(error, HD_NOT_FOUND,
                   "there is no device '%s'; known are cpu, cuda, cuda:N and auto", name);
}
