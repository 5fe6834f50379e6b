/* expect: that was not held */
#include "../locks.h"

void unlock(outer *object);
void unlock(outer *object)
{
    outer_unlock(object);
}
