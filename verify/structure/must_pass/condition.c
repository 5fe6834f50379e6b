/* A wait on a condition under its own lock, and a lock that is let go on every path. */
#include "../locks.h"

int wait_for_value(outer *object, hd_condition *condition);
int wait_for_value(outer *object, hd_condition *condition)
{
    outer_lock(object);
    while (object->value == 0) {
        if (!hd_condition_wait_until(condition, &object->mutex, 1)) {
            outer_unlock(object);
            return 0;
        }
    }
    int value = object->value;
    outer_unlock(object);
    return value;
}
