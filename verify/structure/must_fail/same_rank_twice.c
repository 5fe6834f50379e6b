/* expect: that is already held */
#include "../locks.h"

void two_of_a_rank(outer *first, outer *second);
void two_of_a_rank(outer *first, outer *second)
{
    outer_lock(first);
    outer_lock(second);
    outer_unlock(second);
    outer_unlock(first);
}
