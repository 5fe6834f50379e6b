/* Status: names, messages that are cut at a character's border, prefixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "heddle/tensor.h"

#define ROOM sizeof(((hd_error *)0)->message)

static void every_status_has_a_name_and_a_text(void **state)
{
    (void)state;
#define CHECK(code, value, text)                                                                   \
    assert_int_equal(code, value);                                                                 \
    assert_string_equal(hd_status_name(code), #code);                                              \
    assert_string_equal(hd_status_text(code), text);
    HD_STATUS_LIST(CHECK)
#undef CHECK
    assert_string_equal(hd_status_name((hd_status)999), "HD_?");
    assert_string_equal(hd_status_name((hd_status)-1), "HD_?");
    assert_non_null(hd_status_text((hd_status)999));
}

/* Whole characters of UTF-8 only. */
static bool is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at != 0) {
        size_t length = *at < 0x80 ? 1 : *at >= 0xF0 ? 4 : *at >= 0xE0 ? 3 : *at >= 0xC0 ? 2 : 0;
        if (length == 0) {
            return false;
        }
        for (size_t i = 1; i < length; i++) {
            if ((at[i] & 0xC0) != 0x80) {
                return false;
            }
        }
        at += length;
    }
    return true;
}

static void long_messages_end_at_a_characters_border(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x92\xA1"};
    for (size_t c = 0; c < 4; c++) {
        size_t size = strlen(characters[c]);
        for (size_t shift = 0; shift < 5; shift++) {
            char text[700] = "";
            memset(text, 'a', shift);
            while (strlen(text) + size < sizeof text) {
                strcat(text, characters[c]);
            }
            hd_error error;
            memset(&error, 0x7F, sizeof error);
            assert_int_equal(hd_fail(&error, HD_IO, "%s", text), HD_IO);
            assert_int_equal(error.status, HD_IO);
            assert_true(is_utf8(error.message));
            assert_in_range(strlen(error.message), ROOM - size, ROOM - 1);
            assert_memory_equal(error.message, text, strlen(error.message));
        }
    }
}

static void messages_that_just_fit_are_whole(void **state)
{
    (void)state;
    for (size_t length = ROOM - 3; length < ROOM; length++) {
        char text[ROOM + 8];
        memset(text, 'b', length);
        text[length] = '\0';
        hd_error error;
        assert_int_equal(hd_fail(&error, HD_IO, "%s", text), HD_IO);
        assert_string_equal(error.message, text);
    }
}

static void prefixes_stand_before_and_cut_behind(void **state)
{
    (void)state;
    hd_error error;
    assert_int_equal(hd_fail(&error, HD_BAD_MODEL, "it is %d", 7), HD_BAD_MODEL);
    assert_int_equal(hd_fail_prefix(&error, HD_UNSUPPORTED, "node '%s'", "n"), HD_UNSUPPORTED);
    assert_string_equal(error.message, "node 'n': it is 7");
    assert_int_equal(error.status, HD_UNSUPPORTED);
    for (size_t i = 0; i < 200; i++) {
        hd_fail_prefix(&error, HD_IO, "%s", i % 3 == 0 ? "\xE2\x82\xAC" : "\xC3\xA4z");
        assert_true(is_utf8(error.message));
        assert_true(strlen(error.message) < ROOM);
    }
    assert_int_equal(hd_fail_prefix(NULL, HD_IO, "nobody listens"), HD_IO);
    assert_int_equal(hd_fail(NULL, HD_IO, "nobody listens"), HD_IO);
}

static void names_are_shortened_in_their_middle(void **state)
{
    (void)state;
    char name[300];
    for (size_t length = 0; length < sizeof name; length++) {
        /* characters of two bytes: wherever it is cut, whole ones are left */
        for (size_t i = 0; i < length; i++) {
            name[i] = i % 2 == 0 ? '\xC3' : '\xA4';
        }
        name[length & ~(size_t)1] = '\0';
        hd_error error;
        hd_fail(&error, HD_IO, "node '%s' (%s): the reason", name, name);
        assert_true(is_utf8(error.message));
        assert_non_null(strstr(error.message, "): the reason"));
        assert_int_equal(strstr(error.message, "\xE2\x80\xA6") != NULL, length > 65);
        assert_in_range(strlen(error.message), 0, 2 * 64 + 40);
    }
}

static void bytes_that_a_terminal_obeys_are_escaped(void **state)
{
    (void)state;
    hd_error error;
    hd_fail(&error, HD_IO, "'%s' %s", "a\x1b[2Jb\nc\x7f",
            "\xC2\x9B"
            "2J \xFF \xC3");
    assert_string_equal(error.message, "'a\\x1b[2Jb\\x0ac\\x7f' \\xc2\\x9b2J \\xff \\xc3");
    hd_fail_prefix(&error, HD_IO, "'%s'", "\t");
    assert_string_equal(error.message, "'\\x09': 'a\\x1b[2Jb\\x0ac\\x7f' \\xc2\\x9b2J \\xff \\xc3");
}

static void numbers_are_written_as_printf_writes_them(void **state)
{
    (void)state;
    hd_error error;
    hd_fail(&error, HD_IO, "%d %u %lld %llu %zu %ld %5.2f %g %c %% %.3s %.*s|%s", -1, 4000000000u,
            -5LL, 6ULL, (size_t)7, 8L, 1.5, 0.25, 'x', "abcdef", 2, "abcdef", "end");
    assert_string_equal(error.message, "-1 4000000000 -5 6 7 8  1.50 0.25 x % abc ab|end");
}

static void dtypes_have_sizes_and_names(void **state)
{
    (void)state;
    assert_int_equal(hd_dtype_size(HD_FLOAT32), 4);
    assert_int_equal(hd_dtype_size(HD_BFLOAT16), 2);
    assert_int_equal(hd_dtype_size(HD_BOOL), 1);
    assert_int_equal(hd_dtype_size(HD_STRING), sizeof(hd_string));
    assert_int_equal(hd_dtype_size((hd_dtype)14), 0); /* complex64 */
    assert_string_equal(hd_dtype_name(HD_UINT64), "uint64");
    assert_string_equal(hd_dtype_name((hd_dtype)77), "none");
    hd_tensor empty = {0};
    hd_tensor_release(&empty);
    hd_tensor_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_and_a_text),
        cmocka_unit_test(long_messages_end_at_a_characters_border),
        cmocka_unit_test(messages_that_just_fit_are_whole),
        cmocka_unit_test(prefixes_stand_before_and_cut_behind),
        cmocka_unit_test(names_are_shortened_in_their_middle),
        cmocka_unit_test(bytes_that_a_terminal_obeys_are_escaped),
        cmocka_unit_test(numbers_are_written_as_printf_writes_them),
        cmocka_unit_test(dtypes_have_sizes_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
