/* Lanes for plain C, in vectors of four; included by lanes.h alone, which says what each does. */
#ifndef HD_HAL_CPU_LANES_PLAIN_H
#define HD_HAL_CPU_LANES_PLAIN_H

#define LANE_COUNT             4
#define LANES_TABLE_SIZE       8
#define LANES_SLEEF(name, ...) lanes_each_##name(__VA_ARGS__)
#if defined(__FP_FAST_FMAF)
#define LANES_ARE_FUSED 1
#else
#define LANES_ARE_FUSED 0
#endif
typedef float lanes __attribute__((vector_size(16)));
typedef int32_t lanes_int __attribute__((vector_size(16)));
typedef lanes_int lanes_mask;
typedef int64_t lanes_part;

static inline lanes lanes_load(const float *from)
{
    lanes x;
    memcpy(&x, from, sizeof x);
    return x;
}

static inline void lanes_store(float *to, lanes x)
{
    memcpy(to, &x, sizeof x);
}

static inline lanes lanes_set(float x)
{
    return (lanes){x, x, x, x};
}

static inline lanes_part lanes_first(int64_t n)
{
    return n;
}

static inline lanes lanes_load_part_or(const float *from, lanes_part part, lanes fill)
{
    for (lanes_part i = 0; i < part; i++) {
        fill[i] = from[i];
    }
    return fill;
}

static inline lanes lanes_load_part(const float *from, lanes_part part)
{
    return lanes_load_part_or(from, part, lanes_set(0.0f));
}

static inline void lanes_store_part(float *to, lanes_part part, lanes x)
{
    for (lanes_part i = 0; i < part; i++) {
        to[i] = x[i];
    }
}

static inline void lanes_stream(float *to, lanes x)
{
#if defined(__x86_64__)
    _mm_stream_ps(to, (__m128)x);
#else
    lanes_store(to, x);
#endif
}

/* Fused where the processor has it in hardware, else rounded twice. */
static inline lanes lanes_fma(lanes a, lanes b, lanes c)
{
#if LANES_ARE_FUSED
    return (lanes){fmaf(a[0], b[0], c[0]), fmaf(a[1], b[1], c[1]), fmaf(a[2], b[2], c[2]),
                   fmaf(a[3], b[3], c[3])};
#else
    return a * b + c;
#endif
}

static inline lanes_mask lanes_less(lanes a, lanes b)
{
    return a < b;
}

static inline lanes_mask lanes_equal(lanes a, lanes b)
{
    return a == b;
}

static inline bool lanes_all(lanes_mask mask)
{
    return (mask[0] & mask[1] & mask[2] & mask[3]) != 0;
}

static inline lanes lanes_select(lanes_mask mask, lanes yes, lanes no)
{
    return (lanes)((mask & (lanes_int)yes) | (~mask & (lanes_int)no));
}

static inline lanes lanes_larger(lanes a, lanes b)
{
    return lanes_select(a > b, a, b);
}

static inline lanes lanes_smaller(lanes a, lanes b)
{
    return lanes_select(a < b, a, b);
}

static inline lanes lanes_max(lanes a, lanes b)
{
    lanes number = (lanes)((lanes_int)lanes_larger(a, b) & (lanes_int)lanes_larger(b, a));
    return lanes_select((a != a) | (b != b), lanes_set(NAN), number);
}

static inline lanes lanes_min(lanes a, lanes b)
{
    lanes number = (lanes)((lanes_int)lanes_smaller(a, b) | (lanes_int)lanes_smaller(b, a));
    return lanes_select((a != a) | (b != b), lanes_set(NAN), number);
}

static inline lanes lanes_copysign(lanes magnitude, lanes sign)
{
    return lanes_select((lanes_int)lanes_set(-0.0f), sign, magnitude);
}

static inline lanes lanes_abs(lanes x)
{
    return lanes_copysign(x, lanes_set(0.0f));
}

static inline lanes lanes_sqrt(lanes x)
{
    return (lanes){sqrtf(x[0]), sqrtf(x[1]), sqrtf(x[2]), sqrtf(x[3])};
}

static inline lanes lanes_round(lanes x)
{
    return (lanes){rintf(x[0]), rintf(x[1]), rintf(x[2]), rintf(x[3])};
}

static inline lanes lanes_floor(lanes x)
{
    return (lanes){floorf(x[0]), floorf(x[1]), floorf(x[2]), floorf(x[3])};
}

static inline lanes lanes_ceil(lanes x)
{
    return (lanes){ceilf(x[0]), ceilf(x[1]), ceilf(x[2]), ceilf(x[3])};
}

static inline int32_t lanes_to_int_of(float x)
{
    return x >= -1e9f && x <= 1e9f ? (int32_t)x : 0;
}

static inline lanes_int lanes_to_int(lanes x)
{
    return (lanes_int){lanes_to_int_of(x[0]), lanes_to_int_of(x[1]), lanes_to_int_of(x[2]),
                       lanes_to_int_of(x[3])};
}

static inline lanes_int lanes_from_bytes(const uint8_t *from, bool is_signed)
{
    const int32_t flip = is_signed ? 128 : 0; /* (x ^ 128) - 128 is the signed number */
    return ((lanes_int){from[0], from[1], from[2], from[3]} ^ flip) - flip;
}

static inline void lanes_to_bytes(uint8_t *to, lanes_int n)
{
    for (int i = 0; i < LANE_COUNT; i++) {
        to[i] = (uint8_t)n[i];
    }
}

#define LANES_COME_IN_FOURS 0
static inline lanes_int lanes_nearest(lanes x)
{
    return lanes_to_int((x + lanes_set(12582912.0f)) - lanes_set(12582912.0f));
}

static inline lanes_int lanes_pair_products(lanes_int a, lanes_int b)
{
    return ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
}

static inline lanes lanes_flip_odd(lanes x, lanes_int n)
{
    return (lanes)((lanes_int)x ^ (n << 31));
}

static inline lanes lanes_scale(lanes x, lanes n)
{
    /* Twice, so that neither factor leaves the range of normal numbers; only the second product can round. */
    lanes_int whole = lanes_to_int(n), half = whole >> 1;
    return x * (lanes)((half + 127) << 23) * (lanes)((whole - half + 127) << 23);
}

static inline lanes lanes_lookup(const float *table, lanes_int index)
{
    index &= LANES_TABLE_SIZE - 1;
    return (lanes){table[index[0]], table[index[1]], table[index[2]], table[index[3]]};
}

static inline lanes lanes_swap(lanes x, const int distance)
{
    return distance == 2 ? (lanes){x[2], x[3], x[0], x[1]} : (lanes){x[1], x[0], x[3], x[2]};
}

static inline float lanes_across_sum(lanes x)
{
    return (x[0] + x[2]) + (x[1] + x[3]);
}

static inline float lanes_across_product(lanes x)
{
    return (x[0] * x[2]) * (x[1] * x[3]);
}

static inline float lanes_across_larger(lanes x)
{
    float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
    return a > b ? a : b;
}

#define LANES_EACH(name)                                                                           \
    static inline lanes lanes_each_##name(lanes x)                                                 \
    {                                                                                              \
        return (lanes){Sleef_##name##f1_u10purec(x[0]), Sleef_##name##f1_u10purec(x[1]),           \
                       Sleef_##name##f1_u10purec(x[2]), Sleef_##name##f1_u10purec(x[3])};          \
    }
LANES_EACH(log)
LANES_EACH(log1p)
LANES_EACH(sin)
LANES_EACH(cos)
LANES_EACH(tan)
LANES_EACH(asin)
LANES_EACH(acos)
LANES_EACH(atan)
LANES_EACH(sinh)
LANES_EACH(cosh)
LANES_EACH(asinh)
LANES_EACH(acosh)
LANES_EACH(atanh)
#undef LANES_EACH

static inline lanes lanes_each_pow(lanes x, lanes y)
{
    return (lanes){Sleef_powf1_u10purec(x[0], y[0]), Sleef_powf1_u10purec(x[1], y[1]),
                   Sleef_powf1_u10purec(x[2], y[2]), Sleef_powf1_u10purec(x[3], y[3])};
}

#endif
