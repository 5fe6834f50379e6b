/* Check: assertions of internal laws, each with the ID of the promise or law that it states.
 * They run in builds with HD_DEBUG_CHECKS (debug, sanitizer and test builds) and cost nothing else. */
#ifndef HD_BASE_CHECK_H
#define HD_BASE_CHECK_H

#include <stdbool.h>

/* Prints the law and stops the process; exists in test builds only (STATUS: a release never aborts). */
void hd_check_failed(const char *law, const char *expression, const char *file, int line);

#if defined(HD_DEBUG_CHECKS)
#define HD_CHECK(law, expression)                                                                  \
    ((expression) ? (void)0 : hd_check_failed((law), #expression, __FILE__, __LINE__))
#else
#define HD_CHECK(law, expression) ((void)sizeof((expression) ? 1 : 0))
#endif

#endif
