/* expect: requires holding mutex */
#include "../locks.h"

void change(outer *object);
void change(outer *object)
{
    outer_change(object);
}
