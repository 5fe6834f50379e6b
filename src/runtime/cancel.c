#include "runtime/cancel.h"

#include "base/memory.h"
#include "base/status.h"

hd_status hd_cancel_create(hd_cancel **out_cancel, hd_error *error)
{
    if (out_cancel == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "out_cancel is NULL");
    }
    hd_cancel *cancel = *out_cancel = hd_alloc(sizeof *cancel);
    if (cancel == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a cancel token");
    }
    atomic_init(&cancel->reference_count, 1);
    atomic_init(&cancel->is_set, false);
    return HD_OK;
}

void hd_cancel_set(hd_cancel *cancel)
{
    if (cancel != NULL) {
        hd_store_relaxed(&cancel->is_set, true);
    }
}

bool hd_cancel_is_set(const hd_cancel *cancel)
{
    return cancel != NULL && hd_load_relaxed(&cancel->is_set);
}

void hd_cancel_retain(hd_cancel *cancel)
{
    if (cancel != NULL) {
        hd_add_relaxed(&cancel->reference_count, 1); /* relaxed: the caller's reference keeps it */
    }
}

void hd_cancel_destroy(hd_cancel **cancel)
{
    if (cancel == NULL || *cancel == NULL) {
        return;
    }
    hd_cancel *dead = *cancel;
    *cancel = NULL;
    /* acq_rel: nobody looks at it any more when the last one frees it. */
    if (hd_sub_acq_rel(&dead->reference_count, 1) == 1) {
        hd_free(dead);
    }
}
