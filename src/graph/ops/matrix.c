/* Matrix: types and shapes of the operators of this family. */
#include "graph/operator.h"

const hd_operator hd_operators_matrix[] = {
    {0},
};
