/* A limit of the analysis in C, kept in sight: a guarded member is read under the lock of another object of
 * its type, and clang accepts that. When this file is rejected, the analysis has become stricter. */
#include "../locks.h"

int read_under_another(outer *one, outer *other);
int read_under_another(outer *one, outer *other)
{
    outer_lock(one);
    int value = other->value;
    outer_unlock(one);
    return value;
}
