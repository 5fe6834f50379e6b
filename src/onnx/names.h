/* Names: a map from texts to items whose cost does not depend on which texts a file chooses. A
 * radix tree with one node a text (D. R. Morrison, "PATRICIA", Journal of the ACM 15(4), 1968):
 * finding a text takes as many steps as it has bits at most, and there is no hash to make collide.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_NAMES_H
#define HD_ONNX_NAMES_H

#include "base/region.h"

typedef struct hd_onnx_name {
    const char *text;
    void *item; /* NULL until whoever put the text sets it */
    size_t bit; /* from 1 on: the first one in which the texts below `next` differ */
    struct hd_onnx_name *next[2];
} hd_onnx_name;

/* All zero: none. */
typedef struct hd_onnx_names {
    hd_onnx_name *first;
} hd_onnx_names;

/* NULL: the text is not there. */
hd_onnx_name *hd_onnx_names_find(const hd_onnx_names *names, const char *text);

/* The entry of `text`, made in the region where there is none yet; the text must live as long. NULL
 * when out of memory. */
hd_onnx_name *hd_onnx_names_put(hd_onnx_names *names, hd_region *region, const char *text);

#endif
