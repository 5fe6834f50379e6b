#include "graph/batch_kind.h"

#include <string.h>

#include "base/memory.h"
#include "graph/rows.h"

/* hd_batch_kind.proofs */
enum { UNKNOWN, PROVEN, REFUSED };

void hd_batch_kind_drop(hd_batch_kind *kind)
{
    hd_region region = kind->region;
    hd_region_clear(&region);
}

void hd_batch_kinds_clear(hd_batch_kinds *kinds)
{
    for (size_t i = 0; i < HD_BATCH_KIND_PLACES; i++) {
        hd_batch_kind *kind = hd_load_relaxed(&kinds->places[i]);
        if (kind != NULL) {
            hd_batch_kind_drop(kind);
        }
    }
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const hd_block *root, const hd_tensor *const *inputs,
                        hd_tensor *const *outputs)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < root->input_count; i++) {
        hash = mix(hash, inputs[i]->rank);
        for (uint32_t d = 1; d < inputs[i]->rank; d++) {
            hash = mix(hash, (uint64_t)inputs[i]->dims[d]);
        }
    }
    for (size_t i = 0; i < root->output_count; i++) {
        hash = mix(hash, outputs[i] != NULL);
    }
    return hash;
}

static bool is_kind(const hd_batch_kind *kind, const hd_block *root, const hd_tensor *const *inputs,
                    hd_tensor *const *outputs)
{
    for (size_t i = 0; i < root->input_count; i++) {
        const hd_shape *shape = &kind->row_shapes[i];
        if (shape->rank != inputs[i]->rank ||
            memcmp(shape->dims + 1, inputs[i]->dims + 1, (shape->rank - 1) * sizeof *shape->dims) !=
                0) {
            return false;
        }
    }
    for (size_t i = 0; i < root->output_count; i++) {
        if (kind->wanted[i] != (outputs[i] != NULL)) {
            return false;
        }
    }
    return true;
}

static hd_batch_kind *create_kind(const hd_block *root, uint32_t max_rows, uint64_t hash,
                                  const hd_tensor *const *inputs, hd_tensor *const *outputs)
{
    hd_region region = {0};
    hd_batch_kind *kind = hd_region_alloc(&region, sizeof *kind);
    hd_shape *shapes = hd_region_array(&region, root->input_count, sizeof *shapes);
    bool *wanted = hd_region_array(&region, root->output_count, sizeof *wanted);
    _Atomic size_t *row_sizes = hd_region_array(&region, root->output_count, sizeof *row_sizes);
    _Atomic uint8_t *proofs = hd_region_array(&region, (size_t)max_rows + 1, sizeof *proofs);
    if (kind == NULL || shapes == NULL || wanted == NULL || row_sizes == NULL || proofs == NULL) {
        hd_region_clear(&region);
        return NULL;
    }
    for (size_t i = 0; i < root->input_count; i++) {
        shapes[i].rank = inputs[i]->rank;
        memcpy(shapes[i].dims, inputs[i]->dims, inputs[i]->rank * sizeof *shapes[i].dims);
        shapes[i].dims[0] = 1;
    }
    for (size_t i = 0; i < root->output_count; i++) {
        wanted[i] = outputs[i] != NULL;
    }
    *kind = (hd_batch_kind){.region = region,
                            .hash = hash,
                            .row_shapes = shapes,
                            .wanted = wanted,
                            .row_sizes = row_sizes,
                            .proofs = proofs};
    return kind;
}

hd_batch_kind *hd_batch_kinds_get(hd_batch_kinds *kinds, const hd_model *model,
                                  const hd_tensor *const *inputs, hd_tensor *const *outputs)
{
    const hd_block *root = model->graph->root;
    uint64_t hash = hash_of(root, inputs, outputs);
    hd_batch_kind *made = NULL;
    for (size_t i = hash % HD_BATCH_KIND_PLACES;; i = (i + 1) % HD_BATCH_KIND_PLACES) {
        /* acquire: pairs with the swap below; the kind is complete. */
        hd_batch_kind *there = hd_load_acquire(&kinds->places[i]);
        if (there == NULL && made == NULL) {
            made = create_kind(root, kinds->max_rows, hash, inputs, outputs);
            /* relaxed: it only bounds the list, which keeps half of its places free. */
            if (made == NULL || hd_load_relaxed(&kinds->count) >= HD_BATCH_KIND_LIMIT) {
                return made;
            }
            hd_add_relaxed(&kinds->count, 1);
            made->is_listed = true;
        }
        if (there == NULL && hd_cas_acq_rel(&kinds->places[i], &there, made)) {
            return made;
        }
        if (there->hash == hash && is_kind(there, root, inputs, outputs)) {
            if (made != NULL) {
                hd_sub_relaxed(&kinds->count, 1);
                hd_batch_kind_drop(made);
            }
            return there;
        }
    }
}

hd_status hd_batch_kind_prove(hd_batch_kind *kind, const hd_model *model, uint32_t rows,
                              hd_error *error)
{
    uint8_t known = hd_load_relaxed(&kind->proofs[rows]);
    if (known == PROVEN) {
        return HD_OK;
    }
    if (known == REFUSED) {
        return hd_fail(error, HD_UNSUPPORTED,
                       "rows of these input shapes are not proven independent");
    }
    hd_status status = hd_model_prove_rows(model, kind->row_shapes, kind->wanted, rows, error);
    if (status == HD_OK || status == HD_UNSUPPORTED) {
        hd_store_relaxed(&kind->proofs[rows], (uint8_t)(status == HD_OK ? PROVEN : REFUSED));
    }
    return status;
}

void hd_batch_kind_refuse(hd_batch_kind *kind, uint32_t rows)
{
    hd_store_relaxed(&kind->proofs[rows], (uint8_t)REFUSED);
}
