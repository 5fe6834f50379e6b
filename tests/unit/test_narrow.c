/* Narrow numbers: each type's codes against its definition, rounding against a search among all of them, and how files
 * pack them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "operation/narrow.h"

typedef struct kind {
    hd_dtype dtype;
    int bits, exponent, mantissa, bias;
    float largest, smallest; /* positive numbers */
    int infinity, nan;       /* the code; -1: none */
} kind;

/* OCP 8-bit floating point specification; arXiv 2206.02915 for fnuz; OCP microscaling formats for less than 8 bits. */
static const kind kinds[] = {
    {HD_FLOAT8E4M3FN, 8, 4, 3, 7, 448.0f, 0x1p-9f, -1, 0x7F},
    {HD_FLOAT8E4M3FNUZ, 8, 4, 3, 8, 240.0f, 0x1p-10f, -1, 0x80},
    {HD_FLOAT8E5M2, 8, 5, 2, 15, 57344.0f, 0x1p-16f, 0x7C, 0x7E},
    {HD_FLOAT8E5M2FNUZ, 8, 5, 2, 16, 57344.0f, 0x1p-17f, -1, 0x80},
    {HD_FLOAT4E2M1, 4, 2, 1, 1, 6.0f, 0.5f, -1, -1},
    {HD_FLOAT6E2M3, 6, 2, 3, 1, 7.5f, 0.125f, -1, -1},
    {HD_FLOAT6E3M2, 6, 3, 2, 3, 28.0f, 0x1p-4f, -1, -1},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static double value_of(const kind *k, unsigned code)
{
    double sign = (code >> (k->bits - 1) & 1) != 0 ? -1.0 : 1.0;
    int exponent = (int)(code >> k->mantissa & ((1u << k->exponent) - 1));
    double fraction = (double)(code & ((1u << k->mantissa) - 1)) / (double)(1 << k->mantissa);
    return exponent == 0 ? sign * fraction * pow(2.0, 1 - k->bias)
                         : sign * (1.0 + fraction) * pow(2.0, exponent - k->bias);
}

static bool is_number(const kind *k, unsigned code)
{
    unsigned magnitude = code & ((1u << (k->bits - 1)) - 1);
    return !(k->nan == 0x80 && code == 0x80) && !(k->nan == 0x7F && magnitude == 0x7F) &&
           !(k->infinity >= 0 && magnitude >= (unsigned)k->infinity);
}

static void codes_are_numbers_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const kind *k = &kinds[i];
        float largest = 0.0f, smallest = INFINITY;
        for (unsigned code = 0; code < 1u << k->bits; code++) {
            const float value = hd_narrow_decode(k->dtype, (uint8_t)code);
            if (!is_number(k, code)) {
                assert_false(isfinite(value));
                continue;
            }
            assert_true((double)value == value_of(k, code));
            assert_int_equal(hd_narrow_encode(k->dtype, value, true, HD_NARROW_UP), code);
            largest = value > largest ? value : largest;
            smallest = value > 0.0f && value < smallest ? value : smallest;
        }
        assert_true(largest == k->largest && smallest == k->smallest);
    }
}

/* The number nearest to x, a half to the even code. */
static unsigned nearest(const kind *k, double x)
{
    unsigned best = 0;
    double best_distance = INFINITY;
    for (unsigned code = 0; code < 1u << (k->bits - 1); code++) {
        double distance = fabs(value_of(k, code) - x);
        if (is_number(k, code) &&
            (distance < best_distance || (distance == best_distance && code % 2 == 0))) {
            best = code;
            best_distance = distance;
        }
    }
    return best;
}

static void numbers_between_go_to_the_nearest(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const kind *k = &kinds[i];
        const unsigned sign = 1u << (k->bits - 1);
        for (unsigned code = 0; code + 1 < sign; code++) {
            if (!is_number(k, code) || !is_number(k, code + 1)) {
                continue;
            }
            const float middle = (float)((value_of(k, code) + value_of(k, code + 1)) / 2);
            const float near[] = {middle, nextafterf(middle, 0.0f), nextafterf(middle, INFINITY)};
            for (size_t n = 0; n < 3; n++) {
                const unsigned expected = nearest(k, (double)near[n]);
                assert_int_equal(hd_narrow_encode(k->dtype, near[n], false, HD_NARROW_UP),
                                 expected);
                const unsigned minus = expected == 0 && k->nan == 0x80 ? 0 : expected | sign;
                assert_int_equal(hd_narrow_encode(k->dtype, -near[n], false, HD_NARROW_UP), minus);
            }
        }
        assert_int_equal(hd_narrow_encode(k->dtype, 0x1p-140f, false, HD_NARROW_UP), 0);
    }
}

static void what_is_too_large_follows_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const kind *k = &kinds[i];
        const unsigned sign = 1u << (k->bits - 1);
        const unsigned most = nearest(k, (double)k->largest);
        const bool has_specials = k->nan >= 0;
        const unsigned beyond = k->infinity >= 0 ? (unsigned)k->infinity
                                : has_specials   ? (unsigned)k->nan
                                                 : most;
        const float large[] = {k->largest * 1.5f, 1e30f, INFINITY};
        for (size_t n = 0; n < 3; n++) {
            assert_int_equal(hd_narrow_encode(k->dtype, large[n], true, HD_NARROW_UP), most);
            assert_int_equal(hd_narrow_encode(k->dtype, -large[n], true, HD_NARROW_UP),
                             most | sign);
            assert_int_equal(hd_narrow_encode(k->dtype, large[n], false, HD_NARROW_UP), beyond);
            assert_int_equal(hd_narrow_encode(k->dtype, -large[n], false, HD_NARROW_UP),
                             beyond | sign);
        }
        for (int saturates = 0; saturates < 2; saturates++) {
            const unsigned nan = has_specials ? (unsigned)k->nan : sign;
            assert_int_equal(hd_narrow_encode(k->dtype, NAN, saturates, HD_NARROW_UP), nan);
            assert_int_equal(hd_narrow_encode(k->dtype, -NAN, saturates, HD_NARROW_UP), nan);
        }
    }
}

static void powers_are_rounded_as_asked(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint8_t up, down, nearest, plain; /* plain: nearest, and what does not fit is NaN */
    } cases[] = {{1.0f, 127, 127, 127, 127},     {1.25f, 128, 127, 127, 127},
                 {1.5f, 128, 127, 128, 128},     {1.75f, 128, 127, 128, 128},
                 {0x1p127f, 254, 254, 254, 254}, {0x1.8p127f, 254, 254, 254, 255},
                 {INFINITY, 254, 254, 254, 255}, {0x1p-127f, 0, 0, 0, 0},
                 {0x1p-149f, 0, 0, 0, 255},      {0.0f, 0, 0, 0, 255},
                 {NAN, 255, 255, 255, 255},      {-1.0f, 255, 255, 255, 255}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const hd_dtype power = HD_FLOAT8E8M0;
        assert_int_equal(hd_narrow_encode(power, cases[i].value, true, HD_NARROW_UP), cases[i].up);
        assert_int_equal(hd_narrow_encode(power, cases[i].value, true, HD_NARROW_DOWN),
                         cases[i].down);
        assert_int_equal(hd_narrow_encode(power, cases[i].value, true, HD_NARROW_NEAREST),
                         cases[i].nearest);
        assert_int_equal(hd_narrow_encode(power, cases[i].value, false, HD_NARROW_NEAREST),
                         cases[i].plain);
    }
    for (int code = 0; code < 255; code++) {
        assert_true((double)hd_narrow_decode(HD_FLOAT8E8M0, (uint8_t)code) == pow(2.0, code - 127));
    }
    assert_true(isnan(hd_narrow_decode(HD_FLOAT8E8M0, 255)));
}

static void files_pack_from_the_low_bits_up(void **state)
{
    (void)state;
    static const struct {
        hd_dtype dtype;
        unsigned bits;
        bool is_signed;
    } packed[] = {{HD_UINT4, 4, false}, {HD_INT4, 4, true},       {HD_FLOAT4E2M1, 4, false},
                  {HD_UINT2, 2, false}, {HD_INT2, 2, true},       {HD_FLOAT6E2M3, 6, false},
                  {HD_UINT8, 8, false}, {HD_FLOAT8E5M2, 8, false}};
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 89 + 23);
    }
    for (size_t p = 0; p < sizeof packed / sizeof packed[0]; p++) {
        for (size_t count = 0; count < 40; count++) {
            uint8_t out[48];
            memset(out, 0xA5, sizeof out);
            assert_int_equal(hd_narrow_packed_size(packed[p].dtype, count),
                             (count * packed[p].bits + 7) / 8);
            hd_narrow_unpack(packed[p].dtype, bytes, count, out);
            for (size_t i = 0; i < count; i++) {
                int value = 0;
                for (unsigned b = 0; b < packed[p].bits; b++) {
                    size_t bit = i * packed[p].bits + b;
                    value |= (bytes[bit / 8] >> bit % 8 & 1) << b;
                }
                if (packed[p].is_signed && value >> (packed[p].bits - 1) != 0) {
                    value -= 1 << packed[p].bits;
                }
                assert_int_equal(out[i], (uint8_t)value);
            }
            assert_int_equal(out[count], 0xA5);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_numbers_and_back),
        cmocka_unit_test(numbers_between_go_to_the_nearest),
        cmocka_unit_test(what_is_too_large_follows_the_table),
        cmocka_unit_test(powers_are_rounded_as_asked),
        cmocka_unit_test(files_pack_from_the_low_bits_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
