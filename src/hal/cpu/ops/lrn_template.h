/* LRN, LpNormalization and MeanVarianceNormalization for one element type T, included once a type by lrn.c, which
 * defines T, NAME (what the functions' names end with) and POWER, Sleef's function. */
#define JOIN__(a, b)   a##b
#define JOIN_(a, b)    JOIN__(a, b)
#define FUNCTION(name) JOIN_(name, NAME)

static void FUNCTION(run_lrn_)(const void *parameters, void *const *buffers, int64_t begin,
                               int64_t end, void *scratch)
{
    (void)scratch;
    const lrn_parameters *p = parameters;
    int64_t items = p->batch * p->channels;
    int64_t before = (p->size - 1) / 2, after = p->size - 1 - before;
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t item = hd_cpu_tile_begin(items, p->tiles, begin); item < stop; item++) {
        int64_t c = item % p->channels;
        const T *image = (const T *)buffers[0] + (item - c) * p->positions;
        T *y = (T *)buffers[1] + item * p->positions;
        int64_t low = c - before < 0 ? 0 : c - before;
        int64_t high = c + after >= p->channels ? p->channels - 1 : c + after;
        hd_stop_clear(y, (size_t)p->positions * sizeof *y);
        for (int64_t k = low; k <= high && !hd_stop_ends_every(k, LINES_A_LOOK); k++) {
            const T *x = image + k * p->positions;
            for (int64_t i = 0, next; (next = hd_stop_reach(i, p->positions)) > i;) {
                for (; i < next; i++) {
                    y[i] += x[i] * x[i];
                }
            }
        }
        const T *x = image + c * p->positions;
        T factor = (T)p->alpha / (T)p->size;
        for (int64_t i = 0; i < p->positions && !hd_stop_ends(i); i++) {
            y[i] = x[i] / POWER((T)p->bias + factor * y[i], (T)p->beta);
        }
    }
}

static void FUNCTION(run_lp_)(const void *parameters, void *const *buffers, int64_t begin,
                              int64_t end, void *scratch)
{
    (void)scratch;
    const lp_parameters *p = parameters;
    int64_t step = p->split.inner, items = p->split.outer * step;
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t item = hd_cpu_tile_begin(items, p->tiles, begin); item < stop; item++) {
        int64_t offset = item / step * p->split.size * step + item % step;
        const T *x = (const T *)buffers[0] + offset;
        T *y = (T *)buffers[1] + offset;
        double sum = 0;
        for (int64_t i = 0; i < p->split.size && !hd_stop_ends(i); i++) {
            double value = (double)x[i * step];
            sum += p->squares ? value * value : fabs(value);
        }
        T norm = (T)(p->squares ? sqrt(sum) : sum);
        for (int64_t i = 0, next; (next = hd_stop_reach(i, p->split.size)) > i;) {
            for (; i < next; i++) {
                y[i * step] = norm == 0 ? 0 : x[i * step] / norm;
            }
        }
    }
}

static void FUNCTION(normalize_)(const hd_cpu_reduce_walk *walk, const T *x, T *y)
{
    int64_t width = walk->fold_width ? walk->width : 1, count = walk->rows * width;
    double sum = 0, squares = 0;
    for (int64_t r = 0; r < walk->rows && !hd_stop_ends_every(r, LINES_A_LOOK); r++) {
        int64_t at = hd_cpu_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, r);
        for (int64_t i = at; i < at + width && !hd_stop_ends(i); i++) {
            sum += (double)x[i];
        }
    }
    double mean = sum / (double)count;
    for (int64_t r = 0; r < walk->rows && !hd_stop_ends_every(r, LINES_A_LOOK); r++) {
        int64_t at = hd_cpu_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, r);
        for (int64_t i = at; i < at + width && !hd_stop_ends(i); i++) {
            double value = (double)x[i] - mean;
            squares += value * value;
        }
    }
    double deviation = sqrt(squares / (double)count) + 1e-9; /* as in the operator's definition */
    for (int64_t r = 0; r < walk->rows && !hd_stop_ends_every(r, LINES_A_LOOK); r++) {
        int64_t at = hd_cpu_reduce_offset(walk->row_rank, walk->row_dims, walk->row_strides, r);
        for (int64_t i = at, next; (next = hd_stop_reach(i, at + width)) > i;) {
            for (; i < next; i++) {
                y[i] = (T)(((double)x[i] - mean) / deviation);
            }
        }
    }
}

static void FUNCTION(run_mean_variance_)(const void *parameters, void *const *buffers,
                                         int64_t begin, int64_t end, void *scratch)
{
    (void)scratch;
    const mean_variance_parameters *p = parameters;
    const hd_cpu_reduce_walk *walk = &p->walk;
    int64_t columns = walk->fold_width ? 1 : walk->width;
    int64_t stop = hd_cpu_tile_begin(p->results, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(p->results, p->tiles, begin); i < stop; i++) {
        int64_t at = hd_cpu_reduce_offset(walk->outer_rank, walk->outer_dims, walk->outer_strides,
                                          i / columns) +
                     i % columns;
        FUNCTION(normalize_)(walk, (const T *)buffers[0] + at, (T *)buffers[1] + at);
    }
}

#undef JOIN__
#undef JOIN_
#undef FUNCTION
#undef T
#undef NAME
#undef POWER
