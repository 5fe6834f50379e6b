/* expect: is not held on every path through here */
#include "../locks.h"

void sometimes(outer *object, int unlocks);
void sometimes(outer *object, int unlocks)
{
    outer_lock(object);
    object->value++;
    if (unlocks) {
        outer_unlock(object);
    }
}
