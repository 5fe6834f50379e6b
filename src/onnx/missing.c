#include "onnx/missing.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "graph/operator.h"

/* As many as a message has room for, if they are named as operators are. */
#define NAMED_LIMIT 12u

typedef struct missing_operator {
    const Onnx__NodeProto *first;
    size_t count;                  /* of nodes */
    struct missing_operator *next; /* in the order in which they were found */
} missing_operator;

typedef struct missing {
    hd_region region;
    hd_onnx_names names; /* missing_operator, by domain and type */
    missing_operator *found;
    missing_operator **end;
    size_t count; /* of operators */
    bool out_of_memory;
} missing;

bool hd_onnx_has_operator(const Onnx__NodeProto *node)
{
    char name[HD_ONNX_OPERATOR_SIZE];
    hd_onnx_node_operator(node, name);
    return strcmp(name, "Constant") == 0 || hd_operator_find(name) != NULL;
}

static void note(missing *all, const Onnx__NodeProto *node)
{
    const char *domain = hd_onnx_is_default_domain(node->domain) ? "" : node->domain;
    const char *type = hd_onnx_node_type(node);
    size_t size = strlen(domain) + strlen(type) + 32;
    char *key = hd_region_alloc(&all->region, size);
    if (key != NULL) {
        snprintf(key, size, "%zu %s%s", strlen(domain), domain, type);
    }
    hd_onnx_name *entry = key == NULL ? NULL : hd_onnx_names_put(&all->names, &all->region, key);
    if (entry != NULL && entry->item == NULL) {
        missing_operator *made = hd_region_alloc(&all->region, sizeof *made);
        if (made != NULL) {
            made->first = node;
            *all->end = made;
            all->end = &made->next;
            all->count++;
        }
        entry->item = made;
    }
    if (entry == NULL || entry->item == NULL) {
        all->out_of_memory = true;
        return;
    }
    ((missing_operator *)entry->item)->count++;
}

static void walk(missing *all, const hd_onnx_scope *scope)
{
    for (size_t i = 0; i < scope->order_count && !all->out_of_memory; i++) {
        const hd_onnx_scope_node *entry = &scope->nodes[scope->order[i]];
        if (entry->call != NULL) {
            walk(all, entry->call);
            continue;
        }
        if (!hd_onnx_has_operator(entry->node)) {
            note(all, entry->node);
        }
        for (size_t b = 0; b < 2 && entry->inner[b] != NULL; b++) {
            walk(all, entry->inner[b]);
        }
    }
}

static hd_status fail_missing(const missing *all, hd_error *error)
{
    hd_status status = hd_fail(error, HD_UNSUPPORTED, "operators that are not supported: ");
    size_t named = 0;
    for (const missing_operator *at = all->found; at != NULL && named < NAMED_LIMIT;
         at = at->next, named++) {
        const char *domain =
            hd_onnx_is_default_domain(at->first->domain) ? NULL : at->first->domain;
        const char *separator = named == 0 ? "" : ", ";
        if (domain == NULL) {
            hd_fail_suffix(error, status, "%s%.48s x %zu", separator, hd_onnx_node_type(at->first),
                           at->count);
        } else {
            hd_fail_suffix(error, status, "%s%.48s of domain %.48s x %zu", separator,
                           hd_onnx_node_type(at->first), domain, at->count);
        }
    }
    if (named < all->count) {
        hd_fail_suffix(error, status, ", and %zu more", all->count - named);
    }
    return hd_fail_suffix(error, status, "; the first is node '%s'",
                          hd_onnx_node_name(all->found->first));
}

hd_status hd_onnx_check_operators(const hd_onnx_scope *root, hd_error *error)
{
    missing all = {.out_of_memory = false};
    all.end = &all.found;
    walk(&all, root);
    hd_status status = HD_OK;
    if (all.out_of_memory) {
        status = hd_fail(error, HD_OUT_OF_MEMORY, "no memory for the operators of the graph");
    } else if (all.count > 0) {
        status = fail_missing(&all, error);
    }
    hd_region_clear(&all.region);
    return status;
}
