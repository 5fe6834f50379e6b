/* Stand-in: queues that a scenario serves itself, where runners would only add schedules. The explorer is linked so that
 * calls of these functions from other files than runners.c come here first. */
#ifndef INTERLEAVE_STAND_IN_H
#define INTERLEAVE_STAND_IN_H

#include "runtime/runners.h"

typedef struct scenario_stand_in {
    hd_status (*create)(hd_runners **out_runners);
    void (*destroy)(hd_runners *runners);
    void (*submit)(hd_runners *runners, uint32_t number, hd_work *work);
    void (*resume)(hd_runners *runners, uint32_t number);
} scenario_stand_in;

/* Until the scenario's end; it is set before other threads begin. */
void scenario_use_stand_in(const scenario_stand_in *stand_in);

#endif
