#include "graph/operator.h"

const hd_operator hd_operators_indexing[] = {
    {0},
};
