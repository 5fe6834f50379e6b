/* The rows of the table of operators, with the functions that they name. */
#include "graph/expansions/expansions.h"
#include "graph/ops/inference.h"
#include "graph/row_rules.h"
#include "graph/work.h"

const hd_operator hd_operators[HD_OP_COUNT] = {
    [HD_OP_NONE] = {.name = ""},
#define HD_OPERATOR(row_id, row_name, ...)                                                         \
    [HD_OP_##row_id] = {.id = HD_OP_##row_id, .name = row_name, __VA_ARGS__},
#include "operation/operators.inc"
};
