/* expect: reading variable 'value' requires holding mutex */
#include "../locks.h"

int read_it(outer *object);
int read_it(outer *object)
{
    return object->value;
}
