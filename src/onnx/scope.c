#include "onnx/scope.h"

#include <stdio.h>
#include <string.h>

const char *hd_onnx_node_name(const Onnx__NodeProto *node)
{
    if (node->name != NULL && node->name[0] != '\0') {
        return node->name;
    }
    for (size_t i = 0; i < node->n_output; i++) {
        if (node->output[i][0] != '\0') {
            return node->output[i];
        }
    }
    return "";
}

const char *hd_onnx_node_type(const Onnx__NodeProto *node)
{
    return node->op_type == NULL ? "" : node->op_type;
}

bool hd_onnx_is_default_domain(const char *domain)
{
    return domain == NULL || domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

/* Appends as much of a text as there is room for, and a zero behind it; returns how long the name is then. */
static size_t append(char name[HD_ONNX_OPERATOR_SIZE], size_t size, const char *text)
{
    size_t more = strlen(text), room = HD_ONNX_OPERATOR_SIZE - 1 - size;
    more = more < room ? more : room;
    memcpy(name + size, text, more);
    name[size + more] = '\0';
    return size + more;
}

const char *hd_onnx_node_operator(const Onnx__NodeProto *node, char name[HD_ONNX_OPERATOR_SIZE])
{
    size_t size = 0;
    if (!hd_onnx_is_default_domain(node->domain)) {
        size = append(name, append(name, 0, node->domain), ".");
    }
    (void)append(name, size, hd_onnx_node_type(node));
    return name;
}

int64_t hd_onnx_find_ml_version(Onnx__OperatorSetIdProto *const *sets, size_t count,
                                int64_t otherwise)
{
    for (size_t i = 0; i < count; i++) {
        if (sets[i]->domain != NULL && strcmp(sets[i]->domain, "ai.onnx.ml") == 0 &&
            sets[i]->has_version) {
            return sets[i]->version < 1            ? 1
                   : sets[i]->version > UINT32_MAX ? UINT32_MAX
                                                   : sets[i]->version;
        }
    }
    return otherwise;
}
