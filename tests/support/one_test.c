/* One test alone: a program of cmocka's tests takes the name of a test (`*` and `?` match), and says of each test that
 * fails which command runs it alone. The linker puts these functions around cmocka's (tests/CMakeLists.txt), so
 * that no main() has to do it.
 *
 * A first argument that begins with no letter, and all further ones, are the program's own. */
#include <ctype.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct attempt {
    const struct CMUnitTest *test;
    void *state; /* the test's own; cmocka's is the attempt */
    bool has_begun;
    bool is_well; /* passed or skipped */
} attempt;

static const char *program = "?";
static const char *wanted; /* NULL: all */
static bool is_found;      /* a test of that name, in some group */
static pid_t own_process;
static void *group_state;
static CMFixtureFunction group_setup, group_teardown;
static attempt *current;

int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
void __real__skip(const char *file, int line);
void __wrap__skip(const char *file, int line);
/* Of the sanitizers, where there is one. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

__attribute__((constructor)) static void take_arguments(int argc, char **argv)
{
    if (argc > 0) {
        program = argv[0];
    }
    if (argc > 1 && (isalpha((unsigned char)argv[1][0]) || strchr("_*?", argv[1][0]) != NULL)) {
        wanted = argv[1];
    }
}

static void print_command(const attempt *failed)
{
    fprintf(stderr, "one alone: %s '%s'\n", program, failed->test->name);
}

/* The process dies in a test: of its own accord, or of a sanitizer. Children have a word of their own for it. */
static void tell_death(void)
{
    if (current != NULL && getpid() == own_process) {
        print_command(current);
    }
}

static void tell_abort(int number)
{
    tell_death();
    signal(number, SIG_DFL);
    raise(number);
}

static attempt *begin(void **state)
{
    attempt *attempt = *state;
    if (!attempt->has_begun) {
        attempt->has_begun = true;
        attempt->state = group_state != NULL ? group_state : attempt->test->initial_state;
    }
    current = attempt;
    return attempt;
}

static int set_up(void **state)
{
    attempt *attempt = begin(state);
    return attempt->test->setup_func(&attempt->state);
}

static void run(void **state)
{
    attempt *attempt = begin(state);
    attempt->test->test_func(&attempt->state);
    attempt->is_well = true;
}

static int tear_down(void **state)
{
    attempt *attempt = begin(state);
    int result = attempt->test->teardown_func(&attempt->state);
    attempt->is_well = attempt->is_well && result == 0;
    return result;
}

/* cmocka would give the group's state to tests in place of their attempts, so it does not see it. */
static int set_group_up(void **state)
{
    (void)state;
    return group_setup != NULL ? group_setup(&group_state) : 0;
}

static int tear_group_down(void **state)
{
    (void)state;
    return group_teardown != NULL ? group_teardown(&group_state) : 0;
}

void __wrap__skip(const char *file, int line)
{
    if (current != NULL) {
        current->is_well = true;
    }
    __real__skip(file, line);
}

static void refuse_unknown_name(void)
{
    if (!is_found && getpid() == own_process) {
        fprintf(stderr, "%s has no test '%s'\n", program, wanted);
        _exit(1);
    }
}

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    attempt *attempts = calloc(count + 1, sizeof *attempts);
    struct CMUnitTest *chosen = calloc(count + 1, sizeof *chosen);
    size_t chosen_count = 0;
    if (attempts == NULL || chosen == NULL) {
        abort();
    }
    if (own_process == 0) {
        own_process = getpid();
        signal(SIGABRT, tell_abort);
        if (__sanitizer_set_death_callback != NULL) {
            __sanitizer_set_death_callback(tell_death);
        }
        if (wanted != NULL) {
            atexit(refuse_unknown_name);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (wanted != NULL && fnmatch(wanted, tests[i].name, 0) != 0) {
            continue;
        }
        attempts[chosen_count].test = &tests[i];
        chosen[chosen_count] =
            (struct CMUnitTest){.name = tests[i].name,
                                .test_func = run,
                                .setup_func = tests[i].setup_func != NULL ? set_up : NULL,
                                .teardown_func = tests[i].teardown_func != NULL ? tear_down : NULL,
                                .initial_state = &attempts[chosen_count]};
        chosen_count++;
    }
    int result = 0;
    is_found = is_found || chosen_count > 0;
    if (chosen_count > 0) {
        group_setup = setup;
        group_teardown = teardown;
        group_state = NULL;
        result = __real__cmocka_run_group_tests(name, chosen, chosen_count, set_group_up,
                                                tear_group_down);
    }
    current = NULL;
    for (size_t i = 0; i < chosen_count && result != 0; i++) {
        if (!attempts[i].is_well) {
            print_command(&attempts[i]);
        }
    }
    free(chosen);
    free(attempts);
    return result;
}
