#include "graph/device_constants.h"

#include <stdlib.h>

#include "base/memory.h"

static int compare_constants(const void *a, const void *b)
{
    const unsigned char *first = ((const hd_device_constant *)a)->host,
                        *second = ((const hd_device_constant *)b)->host;
    return first < second ? -1 : first > second;
}

static void give_back(hd_device *device, void *copy, size_t size)
{
    hd_unit_memory_destroy(device->unit, HD_PLACE_DEVICE, copy, size);
    hd_memory_account_give(&device->memory, HD_MEMORY_WEIGHTS, size);
}

void *hd_device_constants_take(hd_device *device, hd_memory_kind kind, size_t size)
{
    if (!hd_memory_account_take(&device->memory, kind, size)) {
        return NULL;
    }
    void *memory = hd_unit_memory_create(device->unit, HD_PLACE_DEVICE, size);
    if (memory == NULL) {
        hd_memory_account_give(&device->memory, kind, size);
    }
    return memory;
}

/* A copy of `size` bytes in the device's memory, counted as weights; NULL, and *error says why: there is none. */
static void *copy_bytes(hd_device *device, const void *data, size_t size, hd_error *error)
{
    void *copy = hd_device_constants_take(device, HD_MEMORY_WEIGHTS, size);
    if (copy == NULL) {
        hd_fail(error, hd_unit_memory_refusal(device->unit),
                "no memory on the device for a constant of %zu bytes", size);
        return NULL;
    }
    if (hd_unit_copy(device->unit, copy, data, size) != HD_OK) {
        give_back(device, copy, size);
        hd_fail(error, HD_LOST, "the device was lost");
        return NULL;
    }
    return copy;
}

hd_status hd_device_constants_pack(hd_device *device, const hd_operand *constant,
                                   hd_packed **out_packed, hd_error *error)
{
    size_t size = (size_t)hd_shape_count(&constant->shape) * hd_dtype_size(constant->dtype);
    hd_packed *packed = hd_alloc_zero(1, sizeof *packed);
    *out_packed = NULL;
    if (packed == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model");
    }
    *packed = (hd_packed){.form = {.kind = HD_CONSTANT_PLAIN, .group = 1},
                          .shape = constant->shape,
                          .size = size,
                          .memory = copy_bytes(device, constant->data, size, error)};
    if (packed->memory == NULL) {
        hd_free(packed);
        return hd_unit_memory_refusal(device->unit);
    }
    *out_packed = packed;
    return HD_OK;
}

void hd_device_constants_unpack(hd_device *device, hd_packed *packed)
{
    if (packed != NULL && packed->form.kind == HD_CONSTANT_PLAIN) {
        give_back(device, packed->memory, packed->size);
        hd_free(packed);
        return;
    }
    device->unit->backend->compile->constant_destroy(device->unit, &packed);
}

hd_status hd_device_constants_copy(hd_device_constants *self, hd_device *device,
                                   const hd_graph *graph, size_t *size, hd_error *error)
{
    if (device->unit->is_host) {
        return HD_OK;
    }
    self->entries = hd_alloc_zero(graph->value_count, sizeof *self->entries);
    if (self->entries == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a model");
    }
    for (size_t v = 1; v < graph->value_count; v++) {
        const hd_graph_value *value = &graph->values[v];
        size_t bytes = (size_t)hd_shape_count(&value->shape) * hd_dtype_size(value->dtype);
        if (value->data == NULL || bytes == 0) {
            continue;
        }
        void *copy = copy_bytes(device, value->data, bytes, error);
        if (copy == NULL) {
            return hd_unit_memory_refusal(device->unit);
        }
        self->entries[self->count++] = (hd_device_constant){value->data, bytes, copy};
        *size += bytes;
    }
    hd_device_constants_sort(self);
    return HD_OK;
}

void hd_device_constants_drop(hd_device_constants *self, hd_device *device)
{
    for (size_t i = 0; i < self->count; i++) {
        give_back(device, self->entries[i].copy, self->entries[i].size);
    }
    hd_free(self->entries);
    *self = (hd_device_constants){0};
}

void hd_device_constants_sort(hd_device_constants *self)
{
    if (self->count > 1) {
        qsort(self->entries, self->count, sizeof *self->entries, compare_constants);
    }
}

unsigned char *hd_device_constants_find(const hd_device_constants *self, const unsigned char *host)
{
    size_t low = 0, high = self->count; /* behind the last that begins at or before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->entries[middle].host <= host) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const hd_device_constant *last = low == 0 ? NULL : &self->entries[low - 1];
    return last != NULL && host < last->host + last->size ? last->copy + (host - last->host) : NULL;
}
