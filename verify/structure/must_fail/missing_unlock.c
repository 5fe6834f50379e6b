/* expect: is still held at the end of function */
#include "../locks.h"

void forget(outer *object);
void forget(outer *object)
{
    outer_lock(object);
    object->value++;
}
