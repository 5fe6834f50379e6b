/* expect: reading variable 'value' requires holding mutex */
#include "../locks.h"

int late(outer *object);
int late(outer *object)
{
    outer_lock(object);
    outer_unlock(object);
    return object->value;
}
