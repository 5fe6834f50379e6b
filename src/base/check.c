#include "base/check.h"

#if defined(HD_DEBUG_CHECKS)
#include <stdio.h>
#include <stdlib.h>

void hd_check_failed(const char *law, const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: law %s broken: %s\n", file, line, law, expression);
    abort();
}
#else
typedef int hd_check_is_empty_in_release_builds;
#endif
