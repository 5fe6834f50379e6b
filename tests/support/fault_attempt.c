#include "fault_attempt.h"

#if defined(HD_FAULT)
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"

#define NTH_LIMIT   100000
#define SITE_LENGTH 32

/* Copies the next word of *list; false: there is none. */
static bool next_site(const char **list, char site[SITE_LENGTH])
{
    int length = 0;
    if (sscanf(*list, " %31[a-z_]%n", site, &length) != 1) {
        return false;
    }
    *list += length;
    return true;
}

/* sites: kinds of calls, of each of which at least one must fail, with spaces between. */
static void require_hits(const char *sites, const uint64_t *before)
{
    char site[SITE_LENGTH];
    for (size_t i = 0; next_site(&sites, site); i++) {
        if (hd_fault_hit_count(site) == before[i]) {
            fail_msg("no call of the kind '%s' was reached", site);
        }
    }
}

void fault_each_call_once(fault_attempt *function, uint64_t least, const char *sites)
{
    uint64_t degraded = 0, refused = 0, before[HD_FAULT_SITES] = {0};
    char site[SITE_LENGTH];
    const char *rest = sites;
    for (size_t i = 0; next_site(&rest, site); i++) {
        before[i] = hd_fault_hit_count(site);
    }
    for (uint64_t nth = 1; nth < NTH_LIMIT; nth++) {
        hd_error error;
        memset(&error, 0x5A, sizeof error);
        hd_fault_arm(nth, 0, 0);
        hd_status status = function(&error);
        bool reached = hd_fault_count() >= nth;
        hd_fault_disarm();
        if (!reached) {
            assert_int_equal(status, HD_OK);
            assert_true(refused + degraded == nth - 1);
            assert_true(nth > least);
            require_hits(sites, before);
            return;
        }
        degraded += status == HD_OK;
        refused += status != HD_OK;
        if (status != HD_OK) {
            if (status != HD_OUT_OF_MEMORY &&
                status != HD_IO) { /* HD_IO: no file handle was left */
                fail_msg("fault %llu answered %s: %s", (unsigned long long)nth,
                         hd_status_name(status), error.message);
            }
            assert_int_equal(error.status, status);
            assert_true(strlen(error.message) > 0);
        }
        status = function(&error);
        if (status != HD_OK) {
            fail_msg("after fault %llu: %s", (unsigned long long)nth, error.message);
        }
    }
    fail_msg("more than %d calls", NTH_LIMIT);
}

static void note_sites_of(const char *path, char (*sites)[SITE_LENGTH], size_t *count)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    for (const char *at = text; (at = strstr(at, "hd_fault_hits(\"")) != NULL; at++) {
        assert_true(*count < HD_FAULT_SITES);
        assert_int_equal(sscanf(at, "hd_fault_hits(\"%31[a-z_]", sites[*count]), 1);
        (*count)++;
    }
}

void fault_require_all_kinds(void)
{
    char sites[HD_FAULT_SITES][SITE_LENGTH];
    size_t count = 0;
    glob_t found;
    static const char *const folders[] = {"*", "*/*", "*/*/*"};
    for (size_t i = 0; i < 3; i++) {
        char pattern[512];
        snprintf(pattern, sizeof pattern, HD_TEST_SOURCE_DIR "/src/%s.c", folders[i]);
        if (glob(pattern, 0, NULL, &found) != 0) {
            continue;
        }
        for (size_t f = 0; f < found.gl_pathc; f++) {
            note_sites_of(found.gl_pathv[f], sites, &count);
        }
        globfree(&found);
    }
    assert_true(count >= 8);
    for (size_t i = 0; i < count; i++) {
        if (hd_fault_hit_count(sites[i]) == 0) {
            fail_msg("no call of the kind '%s' was made to fail", sites[i]);
        }
    }
}
#endif
