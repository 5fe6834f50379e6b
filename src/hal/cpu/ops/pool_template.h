/* MaxPool for one element type T, with the maxima's places; included once a type by pool_types.c,
 * which defines T, NAME, LOWEST and MAXIMUM(a, b). */
#define JOIN__(a, b)   a##b
#define JOIN_(a, b)    JOIN__(a, b)
#define FUNCTION(name) JOIN_(name, NAME)

/* The maximum of one window goes to *y; returns the first place of it (of NaN, which is the largest; of zeros
 * whatever their signs), or -1 where the window lies in the padding altogether. */
static int64_t FUNCTION(best_)(const pool_parameters *p, const T *x, const int64_t position[3],
                               T *y)
{
    const hd_window *w = &p->window;
    int64_t begin[3], end[3], start[3], best = -1;
    for (int i = 0; i < 3; i++) {
        hd_window_taps(w, i, position[i], &begin[i], &end[i]);
        start[i] = position[i] * w->stride[i] - w->pad_begin[i];
    }
    bool looks = p->turns == 1;
    for (int64_t d = begin[0]; d < end[0] && (!looks || hd_stop_asked() == HD_OK); d++) {
        for (int64_t h = begin[1]; h < end[1] && (!looks || hd_stop_asked() == HD_OK); h++) {
            int64_t row =
                ((start[0] + d * w->dilation[0]) * w->input[1] + start[1] + h * w->dilation[1]) *
                    w->input[2] +
                start[2];
            for (int64_t k = begin[2]; k < end[2] && !hd_stop_ends(k); k++) {
                int64_t at = row + k * w->dilation[2];
                if (best < 0 || x[at] > x[best] ||
                    (isnan((double)x[at]) && !isnan((double)x[best]))) {
                    best = at;
                }
                *y = MAXIMUM(*y, x[at]);
            }
        }
    }
    return best;
}

static void FUNCTION(run_)(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    (void)scratch;
    const pool_parameters *p = parameters;
    const hd_window *w = &p->window;
    int64_t in = w->input[0] * w->input[1] * w->input[2];
    int64_t out = w->output[0] * w->output[1] * w->output[2];
    int64_t planes = w->batch * w->channels, stop = hd_cpu_tile_begin(planes, p->tiles, end);
    int64_t *indices = p->has_indices ? buffers[2] : NULL;
    for (int64_t plane = hd_cpu_tile_begin(planes, p->tiles, begin); plane < stop; plane++) {
        const T *x = (const T *)buffers[0] + plane * in;
        T *y = (T *)buffers[1] + plane * out;
        for (int64_t i = 0, next; (next = hd_stop_reach_by(i, out, p->turns)) > i;) {
            for (; i < next; i++) {
                int64_t position[3] = {i / (w->output[1] * w->output[2]),
                                       i / w->output[2] % w->output[1], i % w->output[2]};
                y[i] = LOWEST;
                int64_t best = FUNCTION(best_)(p, x, position, &y[i]);
                if (indices != NULL) {
                    indices[plane * out + i] = plane * in + place_of(p, best < 0 ? 0 : best);
                }
            }
        }
    }
}

#undef JOIN__
#undef JOIN_
#undef FUNCTION
#undef T
#undef NAME
#undef LOWEST
#undef MAXIMUM
