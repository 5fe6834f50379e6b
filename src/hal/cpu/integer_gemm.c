#include "hal/cpu/integer_gemm.h"

#include <string.h>

#include "base/stop.h"
#include "hal/cpu/isa.h"

#define HALF        (HD_INTEGER_COLUMNS / 2)
#define PLACE       4 /* an order's entry is so many times a quad's number, and its pairing */
#define FEW_COUPLES 8 /* of so many quads one couple is too few for a loop of their own */

/* Plain C: what the other kernels are tested against, too. */
static void block_baseline(const hd_cpu_integer_left *a, int64_t rows, const int8_t *panel,
                           const int32_t *order, int64_t quads, int32_t *sums)
{
    (void)order;
    uint32_t totals[HD_INTEGER_COLUMNS];
    for (int64_t row = 0; row < rows; row++) {
        const char *from = (const char *)a->first + row * a->row_bytes;
        memset(totals, 0, sizeof totals);
        for (int64_t q = 0; q < quads && !hd_stop_ends(q); q++) {
            const int8_t *b = panel + q * HD_INTEGER_COLUMNS * HD_INTEGER_STEPS;
            int16_t left[HD_INTEGER_STEPS];
            memcpy(left, from + (a->offsets != NULL ? a->offsets[q] : q * (int64_t)sizeof left),
                   sizeof left);
            for (int64_t c = 0; c < HD_INTEGER_COLUMNS; c++) {
                int32_t sum = 0;
                for (int64_t k = 0; k < HD_INTEGER_STEPS; k++) {
                    sum += left[k] * b[c * HD_INTEGER_STEPS + k];
                }
                totals[c] += (uint32_t)sum;
            }
        }
        memcpy(sums + row * HD_INTEGER_COLUMNS, totals, sizeof totals);
    }
}

const hd_cpu_integer_kernel hd_cpu_integer_kernel_baseline = {
    "baseline", block_baseline, hd_cpu_integer_pack_row_wide, hd_cpu_integer_correct_plain, 4,
    true,       false};

const hd_cpu_integer_kernel *hd_cpu_integer_kernel_get(void)
{
#if defined(__x86_64__)
    switch (hd_cpu_isa()) {
    case HD_ISA_AVX512:
        return hd_cpu_isa_has_vnni() ? &hd_cpu_integer_kernel_avx512vnni
                                     : &hd_cpu_integer_kernel_avx512;
    case HD_ISA_AVX2:
        return &hd_cpu_integer_kernel_avx2;
    case HD_ISA_BASELINE:
        break;
    }
#endif
    return &hd_cpu_integer_kernel_baseline;
}

/* Of a panel in a packed factor. quads is below 2^61. */
static int64_t order_bytes(int64_t depth)
{
    return hd_cpu_integer_kernel_get()->ordered
               ? hd_cpu_integer_order_count(depth) * (int64_t)sizeof(int32_t)
               : 0;
}

bool hd_cpu_integer_packed_size(int64_t depth, int64_t columns, int64_t *out_size)
{
    int64_t panels = hd_cpu_integer_panels(columns), bytes;
    return !__builtin_mul_overflow(hd_cpu_integer_quads(depth),
                                   (int64_t)HD_INTEGER_COLUMNS * HD_INTEGER_STEPS, &bytes) &&
           !__builtin_add_overflow(bytes, (int64_t)sizeof(int32_t) * HD_INTEGER_COLUMNS, &bytes) &&
           !__builtin_add_overflow(bytes, order_bytes(depth), &bytes) &&
           !__builtin_mul_overflow(panels, bytes, out_size);
}

hd_cpu_integer_panel hd_cpu_integer_panel_of(const void *packed, int64_t depth, int64_t columns,
                                             int64_t panel)
{
    const int64_t panels = hd_cpu_integer_panels(columns);
    const int64_t bytes = hd_cpu_integer_panel_bytes(depth);
    const int32_t *sums = packed;
    const int8_t *quads = (const int8_t *)(sums + panels * HD_INTEGER_COLUMNS);
    const int32_t *orders = (const int32_t *)(const void *)(quads + panels * bytes);
    return (hd_cpu_integer_panel){
        quads + panel * bytes, sums + panel * HD_INTEGER_COLUMNS,
        order_bytes(depth) == 0 ? NULL : orders + panel * hd_cpu_integer_order_count(depth)};
}

/* Orders of a quad's steps, of which the first two and the last two make pairs. */
#define PAIRINGS 3
static const uint8_t pairings[PAIRINGS][HD_INTEGER_STEPS] = {
    {0, 1, 2, 3}, {0, 2, 1, 3}, {0, 3, 1, 2}};

/* No sum of products of half a quad's columns leaves 16 bits: of two, or, with another quad's, of four. */
static bool cannot_saturate(const int8_t *quad, const int8_t *other, const uint8_t *steps)
{
    bool fits = true;
    for (int64_t i = 0; i < HALF * HD_INTEGER_STEPS; i += 2) {
        int32_t low = 0, high = 0;
        for (int64_t k = 0; k < 2; k++) {
            const int64_t at =
                i / HD_INTEGER_STEPS * HD_INTEGER_STEPS + steps[i % HD_INTEGER_STEPS + k];
            const int32_t a = quad[at], b = other == NULL ? 0 : other[at];
            high += (a > 0 ? a : 0) + (b > 0 ? b : 0);
            low += (a < 0 ? a : 0) + (b < 0 ? b : 0);
        }
        fits = fits && high <= 128 && low >= -128;
    }
    return fits;
}

/* Which two make pairs that cannot saturate; PAIRINGS: none do. */
static int32_t find_pairing(const int8_t *quad)
{
    int32_t pairing = 0;
    while (pairing < PAIRINGS && !cannot_saturate(quad, NULL, pairings[pairing])) {
        pairing++;
    }
    return pairing;
}

/* Half a quad's steps in another order. */
static void reorder(int8_t *quad, const uint8_t *steps)
{
    for (int64_t c = 0; c < HALF; c++, quad += HD_INTEGER_STEPS) {
        int8_t old[HD_INTEGER_STEPS];
        memcpy(old, quad, sizeof old);
        for (int k = 0; k < HD_INTEGER_STEPS; k++) {
            quad[k] = old[steps[k]];
        }
    }
}

/* Half a quad's columns have no -128, whose magnitude is no int8: adds 128 of each to what the columns' sums begin with. */
static bool can_change_sign(const int8_t *quad, int32_t *begins)
{
    int32_t sums[HALF] = {0};
    for (int64_t i = 0; i < HALF * HD_INTEGER_STEPS; i++) {
        if (quad[i] == INT8_MIN) {
            return false;
        }
        sums[i / HD_INTEGER_STEPS] += quad[i];
    }
    for (int64_t c = 0; c < HALF; c++) {
        begins[c] = (int32_t)((uint32_t)begins[c] + (uint32_t)(HD_INTEGER_SHIFT * sums[c]));
    }
    return true;
}

/* Takes couples to the front and the others to the back; returns how many are coupled. What is to end looks no further. */
static int64_t find_couples(const int8_t *panel, int64_t quads, int32_t *places)
{
    const int64_t step = HD_INTEGER_COLUMNS * HD_INTEGER_STEPS;
    int64_t coupled = 0, end = quads;
    bool looks = true;
    for (int64_t q = 0, turn = 0; q < quads; q++, turn++) {
        looks = looks && !hd_stop_ends_every(turn, 128);
        if (looks && q + 1 < quads &&
            cannot_saturate(panel + q * step, panel + (q + 1) * step, pairings[0])) {
            places[coupled++] = (int32_t)(PLACE * q++);
            places[coupled++] = (int32_t)(PLACE * q);
        } else {
            places[--end] = (int32_t)(PLACE * q);
        }
    }
    return coupled;
}

/* The order of half a panel's columns, which begins at `panel`. What is to end looks no further, and takes the rest for quads that
 * may saturate: all are there in any case. */
static void find_order(int8_t *panel, int64_t quads, int32_t *order)
{
    const int64_t step = HD_INTEGER_COLUMNS * HD_INTEGER_STEPS;
    int32_t *const places = order + HD_INTEGER_ORDER_HEAD;
    int32_t *const begins = order + HD_INTEGER_ORDER_BEGINS;
    memset(begins, 0, HALF * sizeof *begins);
    int64_t done = find_couples(panel, quads, places);
    done = done < quads / FEW_COUPLES ? 0 : done;
    order[HD_INTEGER_COUPLED] = (int32_t)done;
    bool looks = true;
    for (int64_t i = done; i < quads && looks; i++) {
        looks = !hd_stop_ends_every(i, 128);
        int8_t *quad = panel + places[i] / PLACE * step;
        const int32_t pairing = find_pairing(quad);
        if (pairing < PAIRINGS) {
            reorder(quad, pairings[pairing]);
            const int32_t place = places[i] + pairing;
            places[i] = places[done];
            places[done++] = place;
        }
    }
    order[HD_INTEGER_PAIRED] = (int32_t)done;
    for (int64_t i = done; i < quads && looks; i++) {
        looks = !hd_stop_ends_every(i, 128);
        const int32_t place = places[i];
        if (can_change_sign(panel + place / PLACE * step, begins)) {
            places[i] = places[done];
            places[done++] = place;
        }
    }
    order[HD_INTEGER_SIGNED] = (int32_t)done;
}

void hd_cpu_integer_pack_panel(int8_t *panel, int32_t *sums, int32_t *order, const uint8_t *b,
                               bool is_signed, const hd_cpu_integer_steps *steps, int64_t depth,
                               int64_t columns)
{
    const uint8_t flip = is_signed ? 0 : HD_INTEGER_SHIFT;
    const int64_t quads = hd_cpu_integer_quads(depth), filled = hd_cpu_integer_filled(steps->run);
    int32_t totals[HD_INTEGER_COLUMNS] = {0};
    int8_t *to = panel;
    for (int64_t q = 0; q < quads && !hd_stop_ends_every(q, 128); q++) {
        int64_t places[HD_INTEGER_STEPS];
        for (int64_t k = 0; k < HD_INTEGER_STEPS; k++) {
            const int64_t at = q * HD_INTEGER_STEPS + k, in_run = at % filled;
            const int64_t term = at / filled * steps->run + in_run;
            places[k] = in_run < steps->run ? term / steps->inner * steps->outer_step +
                                                  term % steps->inner * steps->inner_step
                                            : -1;
        }
        for (int64_t c = 0; c < HD_INTEGER_COLUMNS; c++) {
            for (int64_t k = 0; k < HD_INTEGER_STEPS; k++) {
                const int8_t value = c < columns && places[k] >= 0
                                         ? (int8_t)(b[places[k] + c * steps->column_step] ^ flip)
                                         : 0;
                *to++ = value;
                totals[c] = (int32_t)((uint32_t)totals[c] + (uint32_t)value);
            }
        }
    }
    memcpy(sums, totals, sizeof totals);
    if (order != NULL) {
        find_order(panel, quads, order);
        find_order(panel + HD_INTEGER_COLUMNS / 2 * HD_INTEGER_STEPS, quads,
                   order + HD_INTEGER_ORDER_HEAD + quads);
    }
}

void hd_cpu_integer_pack(void *packed, const uint8_t *b, bool is_signed,
                         const hd_cpu_integer_steps *steps, int64_t depth, int64_t columns)
{
    for (int64_t p = 0; p < hd_cpu_integer_panels(columns); p++) {
        const int64_t first = p * HD_INTEGER_COLUMNS, left = columns - first;
        const hd_cpu_integer_panel panel = hd_cpu_integer_panel_of(packed, depth, columns, p);
        hd_cpu_integer_pack_panel((int8_t *)panel.quads, (int32_t *)panel.sums,
                                  (int32_t *)panel.order, b + first * steps->column_step, is_signed,
                                  steps, depth,
                                  left < HD_INTEGER_COLUMNS ? left : HD_INTEGER_COLUMNS);
    }
}

/* The sum of eight unsigned bytes. */
static inline uint32_t sum_of_eight(uint64_t bytes)
{
    const uint64_t even = UINT64_C(0x00FF00FF00FF00FF);
    const uint64_t pairs = (bytes & even) + (bytes >> 8 & even);
    return (uint32_t)(pairs * UINT64_C(0x0001000100010001) >> 48);
}

/* Eight of a', of which `left` has the bytes, to `count` places from `at` on. */
static inline void put_eight(void *row, int64_t at, uint64_t left, bool wide, size_t count)
{
    typedef uint8_t eight_bytes __attribute__((vector_size(8)));
    typedef int16_t eight __attribute__((vector_size(16)));
    if (wide) {
        eight_bytes narrow;
        memcpy(&narrow, &left, sizeof narrow);
        const eight values = __builtin_convertvector(narrow, eight);
        memcpy((int16_t *)row + at, &values, count * sizeof(int16_t));
    } else {
        memcpy((uint8_t *)row + at, &left, count);
    }
}

static inline __attribute__((always_inline)) int32_t pack_row(void *row, const uint8_t *a,
                                                              bool is_signed, bool wide,
                                                              int64_t depth)
{
    const uint64_t flip = is_signed ? UINT64_C(0x8080808080808080) : 0;
    const int64_t padded = hd_cpu_integer_quads(depth) * HD_INTEGER_STEPS;
    uint32_t sum = 0;
    int64_t k = 0;
    uint64_t bytes;
    for (; k + 8 <= depth; k += 8) {
        memcpy(&bytes, a + k, sizeof bytes);
        bytes ^= flip;
        sum += sum_of_eight(bytes);
        put_eight(row, k, bytes, wide, 8);
    }
    if (k < depth) {
        const int64_t here = depth - k;
        bytes = 0;
        memcpy(&bytes, a + k, (size_t)here);
        bytes = (bytes ^ flip) & ((UINT64_C(1) << here * 8) - 1);
        sum += sum_of_eight(bytes);
        put_eight(row, k, bytes, wide, (size_t)(padded - k));
    }
    return (int32_t)sum;
}

int32_t hd_cpu_integer_pack_row_narrow(void *row, const uint8_t *a, bool is_signed, int64_t depth)
{
    return pack_row(row, a, is_signed, false, depth);
}

int32_t hd_cpu_integer_pack_row_wide(void *row, const uint8_t *a, bool is_signed, int64_t depth)
{
    return pack_row(row, a, is_signed, true, depth);
}

void hd_cpu_integer_correct_plain(int32_t *sums, int64_t rows, int64_t depth,
                                  const int32_t *a_zeros, const int32_t *row_sums,
                                  const int32_t *b_zeros, const int32_t *column_sums)
{
    for (int64_t row = 0; row < rows; row++) {
        int32_t *to = sums + row * HD_INTEGER_COLUMNS;
        const uint32_t a_zero = (uint32_t)a_zeros[row];
        const uint32_t both = (uint32_t)row_sums[row] - (uint32_t)depth * a_zero;
        for (int c = 0; c < HD_INTEGER_COLUMNS; c++) {
            to[c] = (int32_t)((uint32_t)to[c] - a_zero * (uint32_t)column_sums[c] -
                              (uint32_t)b_zeros[c] * both);
        }
    }
}
