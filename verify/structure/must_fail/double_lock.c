/* expect: that is already held */
#include "../locks.h"

void twice(outer *object);
void twice(outer *object)
{
    outer_lock(object);
    outer_lock(object);
    outer_unlock(object);
}
