/* Random numbers: the generator against its authors' vectors, the numbers' moments, and that every run draws the same. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "operation/philox.h"
#include "operation_runner.h"

#define COUNT 100000

/* github.com/DEShawResearch/random123, tests/kat_vectors: philox4x32 10. */
static void philox_gives_its_authors_numbers(void **state)
{
    (void)state;
    static const struct {
        uint64_t counter, stream, key;
        uint32_t words[4];
    } known[] = {
        {0, 0, 0, {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}},
        {0x85A308D3243F6A88,
         0x0370734413198A2E,
         0x299F31D0A4093822,
         {0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        hd_philox made = hd_philox_make(known[i].counter, known[i].stream, known[i].key);
        assert_memory_equal(made.words, known[i].words, sizeof made.words);
    }
}

/* The first output of an operator of `type` over COUNT elements, as doubles; hd_alloc'd. */
static double *draw(const char *type, const hd_attribute *attributes, size_t count, hd_tensor input)
{
    operation_case test = {.type = type,
                           .attributes = attributes,
                           .attribute_count = count,
                           .input_count = input.dtype != HD_DTYPE_NONE,
                           .inputs = {input}};
    operation_result result;
    if (operation_run(&test, &result) != HD_OK) {
        fail_msg("%s: %s", type, result.error.message);
    }
    double *out = hd_alloc(COUNT * sizeof *out);
    for (size_t i = 0; i < COUNT; i++) {
        const void *data = result.outputs[0].data;
        out[i] = result.outputs[0].dtype == HD_FLOAT64   ? ((const double *)data)[i]
                 : result.outputs[0].dtype == HD_FLOAT32 ? (double)((const float *)data)[i]
                                                         : (double)((const int32_t *)data)[i];
    }
    operation_result_clear(&result);
    operation_check_partitions(&test);
    return out;
}

/* Mean, variance, and how far neighbours go together. */
static void moments(const double *x, double *mean, double *variance, double *correlation)
{
    *mean = *variance = *correlation = 0.0;
    for (size_t i = 0; i < COUNT; i++) {
        *mean += x[i] / COUNT;
    }
    for (size_t i = 0; i < COUNT; i++) {
        *variance += (x[i] - *mean) * (x[i] - *mean) / COUNT;
        *correlation += i == 0 ? 0.0 : (x[i] - *mean) * (x[i - 1] - *mean) / COUNT;
    }
    *correlation /= *variance;
}

static void numbers_have_the_moments_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool is_normal;
        int64_t dtype;
    } forms[] = {{"RandomNormal", true, HD_FLOAT32},
                 {"RandomNormal", true, HD_FLOAT64},
                 {"RandomUniform", false, HD_FLOAT32},
                 {"RandomUniform", false, HD_FLOAT64}};
    const float low = -3.0f, high = 5.0f, middle = 7.0f, scale = 2.5f;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const bool is_normal = forms[i].is_normal;
        hd_attribute attributes[] = {
            operation_float(is_normal ? "mean" : "low", is_normal ? middle : low),
            operation_float(is_normal ? "scale" : "high", is_normal ? scale : high),
            operation_int("dtype", forms[i].dtype), OPERATION_INTS("shape", COUNT / 100, 100)};
        double *x = draw(forms[i].type, attributes, 4, (hd_tensor){0});
        double mean, variance, correlation;
        moments(x, &mean, &variance, &correlation);
        const double deviation = is_normal ? 2.5 : 8.0 / sqrt(12.0);
        assert_true(fabs(mean - (is_normal ? 7.0 : 1.0)) < 5 * deviation / sqrt(COUNT));
        assert_true(fabs(variance / (deviation * deviation) - 1.0) < 5 * sqrt(2.0 / COUNT));
        assert_true(fabs(correlation) < 5 / sqrt(COUNT));
        size_t far = 0;
        for (size_t n = 0; n < COUNT; n++) {
            assert_true(is_normal || (x[n] >= -3.0 && x[n] <= 5.0));
            far += is_normal && fabs(x[n] - 7.0) > 2 * 2.5;
        }
        /* 4.55 % of a normal distribution lie beyond two deviations. */
        assert_true(!is_normal || fabs((double)far / COUNT - 0.0455) < 0.0034);
        hd_free(x);
    }
}

static void seeds_tell_apart(void **state)
{
    (void)state;
    hd_attribute attributes[] = {OPERATION_INTS("shape", COUNT), operation_float("seed", 1.0f)};
    double *none = draw("RandomUniform", attributes, 1, (hd_tensor){0});
    double *one = draw("RandomUniform", attributes, 2, (hd_tensor){0});
    double *again = draw("RandomUniform", attributes, 2, (hd_tensor){0});
    attributes[1].f = 2.0f;
    double *two = draw("RandomUniform", attributes, 2, (hd_tensor){0});
    assert_memory_equal(one, again, COUNT * sizeof *one);
    size_t equal = 0;
    for (size_t i = 0; i < COUNT; i++) {
        equal += (one[i] == two[i]) + (one[i] == none[i]);
    }
    assert_true(equal < 20);
    hd_free(none);
    hd_free(one);
    hd_free(again);
    hd_free(two);
}

static void forms_like_an_input_draw_the_same(void **state)
{
    (void)state;
    float *input = hd_alloc(COUNT * sizeof *input);
    hd_attribute attributes[] = {OPERATION_INTS("shape", COUNT)};
    hd_tensor like = OPERATION_TENSOR(HD_FLOAT32, input, COUNT);
    static const char *const types[][2] = {{"RandomNormal", "RandomNormalLike"},
                                           {"RandomUniform", "RandomUniformLike"}};
    for (size_t i = 0; i < 2; i++) {
        double *x = draw(types[i][0], attributes, 1, (hd_tensor){0});
        double *y = draw(types[i][1], NULL, 0, like);
        assert_memory_equal(x, y, COUNT * sizeof *x);
        hd_free(x);
        hd_free(y);
    }
    hd_free(input);
}

static void trials_come_out_as_often_as_their_chances(void **state)
{
    (void)state;
    float *chances = hd_alloc(COUNT * sizeof *chances);
    static const float levels[] = {0.0f, 0.1f, 0.5f, 0.9f, 1.0f};
    for (size_t i = 0; i < COUNT; i++) {
        chances[i] = levels[i % 5];
    }
    double *x = draw("Bernoulli", NULL, 0, OPERATION_TENSOR(HD_FLOAT32, chances, COUNT / 5, 5));
    for (size_t level = 0; level < 5; level++) {
        double hits = 0;
        for (size_t i = level; i < COUNT; i += 5) {
            assert_true(x[i] == 0.0 || x[i] == 1.0);
            hits += x[i];
        }
        const double chance = (double)levels[level], count = COUNT / 5;
        assert_true(fabs(hits / count - chance) <= 5 * sqrt(chance * (1 - chance) / count));
    }
    hd_free(x);
    hd_free(chances);
}

static void classes_come_out_as_often_as_their_weights(void **state)
{
    (void)state;
    const float logarithms[2][4] = {{0.0f, logf(2.0f), logf(5.0f), -INFINITY},
                                    {3.0f, 3.0f, 3.0f, 3.0f}};
    const double expected[2][4] = {{0.125, 0.25, 0.625, 0.0}, {0.25, 0.25, 0.25, 0.25}};
    hd_attribute attributes[] = {operation_int("sample_size", COUNT / 2)};
    double *x = draw("Multinomial", attributes, 1, OPERATION_TENSOR(HD_FLOAT32, logarithms, 2, 4));
    for (size_t row = 0; row < 2; row++) {
        double counts[4] = {0};
        for (size_t i = 0; i < COUNT / 2; i++) {
            const double drawn = x[row * (COUNT / 2) + i];
            assert_true(drawn >= 0 && drawn < 4);
            counts[(size_t)drawn]++;
        }
        for (size_t c = 0; c < 4; c++) {
            const double chance = expected[row][c], count = COUNT / 2;
            assert_true(fabs(counts[c] / count - chance) <=
                        5 * sqrt(chance * (1 - chance) / count));
        }
    }
    hd_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_its_authors_numbers),
        cmocka_unit_test(numbers_have_the_moments_asked_for),
        cmocka_unit_test(seeds_tell_apart),
        cmocka_unit_test(forms_like_an_input_draw_the_same),
        cmocka_unit_test(trials_come_out_as_often_as_their_chances),
        cmocka_unit_test(classes_come_out_as_often_as_their_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
