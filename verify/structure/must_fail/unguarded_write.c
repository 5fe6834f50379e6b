/* expect: writing variable 'value' requires holding mutex */
#include "../locks.h"

void write_it(outer *object);
void write_it(outer *object)
{
    object->value = 1;
}
