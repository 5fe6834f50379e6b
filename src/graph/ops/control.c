/* Control flow: operators with inner graphs. The planner takes them apart (graph/planner_control.c);
 * they have no kernel and no inference of their own. */
#include "graph/operator.h"

const hd_operator hd_operators_control[] = {
    {"If", 1, 1, 255, HD_OPERATOR_CONTROL, NULL},
    {"Loop", 0, 255, 255, HD_OPERATOR_CONTROL, NULL},
    {0},
};
