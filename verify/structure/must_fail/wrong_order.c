/* expect: must be acquired before */
#include "../locks.h"

void against_the_order(outer *first, inner *second);
void against_the_order(outer *first, inner *second)
{
    inner_lock(second);
    outer_lock(first);
    outer_unlock(first);
    inner_unlock(second);
}
