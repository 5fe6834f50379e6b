/* HEDDLE_ISA: which word is which instruction set, and what a word does that the processor cannot follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hal/cpu/isa.h"
#include "heddle/heddle.h"

#define ALL (HD_CPU_HAS_AVX2 | HD_CPU_HAS_AVX512 | HD_CPU_HAS_AVX512VNNI | HD_CPU_HAS_AMX)

static hd_cpu_isa_level chosen_of(const char *word, uint32_t features)
{
    hd_cpu_isa_level isa;
    assert_int_equal(hd_cpu_isa_choose(word, features, &isa, NULL), HD_OK);
    return isa;
}

static void without_a_word_the_best_set_is_taken(void **state)
{
    (void)state;
    static const char *const none[] = {NULL, ""};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(chosen_of(none[i], 0), HD_ISA_BASELINE);
        assert_int_equal(chosen_of(none[i], HD_CPU_HAS_AVX2), HD_ISA_AVX2);
        assert_int_equal(chosen_of(none[i], HD_CPU_HAS_AVX2 | HD_CPU_HAS_AVX512), HD_ISA_AVX512);
        assert_int_equal(chosen_of(none[i], ALL), HD_ISA_AVX512);
    }
}

static void a_word_holds_a_better_processor_to_its_set(void **state)
{
    (void)state;
    assert_int_equal(chosen_of("baseline", ALL), HD_ISA_BASELINE);
    assert_int_equal(chosen_of("baseline", 0), HD_ISA_BASELINE);
    assert_int_equal(chosen_of("avx2", ALL), HD_ISA_AVX2);
    assert_int_equal(chosen_of("avx512", ALL), HD_ISA_AVX512);
    assert_int_equal(chosen_of("avx512vnni", ALL), HD_ISA_AVX512);
    assert_int_equal(chosen_of("amx", ALL), HD_ISA_AVX512);
}

static void what_the_processor_lacks_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        uint32_t features;
    } lacking[] = {
        {"avx2", 0},
        {"avx512", HD_CPU_HAS_AVX2},
        {"avx512vnni", HD_CPU_HAS_AVX2 | HD_CPU_HAS_AVX512},
        {"amx", HD_CPU_HAS_AVX2 | HD_CPU_HAS_AVX512 | HD_CPU_HAS_AVX512VNNI},
    };
    for (size_t i = 0; i < sizeof lacking / sizeof lacking[0]; i++) {
        hd_cpu_isa_level isa;
        hd_error error = {0};
        assert_int_equal(hd_cpu_isa_choose(lacking[i].word, lacking[i].features, &isa, &error),
                         HD_UNAVAILABLE);
        assert_non_null(strstr(error.message, lacking[i].word));
    }
}

static void what_is_no_word_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"AVX2", "avx", "avx2 ", "sse2", "avx5120", "0"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        hd_cpu_isa_level isa;
        hd_error error = {0};
        assert_int_equal(hd_cpu_isa_choose(wrong[i], ALL, &isa, &error), HD_UNAVAILABLE);
        assert_non_null(strstr(error.message, "baseline, avx2, avx512"));
    }
}

/* The variable is read once a process, so each of these has a child of its own, and this process looks never. */
static int exit_code_of(int (*play)(const char *), const char *word)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        if (setenv("HEDDLE_ISA", word, 1) != 0) {
            _exit(99);
        }
        _exit(play(word));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

/* 0: the device opens and says `set`, also when the variable changes later. */
static int open_and_say(const char *set)
{
    for (int i = 0; i < 2; i++) {
        hd_device *device = NULL;
        hd_device_info info = {.struct_size = sizeof info};
        if (hd_device_open("cpu", NULL, &device, NULL) != HD_OK ||
            hd_device_get_info(device, &info) != HD_OK) {
            return 1;
        }
        hd_device_destroy(&device);
        if (strcmp(info.driver, set) != 0) {
            return 2;
        }
        if (setenv("HEDDLE_ISA", "nonsense", 1) != 0) {
            return 3;
        }
    }
    return 0;
}

static int play_baseline(const char *word)
{
    (void)word;
    return open_and_say("SSE2");
}

static int play_avx2(const char *word)
{
    (void)word;
    return open_and_say("AVX2");
}

static int play_avx512(const char *word)
{
    (void)word;
    return open_and_say("AVX-512");
}

static void the_device_says_which_set_it_was_held_to(void **state)
{
    (void)state;
    uint32_t features = hd_cpu_features();
    assert_int_equal(exit_code_of(play_baseline, "baseline"), 0);
    if (features & HD_CPU_HAS_AVX2) {
        assert_int_equal(exit_code_of(play_avx2, "avx2"), 0);
    }
    if (features & HD_CPU_HAS_AVX512) {
        assert_int_equal(exit_code_of(play_avx512, "avx512"), 0);
    }
}

/* 0: neither opening nor listing works, and both say why. */
static int be_refused(const char *word)
{
    hd_error error = {0};
    hd_device *device = NULL;
    size_t count = 77;
    if (hd_device_open("auto", NULL, &device, &error) != HD_UNAVAILABLE || device != NULL ||
        strstr(error.message, word) == NULL) {
        return 1;
    }
    error = (hd_error){0};
    bool is_refused = hd_device_list(NULL, 0, &count, &error) == HD_UNAVAILABLE && count == 77;
    return is_refused && strstr(error.message, word) != NULL ? 0 : 2;
}

static void a_wrong_word_keeps_the_device_from_opening(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(be_refused, "avx3"), 0);
    if (!(hd_cpu_features() & HD_CPU_HAS_AMX)) {
        assert_int_equal(exit_code_of(be_refused, "amx"), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_word_the_best_set_is_taken),
        cmocka_unit_test(a_word_holds_a_better_processor_to_its_set),
        cmocka_unit_test(what_the_processor_lacks_is_refused_by_name),
        cmocka_unit_test(what_is_no_word_is_refused),
        cmocka_unit_test(the_device_says_which_set_it_was_held_to),
        cmocka_unit_test(a_wrong_word_keeps_the_device_from_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
