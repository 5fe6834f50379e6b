#include "strategies.h"

#include "base/clock.h"

void strategy_init(strategy *strategy, strategy_kind kind)
{
    strategy->kind = kind;
    for (uint32_t i = 0; i < STRATEGY_STREAMS; i++) {
        (void)!hd_mutex_init(&strategy->locks[i], HD_RANK_leaf);
        strategy->encoders[i] = (strategy_resource){.inside = 0};
    }
    (void)!hd_condition_init(&strategy->changed);
    strategy->readers = 0;
    atomic_init(&strategy->idle_encoders, (1u << STRATEGY_STREAMS) - 1);
    strategy->queue = (strategy_resource){.inside = 0};
}

void strategy_destroy(strategy *strategy)
{
    hd_condition_destroy(&strategy->changed);
    for (uint32_t i = 0; i < STRATEGY_STREAMS; i++) {
        hd_mutex_destroy(&strategy->locks[i]);
    }
}

/* Goes in and out; relaxed, so that using a resource orders nothing. */
static void use(strategy_resource *resource)
{
    if (hd_add_relaxed(&resource->inside, 1) != 0) {
        hd_store_relaxed(&resource->overlapped, true);
    }
    hd_sub_relaxed(&resource->inside, 1);
}

static void submit_under(strategy *strategy, hd_mutex *lock)
{
    hd_mutex_lock(lock);
    use(&strategy->encoders[0]);
    use(&strategy->queue);
    hd_mutex_unlock(lock);
}

/* The pool has as many encoders as there are threads, so one is always idle. */
static uint32_t take_encoder(strategy *strategy)
{
    uint32_t idle = hd_load_relaxed(&strategy->idle_encoders);
    for (;;) {
        uint32_t encoder = (uint32_t)__builtin_ctz(idle);
        /* acquire: pairs with give_encoder. */
        if (hd_cas_weak_acquire(&strategy->idle_encoders, &idle, idle & ~(1u << encoder))) {
            return encoder;
        }
    }
}

static void give_encoder(strategy *strategy, uint32_t encoder)
{
    hd_add_release(&strategy->idle_encoders, 1u << encoder);
}

static void submit_per_encoder(strategy *strategy)
{
    uint32_t encoder = take_encoder(strategy);
    use(&strategy->encoders[encoder]);
    hd_mutex_lock(&strategy->locks[0]);
    use(&strategy->queue);
    hd_mutex_unlock(&strategy->locks[0]);
    give_encoder(strategy, encoder);
}

static void submit_rw(strategy *strategy)
{
    hd_mutex *lock = &strategy->locks[0];
    hd_mutex_lock(lock);
    strategy->readers++;
    hd_mutex_unlock(lock);
    use(&strategy->encoders[0]);
    hd_mutex_lock(lock);
    strategy->readers--;
    hd_condition_broadcast(&strategy->changed);
    while (strategy->readers > 0) {
        hd_condition_wait_until(&strategy->changed, lock, HD_FOREVER);
    }
    use(&strategy->queue);
    hd_mutex_unlock(lock);
}

void strategy_submit(strategy *strategy, uint32_t stream, uint32_t operation)
{
    switch (strategy->kind) {
    case STRATEGY_GLOBAL:
        submit_under(strategy, &strategy->locks[0]);
        break;
    case STRATEGY_PER_ENCODER:
        submit_per_encoder(strategy);
        break;
    case STRATEGY_PER_STREAM:
        submit_under(strategy, &strategy->locks[stream]);
        break;
    case STRATEGY_PER_OP:
        submit_under(strategy, &strategy->locks[operation]);
        break;
    case STRATEGY_RW:
        submit_rw(strategy);
        break;
    }
}

bool strategy_overlapped(strategy *strategy)
{
    bool overlapped = hd_load_relaxed(&strategy->queue.overlapped);
    for (uint32_t i = 0; i < STRATEGY_STREAMS; i++) {
        overlapped = overlapped || hd_load_relaxed(&strategy->encoders[i].overlapped);
    }
    return overlapped;
}
