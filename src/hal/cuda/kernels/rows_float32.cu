/* Softmax, LogSoftmax and LayerNormalization over the last axis, float32 (rows_tile.cuh).
 *
 * Thread-safety: any number of launches at once; nothing is kept between them. */
#include "rows_tile.cuh"

ROWS(Floats, 256, 1, 1, 2, 4)
ROWS(Floats, 384, 1, 1, 3, 4)
ROWS(Floats, 768, 1, 1, 6, 4)
ROWS(Floats, 1024, 1, 1, 8, 4)
ROWS(Floats, 4096, 8, 1, 4, 1)
ROWS(Floats, 32768, 32, 1, 8, 1)
ROWS_ANY(Floats, any)
