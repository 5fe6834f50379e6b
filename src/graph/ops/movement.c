#include "graph/operator.h"

const hd_operator hd_operators_movement[] = {
    {0},
};
