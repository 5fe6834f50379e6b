#include "onnx/scope.h"

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
