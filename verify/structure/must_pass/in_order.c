/* Guarded members under their lock, locks in the order of their ranks, a wait under none. */
#include "../locks.h"

int all_in_order(outer *first, inner *second);
int all_in_order(outer *first, inner *second)
{
    wait_for_something();
    outer_lock(first);
    inner_lock(second);
    second->value++;
    inner_unlock(second);
    outer_change(first);
    int value = first->value + *first->pointer;
    outer_unlock(first);
    wait_for_something();
    return value;
}
