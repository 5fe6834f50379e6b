#include "stand_in.h"

#include <stddef.h>

/* NULL: the real runners. Each execution begins with that. */
static const scenario_stand_in *current;

void scenario_use_stand_in(const scenario_stand_in *stand_in)
{
    current = stand_in;
}

/* What the linker makes of a function that it was told to wrap. */
#define REAL(name) __real_##name
#define WRAP(name) __wrap_##name

hd_status REAL(hd_runners_create)(uint32_t runner_count, uint32_t queue_count,
                                  hd_runners **out_runners);
hd_status WRAP(hd_runners_create)(uint32_t runner_count, uint32_t queue_count,
                                  hd_runners **out_runners);
hd_status WRAP(hd_runners_create)(uint32_t runner_count, uint32_t queue_count,
                                  hd_runners **out_runners)
{
    return current != NULL ? current->create(out_runners)
                           : REAL(hd_runners_create)(runner_count, queue_count, out_runners);
}

void REAL(hd_runners_destroy)(hd_runners **runners);
void WRAP(hd_runners_destroy)(hd_runners **runners);
void WRAP(hd_runners_destroy)(hd_runners **runners)
{
    if (current != NULL) {
        current->destroy(*runners);
    } else {
        REAL(hd_runners_destroy)(runners);
    }
}

hd_status REAL(hd_runners_start)(hd_runners *runners);
hd_status WRAP(hd_runners_start)(hd_runners *runners);
hd_status WRAP(hd_runners_start)(hd_runners *runners)
{
    return current != NULL ? HD_OK : REAL(hd_runners_start)(runners);
}

void REAL(hd_runners_submit)(hd_runners *runners, uint32_t number, hd_work *work);
void WRAP(hd_runners_submit)(hd_runners *runners, uint32_t number, hd_work *work);
void WRAP(hd_runners_submit)(hd_runners *runners, uint32_t number, hd_work *work)
{
    if (current != NULL) {
        current->submit(runners, number, work);
    } else {
        REAL(hd_runners_submit)(runners, number, work);
    }
}

void REAL(hd_runners_resume)(hd_runners *runners, uint32_t number);
void WRAP(hd_runners_resume)(hd_runners *runners, uint32_t number);
void WRAP(hd_runners_resume)(hd_runners *runners, uint32_t number)
{
    if (current != NULL) {
        current->resume(runners, number);
    } else {
        REAL(hd_runners_resume)(runners, number);
    }
}
