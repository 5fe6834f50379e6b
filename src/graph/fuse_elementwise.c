#include "graph/planner.h"
bool hd_fuse_elementwise(hd_planner *planner)
{
    (void)planner;
    return true;
}
