/* expect: reading the value pointed to by 'pointer' requires holding mutex */
#include "../locks.h"

int read_it(outer *object);
int read_it(outer *object)
{
    return *object->pointer;
}
