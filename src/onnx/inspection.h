/* Inspection, inside: what was found out about a file (heddle/inspect.h), and the ways to add to it.
 *
 * Thread-safety: one thread at a time while it is made; immutable then. */
#ifndef HD_ONNX_INSPECTION_H
#define HD_ONNX_INSPECTION_H

#include "base/region.h"
#include "heddle/inspect.h"
#include "onnx.pb-c.h"
#include "onnx/names.h"
#include "runtime/device.h"

/* A growing array. */
typedef struct hd_inspection_list {
    void *items;
    size_t count;
    size_t capacity;
} hd_inspection_list;

struct hd_inspection {
    hd_device *device; /* with a reference */
    hd_region region;  /* texts, and what the maps hold */
    hd_inspection_summary summary;
    hd_inspection_list opsets, inputs, outputs, operators, nodes, findings;
    /* numbers in the lists, one more, by domain and type; by a node's name; by what a finding says */
    hd_onnx_names operator_map, node_map, finding_map;
};

/* All of these: false when out of memory. */
bool hd_inspection_add_opset(hd_inspection *inspection, const char *domain, int64_t version);
bool hd_inspection_add_value(hd_inspection *inspection, hd_inspection_list *list,
                             const Onnx__ValueInfoProto *value);
bool hd_inspection_add_node(hd_inspection *inspection, const Onnx__NodeProto *node);
/* The node that was added under this name; NULL: there is none. */
hd_inspection_node *hd_inspection_find_node(hd_inspection *inspection, const char *name);
/* node: NULL for none; type NULL: the node's. A sentence that begins by naming the node is told without that. */
bool hd_inspection_add_finding(hd_inspection *inspection, const char *node, const char *type,
                               const hd_error *error);

/* "ai.onnx" for ONNX's own. */
const char *hd_inspection_domain(const char *domain);

#endif
