/* Arg for one element type T, included once a type by arg.c, which defines T, NAME and IS_NAN(x). */
#define JOIN__(a, b)   a##b
#define JOIN_(a, b)    JOIN__(a, b)
#define FUNCTION(name) JOIN_(name, NAME)

/* Whether x takes the place of the best so far. */
static bool FUNCTION(is_better_)(const arg_parameters *p, T x, T best)
{
    if (IS_NAN(x) || IS_NAN(best)) {
        return IS_NAN(x) && (!IS_NAN(best) || p->last);
    }
    if (x == best) {
        return p->last;
    }
    return p->smallest ? x < best : x > best;
}

static void FUNCTION(run_)(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    (void)scratch;
    const arg_parameters *p = parameters;
    int64_t *y = buffers[1];
    int64_t inner = p->split.inner, items = p->split.outer * inner;
    int64_t stop = hd_cpu_tile_begin(items, p->tiles, end);
    for (int64_t i = hd_cpu_tile_begin(items, p->tiles, begin); i < stop; i++) {
        const T *x = (const T *)buffers[0] + i / inner * p->split.size * inner + i % inner;
        int64_t best = 0;
        T value = x[0];
        for (int64_t j = 1, next; (next = hd_stop_reach(j, p->split.size)) > j;) {
            for (; j < next; j++) {
                if (FUNCTION(is_better_)(p, x[j * inner], value)) {
                    best = j;
                    value = x[j * inner];
                }
            }
        }
        y[i] = best;
    }
}

#undef JOIN__
#undef JOIN_
#undef FUNCTION
#undef T
#undef NAME
