/* Spatial: inference of the operators on regions and grids, which the family's table names. */
#ifndef HD_GRAPH_OPS_SPATIAL_H
#define HD_GRAPH_OPS_SPATIAL_H

#include "graph/operator.h"

hd_infer hd_infer_unpool;
hd_infer hd_infer_roi_pool;
hd_infer hd_infer_roi_align;
hd_infer hd_infer_grid_sample;
hd_infer hd_infer_affine_grid;
hd_infer hd_infer_col2im;
hd_infer hd_infer_nms;

#endif
