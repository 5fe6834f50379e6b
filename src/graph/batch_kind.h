/* Batch kind: what requests have in common that can be stacked: the shapes of their inputs but for the
 * first dimension, and which outputs are wanted. Knows for which numbers of rows stacking is proven.
 *
 * A list only grows, up to a limit, and finds a kind without a lock; a kind beyond the limit belongs to
 * the request that asked for it, which is then stacked with no other (FLAT).
 * Protocol: an entry goes from NULL to its kind once, by compare-and-swap with release, and is read with
 * acquire; who comes second takes the first one's kind.
 *
 * Thread-safety: any thread; what is not atomic of a kind is immutable. */
#ifndef HD_GRAPH_BATCH_KIND_H
#define HD_GRAPH_BATCH_KIND_H

#include "base/atomic.h"
#include "graph/model.h"

#define HD_BATCH_KIND_LIMIT  1024
#define HD_BATCH_KIND_PLACES (2 * HD_BATCH_KIND_LIMIT)

typedef struct hd_batch_kind {
    hd_region region; /* holds the kind itself */
    uint64_t hash;
    bool is_listed;       /* lives as long as its list; else its request's */
    hd_shape *row_shapes; /* one a model input, dims[0] = 1 */
    bool *wanted;         /* one a model output */
    /* Bytes of one row of each output, 0: not known yet. relaxed: each who finds out finds the same. */
    _Atomic size_t *row_sizes;
    /* What is known of each number of rows. relaxed: a proof depends on the model only. */
    _Atomic uint8_t *proofs;
} hd_batch_kind;

typedef struct hd_batch_kinds {
    uint32_t max_rows; /* immutable */
    _Atomic uint32_t count;
    _Atomic(hd_batch_kind *) places[HD_BATCH_KIND_PLACES];
} hd_batch_kinds;

void hd_batch_kinds_clear(hd_batch_kinds *kinds);

/* Finds or adds the kind of bound tensors (hd_bind_inputs, hd_bind_outputs). A kind that is not listed goes
 * back through hd_batch_kind_drop. NULL: out of memory. */
hd_batch_kind *hd_batch_kinds_get(hd_batch_kinds *kinds, const hd_model *model,
                                  const hd_tensor *const *inputs, hd_tensor *const *outputs);
/* Frees a kind that is not listed. */
void hd_batch_kind_drop(hd_batch_kind *kind);

/* Whether `rows` rows (2 to max_rows) may be run as one: HD_OK, HD_UNSUPPORTED, or why that could not be
 * found out. A proof is made once. */
HD_MUST_CHECK hd_status hd_batch_kind_prove(hd_batch_kind *kind, const hd_model *model,
                                            uint32_t rows, hd_error *error);
/* So many rows are not run as one any more: their outputs could not be taken apart. */
void hd_batch_kind_refuse(hd_batch_kind *kind, uint32_t rows);

#endif
