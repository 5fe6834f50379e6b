/* Reduce for one element type T, included once a type by reduce_types.c, which defines
 *   T, NAME    the type and what the function's name ends with
 *   ACC        what sums are kept in: double, or int64_t or uint64_t, which wrap around
 *   ADD, SUBTRACT, MULTIPLY, MAXIMUM, MINIMUM  of two ACCs
 *   LOWEST, HIGHEST  what the maximum and the minimum of nothing are */
#define JOIN__(a, b)   a##b
#define JOIN_(a, b)    JOIN__(a, b)
#define FUNCTION(name) JOIN_(name, NAME)

static ACC FUNCTION(step_)(hd_cpu_reduce_kind kind, ACC sum, T x)
{
    switch (kind) {
    case HD_REDUCE_MAX:
    case HD_REDUCE_LOG_SUM_EXP:
        return MAXIMUM(sum, (ACC)x);
    case HD_REDUCE_MIN:
        return MINIMUM(sum, (ACC)x);
    case HD_REDUCE_PROD:
        return MULTIPLY(sum, (ACC)x);
    case HD_REDUCE_L1:
        return ADD(sum, (IS_NEGATIVE(x) ? SUBTRACT((ACC)0, (ACC)x) : (ACC)x));
    case HD_REDUCE_L2:
    case HD_REDUCE_SUM_SQUARE:
        return ADD(sum, MULTIPLY((ACC)x, (ACC)x));
    default:
        return ADD(sum, (ACC)x);
    }
}

static ACC FUNCTION(neutral_)(hd_cpu_reduce_kind kind)
{
    switch (kind) {
    case HD_REDUCE_MAX:
    case HD_REDUCE_LOG_SUM_EXP:
        return LOWEST;
    case HD_REDUCE_MIN:
        return HIGHEST;
    case HD_REDUCE_PROD:
        return 1;
    default:
        return 0;
    }
}

static T FUNCTION(finish_)(const hd_cpu_reduce_parameters *p, ACC sum, double exponentials)
{
    int64_t count = p->walk.rows * (p->walk.fold_width ? p->walk.width : 1);
    switch (p->kind) {
    case HD_REDUCE_MEAN:
        return count == 0 ? (T)0 : (T)(sum / (ACC)count);
    case HD_REDUCE_L2:
        return FROM_DOUBLE(sqrt((double)sum));
    case HD_REDUCE_LOG_SUM:
        return FROM_DOUBLE(Sleef_log_u10((double)sum));
    case HD_REDUCE_LOG_SUM_EXP:
        return FROM_DOUBLE(Sleef_log_u10(exponentials) + (isfinite((double)sum) ? (double)sum : 0));
    default:
        return (T)sum;
    }
}

/* One result: all rows' elements, `step` apart within a row. */
static T FUNCTION(fold_)(const hd_cpu_reduce_parameters *p, const T *x)
{
    const hd_cpu_reduce_walk *walk = &p->walk;
    int64_t width = walk->fold_width ? walk->width : 1;
    ACC sum = FUNCTION(neutral_)(p->kind);
    for (int64_t r = 0; r < walk->rows && !hd_stop_ends_every(r, 64); r++) {
        const T *row =
            x + hd_cpu_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, r);
        for (int64_t i = 0, next; (next = hd_stop_reach(i, width)) > i;) {
            for (; i < next; i++) {
                sum = FUNCTION(step_)(p->kind, sum, row[i]);
            }
        }
    }
    double exponentials = 0;
    double shift = isfinite((double)sum) ? (double)sum : 0;
    for (int64_t r = 0;
         p->kind == HD_REDUCE_LOG_SUM_EXP && r < walk->rows && !hd_stop_ends_every(r, 64); r++) {
        const T *row =
            x + hd_cpu_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, r);
        for (int64_t i = 0; i < width && !hd_stop_ends(i); i++) {
            exponentials += Sleef_exp_u10((double)row[i] - shift);
        }
    }
    return FUNCTION(finish_)(p, sum, exponentials);
}

static void FUNCTION(run_)(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    (void)scratch;
    const hd_cpu_reduce_parameters *p = parameters;
    const hd_cpu_reduce_walk *walk = &p->walk;
    const T *x = buffers[0];
    T *y = buffers[p->output];
    int64_t items = walk->outer * p->chunks;
    int64_t last = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t item = hd_cpu_tile_begin(items, p->tiles, begin); item < last; item++) {
        int64_t position = item / p->chunks, at = item % p->chunks * p->chunk;
        const T *from = x + hd_cpu_reduce_offset(walk->outer_rank, walk->outer_dims,
                                                 walk->outer_strides, position);
        if (walk->fold_width) {
            y[position] = FUNCTION(fold_)(p, from);
            continue;
        }
        for (int64_t i = at; i < walk->width && i < at + p->chunk; i++) {
            y[position * walk->width + i] = FUNCTION(fold_)(p, from + i);
        }
    }
}

#undef JOIN__
#undef JOIN_
#undef FUNCTION
#undef T
#undef NAME
#undef LOWEST
#undef HIGHEST
