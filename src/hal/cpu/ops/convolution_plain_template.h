/* Convolution, plain, the template: included by convolution_plain.c once a TYPE. */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b)  JOIN_(a, b)

/* One output element. output: its position; group and column: its channel. */
static TYPE JOIN(element, TYPE)(const plain *p, const TYPE *input, const TYPE *weights,
                                const int64_t *output)
{
    const hd_convolution *sizes = &p->sizes;
    const int64_t channels = sizes->channels / sizes->group;
    const bool looks = p->turns == 1;
    TYPE sum = 0;
    int64_t tap = 0;
    for (int64_t a = 0; a < sizes->kernel[0]; a++) {
        int64_t x = plain_input(sizes, 0, output[0], a);
        for (int64_t b = 0; b < sizes->kernel[1]; b++) {
            int64_t y = plain_input(sizes, 1, output[1], b);
            for (int64_t c = 0; c < sizes->kernel[2]; c++, tap++) {
                int64_t z = plain_input(sizes, 2, output[2], c);
                if (looks && hd_stop_ends_every(tap, 16)) {
                    return sum;
                }
                if (x < 0 || y < 0 || z < 0) {
                    continue;
                }
                const TYPE *from =
                    input + x * p->input_step[0] + y * p->input_step[1] + z * p->input_step[2];
                for (int64_t channel = 0, next;
                     (next = hd_stop_reach(channel, channels)) > channel;) {
                    for (; channel < next; channel++) {
                        sum = JOIN(fused, TYPE)(from[channel * p->input_channel],
                                                weights[channel * p->weight_channel + tap], sum);
                    }
                }
            }
        }
    }
    return sum;
}

/* Tiles are ranges of output rows. */
static void JOIN(run, TYPE)(const void *parameters, void *const *buffers, int64_t begin,
                            int64_t end, void *scratch)
{
    (void)scratch;
    const plain *p = parameters;
    const hd_convolution *sizes = &p->sizes;
    const int64_t channels = sizes->channels / sizes->group;
    const int64_t outputs = sizes->output_channels / sizes->group;
    const int64_t tiles = p->tiles;
    const TYPE *input = buffers[0], *weights = buffers[1];
    const TYPE *bias = p->has_bias ? buffers[2] : NULL;
    const TYPE *residual = p->residual == 0 ? NULL : buffers[p->residual];
    TYPE *output = buffers[p->output];
    int64_t turns = p->turns;
    for (int64_t row = hd_cpu_tile_begin(p->rows, tiles, begin);
         row < hd_cpu_tile_begin(p->rows, tiles, end); row++) {
        const int64_t batch = row / (sizes->output[0] * sizes->output[1]);
        int64_t at[MAX_SPATIAL] = {row / sizes->output[1] % sizes->output[0],
                                   row % sizes->output[1]};
        for (int64_t channel = 0; channel < sizes->output_channels; channel++) {
            const int64_t group = channel / outputs;
            const TYPE *from = input + batch * p->input_batch + group * channels * p->input_channel;
            const TYPE *weight =
                weights + group * p->weight_group + channel % outputs * p->weight_output;
            for (at[2] = 0; at[2] < sizes->output[2]; at[2]++) {
                if (--turns < 0) {
                    if (hd_stop_asked() != HD_OK) {
                        return;
                    }
                    turns = p->turns;
                }
                int64_t to = batch * p->output_batch + channel * p->output_channel +
                             at[0] * p->output_step[0] + at[1] * p->output_step[1] +
                             at[2] * p->output_step[2];
                TYPE sum = JOIN(element, TYPE)(p, from, weight, at);
                if (bias != NULL) {
                    sum += bias[channel];
                }
                if (residual != NULL) {
                    sum += residual[to];
                }
                output[to] = sum;
            }
        }
        if (p->activation.kind != HD_ACTIVATION_NONE) {
            /* Fused: float32 and channels last, so the row is contiguous. */
            void *first = output + batch * p->output_batch + at[0] * p->output_step[0] +
                          at[1] * p->output_step[1];
            hd_cpu_activation_apply(&p->activation, first,
                                    (size_t)(sizes->output[2] * sizes->output_channels));
        }
    }
}

#undef JOIN
#undef JOIN_
