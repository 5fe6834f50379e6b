/* expect: requires holding mutex */
#include "../locks.h"

void wait(outer *object, hd_condition *condition);
void wait(outer *object, hd_condition *condition)
{
    hd_condition_wait_until(condition, &object->mutex, 0);
}
