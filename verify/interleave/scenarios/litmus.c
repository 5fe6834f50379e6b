/* Litmus tests: what the explorer itself must find, and must not. Each lists exactly the outcomes that the explorer
 * reaches, which are those that C11 allows (with C++20's repairs) unless `allowed` says otherwise, and `why`; they are
 * run with and without reduction, and `explore --litmus` prints them as the table of docs/verification.md. The names are those of
 * the literature (Alglave, Maranget, Tautschnig: Herding Cats, 2014). */
#include "../scenario.h"

typedef struct litmus {
    _Atomic uint32_t x, y;
    uint32_t plain;
    uint32_t seen[4]; /* one a thread: what it has read */
} litmus;

typedef struct litmus_thread {
    litmus *shared;
    uint32_t number;
} litmus_thread;

/* Runs the threads and notes what they have seen as one number, two bits a thread. */
static void run_litmus(uint32_t count, void (*const *runs)(void *))
{
    litmus *self = hd_alloc_zero(1, sizeof *self);
    trace_name(self, sizeof *self, "xy");
    litmus_thread arguments[4];
    hd_thread threads[4];
    for (uint32_t i = 0; i < count; i++) {
        arguments[i] = (litmus_thread){self, i};
        scenario_start(&threads[i], "litmus", runs[i], &arguments[i]);
    }
    uint32_t outcome = 0, place = 0;
    for (uint32_t i = 0; i < count; i++) {
        hd_thread_join(&threads[i]);
        if (self->seen[i] != 0) {
            outcome |= (self->seen[i] - 1) << place;
            place += 2;
        }
    }
    hd_free(self);
    scenario_outcome(outcome);
}

#define LITMUS_THREAD(name, ...)                                                                   \
    static void name(void *argument)                                                               \
    {                                                                                              \
        litmus *self = ((litmus_thread *)argument)->shared;                                        \
        uint32_t *seen = &self->seen[((litmus_thread *)argument)->number];                         \
        (void)seen;                                                                                \
        __VA_ARGS__                                                                                \
    }

/* What a thread has read is kept plus 1; two values as a + 2 b. */
#define SEEN(value) *seen = 1 + (value)

#define LITMUS(name, ...)                                                                          \
    static void name(void)                                                                         \
    {                                                                                              \
        void (*const runs[])(void *) = {__VA_ARGS__};                                              \
        run_litmus(sizeof runs / sizeof *runs, runs);                                              \
    }

/* Store buffering: both may miss the other's store, unless all is seq_cst. */
LITMUS_THREAD(sb_relaxed_x, hd_store_relaxed(&self->x, 1); SEEN(hd_load_relaxed(&self->y));)
LITMUS_THREAD(sb_relaxed_y, hd_store_relaxed(&self->y, 1); SEEN(hd_load_relaxed(&self->x));)
LITMUS_THREAD(sb_acquire_x, hd_store_release(&self->x, 1); SEEN(hd_load_acquire(&self->y));)
LITMUS_THREAD(sb_acquire_y, hd_store_release(&self->y, 1); SEEN(hd_load_acquire(&self->x));)
LITMUS_THREAD(sb_seq_cst_x, hd_store_seq_cst(&self->x, 1); SEEN(hd_load_seq_cst(&self->y));)
LITMUS_THREAD(sb_seq_cst_y, hd_store_seq_cst(&self->y, 1); SEEN(hd_load_seq_cst(&self->x));)
LITMUS_THREAD(sb_fence_x, hd_store_relaxed(&self->x, 1); hd_fence_seq_cst();
              SEEN(hd_load_relaxed(&self->y));)
LITMUS_THREAD(sb_fence_y, hd_store_relaxed(&self->y, 1); hd_fence_seq_cst();
              SEEN(hd_load_relaxed(&self->x));)
LITMUS(sb_relaxed, sb_relaxed_x, sb_relaxed_y)
LITMUS(sb_acquire, sb_acquire_x, sb_acquire_y)
LITMUS(sb_seq_cst, sb_seq_cst_x, sb_seq_cst_y)
LITMUS(sb_fences, sb_fence_x, sb_fence_y)
LITMUS(sb_mixed, sb_fence_x, sb_seq_cst_y)
LITMUS(sb_one_fence, sb_fence_x, sb_relaxed_y)

/* Message passing: who sees the flag sees the message, unless an order is missing. */
LITMUS_THREAD(mp_send_relaxed, hd_store_relaxed(&self->x, 1); hd_store_relaxed(&self->y, 1);)
LITMUS_THREAD(mp_send_release, hd_store_relaxed(&self->x, 1); hd_store_release(&self->y, 1);)
LITMUS_THREAD(mp_send_fence, hd_store_relaxed(&self->x, 1);
              atomic_thread_fence(memory_order_release); hd_store_relaxed(&self->y, 1);)
LITMUS_THREAD(mp_get_relaxed, uint32_t flag = hd_load_relaxed(&self->y);
              SEEN(flag + 2 * hd_load_relaxed(&self->x));)
LITMUS_THREAD(mp_get_acquire, uint32_t flag = hd_load_acquire(&self->y);
              SEEN(flag + 2 * hd_load_relaxed(&self->x));)
LITMUS_THREAD(mp_get_fence, uint32_t flag = hd_load_relaxed(&self->y);
              atomic_thread_fence(memory_order_acquire);
              SEEN(flag + 2 * hd_load_relaxed(&self->x));)
LITMUS(mp_relaxed, mp_send_relaxed, mp_get_relaxed)
LITMUS(mp_release, mp_send_release, mp_get_relaxed)
LITMUS(mp_acquire, mp_send_relaxed, mp_get_acquire)
LITMUS(mp_both, mp_send_release, mp_get_acquire)
LITMUS(mp_fences, mp_send_fence, mp_get_fence)
LITMUS(mp_fence_acquire, mp_send_fence, mp_get_acquire)

/* A release sequence goes through another's read-modify-write, not through a plain relaxed store. */
LITMUS_THREAD(sequence_update, uint32_t one = 1; hd_cas_relaxed(&self->y, &one, 2);)
LITMUS_THREAD(
    sequence_store, if (hd_load_relaxed(&self->y) == 1) { hd_store_relaxed(&self->y, 2); })
LITMUS_THREAD(
    sequence_get,
    if (hd_load_acquire(&self->y) == 2) { SEEN(hd_load_relaxed(&self->x)); } else { SEEN(2); })
LITMUS(sequence_of_updates, mp_send_release, sequence_update, sequence_get)
LITMUS(sequence_broken, mp_send_release, sequence_store, sequence_get)

/* Coherence: two loads of one object never go back. */
LITMUS_THREAD(coherence_write, hd_store_relaxed(&self->x, 1);)
LITMUS_THREAD(coherence_read, uint32_t first = hd_load_relaxed(&self->x);
              SEEN(first + 2 * hd_load_relaxed(&self->x));)
LITMUS(coherence, coherence_write, coherence_read)

/* Independent reads of independent writes: the readers may disagree, unless all is seq_cst. */
LITMUS_THREAD(write_x, hd_store_release(&self->x, 1);)
LITMUS_THREAD(write_y, hd_store_release(&self->y, 1);)
LITMUS_THREAD(read_xy, uint32_t first = hd_load_acquire(&self->x);
              SEEN(first + 2 * hd_load_acquire(&self->y));)
LITMUS_THREAD(read_yx, uint32_t first = hd_load_acquire(&self->y);
              SEEN(first + 2 * hd_load_acquire(&self->x));)
LITMUS(iriw_acquire, write_x, write_y, read_xy, read_yx)
LITMUS_THREAD(write_x_seq_cst, hd_store_seq_cst(&self->x, 1);)
LITMUS_THREAD(write_y_seq_cst, hd_store_seq_cst(&self->y, 1);)
LITMUS_THREAD(read_xy_seq_cst, uint32_t first = hd_load_seq_cst(&self->x);
              SEEN(first + 2 * hd_load_seq_cst(&self->y));)
LITMUS_THREAD(read_yx_seq_cst, uint32_t first = hd_load_seq_cst(&self->y);
              SEEN(first + 2 * hd_load_seq_cst(&self->x));)
LITMUS(iriw_seq_cst, write_x_seq_cst, write_y_seq_cst, read_xy_seq_cst, read_yx_seq_cst)
LITMUS_THREAD(read_xy_fence, uint32_t first = hd_load_relaxed(&self->x); hd_fence_seq_cst();
              SEEN(first + 2 * hd_load_relaxed(&self->y));)
LITMUS_THREAD(read_yx_fence, uint32_t first = hd_load_relaxed(&self->y); hd_fence_seq_cst();
              SEEN(first + 2 * hd_load_relaxed(&self->x));)
LITMUS(iriw_fences, write_x, write_y, read_xy_fence, read_yx_fence)

/* Load buffering is not modelled (history.h): both loads returning 1 is not explored where C11 allows it. */
LITMUS_THREAD(lb_x, SEEN(hd_load_relaxed(&self->x)); hd_store_relaxed(&self->y, 1);)
LITMUS_THREAD(lb_y, SEEN(hd_load_relaxed(&self->y)); hd_store_relaxed(&self->x, 1);)
LITMUS(lb_relaxed, lb_x, lb_y)
LITMUS_THREAD(lb_acquire_x, SEEN(hd_load_acquire(&self->x)); hd_store_relaxed(&self->y, 1);)
LITMUS_THREAD(lb_acquire_y, SEEN(hd_load_acquire(&self->y)); hd_store_relaxed(&self->x, 1);)
LITMUS(lb_acquire, lb_acquire_x, lb_acquire_y)
LITMUS_THREAD(lb_release_x, SEEN(hd_load_relaxed(&self->x)); hd_store_release(&self->y, 1);)
LITMUS_THREAD(lb_release_y, SEEN(hd_load_relaxed(&self->y)); hd_store_release(&self->x, 1);)
LITMUS(lb_release, lb_release_x, lb_release_y)
LITMUS_THREAD(lb_both_x, SEEN(hd_load_acquire(&self->x)); hd_store_release(&self->y, 1);)
LITMUS_THREAD(lb_both_y, SEEN(hd_load_acquire(&self->y)); hd_store_release(&self->x, 1);)
LITMUS(lb_both, lb_both_x, lb_both_y)
LITMUS_THREAD(lb_fence_x, SEEN(hd_load_relaxed(&self->x)); hd_fence_seq_cst();
              hd_store_relaxed(&self->y, 1);)
LITMUS_THREAD(lb_fence_y, SEEN(hd_load_relaxed(&self->y)); hd_fence_seq_cst();
              hd_store_relaxed(&self->x, 1);)
LITMUS(lb_fences, lb_fence_x, lb_fence_y)
LITMUS_THREAD(lb_data_x, uint32_t seen_x = hd_load_relaxed(&self->x); SEEN(seen_x);
              hd_store_relaxed(&self->y, seen_x);)
LITMUS_THREAD(lb_data_y, uint32_t seen_y = hd_load_relaxed(&self->y); SEEN(seen_y);
              hd_store_relaxed(&self->x, seen_y);)
LITMUS(lb_data, lb_data_x, lb_data_y)

/* Write to read causality: who sees the second thread's flag sees what that one saw. */
LITMUS_THREAD(
    wrc_relaxed_pass, if (hd_load_relaxed(&self->x) == 1) { hd_store_relaxed(&self->y, 1); })
LITMUS_THREAD(wrc_pass, if (hd_load_acquire(&self->x) == 1) { hd_store_release(&self->y, 1); })
LITMUS(wrc_relaxed, coherence_write, wrc_relaxed_pass, mp_get_relaxed)
LITMUS(wrc_both, write_x, wrc_pass, mp_get_acquire)

/* Two threads write two objects in opposite orders: the values that stay. */
LITMUS_THREAD(w22_x, hd_store_relaxed(&self->x, 1); hd_store_relaxed(&self->y, 2);)
LITMUS_THREAD(w22_y, hd_store_relaxed(&self->y, 1); hd_store_relaxed(&self->x, 2);)
LITMUS_THREAD(w22_seq_cst_x, hd_store_seq_cst(&self->x, 1); hd_store_seq_cst(&self->y, 2);)
LITMUS_THREAD(w22_seq_cst_y, hd_store_seq_cst(&self->y, 1); hd_store_seq_cst(&self->x, 2);)

/* Notes what stays in x and y when both threads have ended, 1 or 2 each. */
static void keep_with(void (*first)(void *), void (*second)(void *))
{
    litmus *self = hd_alloc_zero(1, sizeof *self);
    litmus_thread argument = {self, 0};
    hd_thread threads[2];
    scenario_start(&threads[0], "litmus", first, &argument);
    scenario_start(&threads[1], "litmus", second, &argument);
    hd_thread_join(&threads[0]);
    hd_thread_join(&threads[1]);
    scenario_outcome(hd_load_relaxed(&self->x) - 1 + 2 * (hd_load_relaxed(&self->y) - 1));
    hd_free(self);
}

static void w22_relaxed(void)
{
    keep_with(w22_x, w22_y);
}

static void w22_seq_cst(void)
{
    keep_with(w22_seq_cst_x, w22_seq_cst_y);
}

/* Twenty stores, of which a relaxed load may return any, though the flag behind them is seen. */
LITMUS_THREAD(
    window_write, for (uint32_t i = 1; i <= 20;
                       i++) { hd_store_relaxed(&self->x, i); } hd_store_relaxed(&self->y, 1);)
LITMUS_THREAD(
    window_read,
    if (hd_load_relaxed(&self->y) == 1) { SEEN(hd_load_relaxed(&self->x)); } else { SEEN(21); })
LITMUS(window, window_write, window_read)

/* A compare-and-swap that finds what it expects: a weak one may fail, and its loop gets through. */
LITMUS_THREAD(cas_strong_once, uint32_t zero = 0; SEEN(hd_cas_relaxed(&self->x, &zero, 1));)
LITMUS_THREAD(cas_weak_once, uint32_t zero = 0; SEEN(hd_cas_weak_relaxed(&self->x, &zero, 1));)
LITMUS_THREAD(
    cas_weak_loop, uint32_t found = 0;
    while (!hd_cas_weak_relaxed(&self->x, &found, found + 1)) {} SEEN(found);)
LITMUS_THREAD(touch_y, hd_store_relaxed(&self->y, 1);)
LITMUS(cas_strong, cas_strong_once, touch_y)
LITMUS(cas_weak, cas_weak_once, touch_y)
LITMUS(cas_weak_loops, cas_weak_loop, cas_weak_loop)

/* Each increment of two threads counts; a load and a store instead lose some. */
LITMUS_THREAD(add_two, hd_add_relaxed(&self->x, 1); hd_add_relaxed(&self->x, 1);)
LITMUS_THREAD(add_split, hd_store_relaxed(&self->x, hd_load_relaxed(&self->x) + 1);)

static void count_with(void (*run)(void *))
{
    litmus *self = hd_alloc_zero(1, sizeof *self);
    litmus_thread argument = {self, 0};
    hd_thread first, second;
    scenario_start(&first, "adder", run, &argument);
    scenario_start(&second, "adder", run, &argument);
    hd_thread_join(&first);
    hd_thread_join(&second);
    scenario_outcome(hd_load_relaxed(&self->x));
    hd_free(self);
}

static void counted(void)
{
    count_with(add_two);
}

static void count_lost(void)
{
    count_with(add_split);
}

/* A spinning wait ends, and passes on what was released. */
LITMUS_THREAD(spin_set, self->plain = 1; hd_store_release(&self->x, 1);)
LITMUS_THREAD(
    spin_wait, while (hd_load_acquire(&self->x) == 0) { hd_spin_pause(); } SEEN(self->plain);)
LITMUS(spin, spin_set, spin_wait)

#define NO_LOAD_BUFFERING "a load never returns a store that comes later in the execution"

/* Bits of run_litmus' outcomes: two threads that saw 0 or 1 each: 0, 1, 4, 5; one that saw a + 2 b:
 * 0 to 3; two such: 0 to 15, where 1 + 4 * 1 = 5 is the disagreement. */
const scenario scenarios_litmus[] = {
    {.name = "litmus.sb-relaxed", .run = sb_relaxed, .outcomes = 0x33},
    {.name = "litmus.sb-acquire", .run = sb_acquire, .outcomes = 0x33},
    {.name = "litmus.sb-seq-cst", .run = sb_seq_cst, .outcomes = 0x32},
    {.name = "litmus.sb-fences", .run = sb_fences, .outcomes = 0x32},
    {.name = "litmus.sb-fence-and-seq-cst", .run = sb_mixed, .outcomes = 0x32},
    {.name = "litmus.sb-one-fence", .run = sb_one_fence, .outcomes = 0x33},
    {.name = "litmus.mp-relaxed", .run = mp_relaxed, .outcomes = 0xF},
    {.name = "litmus.mp-release-only", .run = mp_release, .outcomes = 0xF},
    {.name = "litmus.mp-acquire-only", .run = mp_acquire, .outcomes = 0xF},
    {.name = "litmus.mp-release-acquire", .run = mp_both, .outcomes = 0xD},
    {.name = "litmus.mp-fences", .run = mp_fences, .outcomes = 0xD},
    {.name = "litmus.mp-fence-and-acquire", .run = mp_fence_acquire, .outcomes = 0xD},
    {.name = "litmus.release-sequence", .run = sequence_of_updates, .outcomes = 0x6},
    {.name = "litmus.release-sequence-broken", .run = sequence_broken, .outcomes = 0x7},
    {.name = "litmus.coherence", .run = coherence, .outcomes = 0xD},
    {.name = "litmus.iriw-acquire", .run = iriw_acquire, .outcomes = 0xFFFF},
    {.name = "litmus.iriw-seq-cst", .run = iriw_seq_cst, .outcomes = 0xFFDF},
    {.name = "litmus.iriw-fences", .run = iriw_fences, .outcomes = 0xFFDF},
    {.name = "litmus.lb-relaxed",
     .run = lb_relaxed,
     .outcomes = 0x13,
     .allowed = 0x33,
     .why = NO_LOAD_BUFFERING},
    {.name = "litmus.lb-acquire-only",
     .run = lb_acquire,
     .outcomes = 0x13,
     .allowed = 0x33,
     .why = NO_LOAD_BUFFERING},
    {.name = "litmus.lb-release-only",
     .run = lb_release,
     .outcomes = 0x13,
     .allowed = 0x33,
     .why = NO_LOAD_BUFFERING},
    {.name = "litmus.lb-release-acquire", .run = lb_both, .outcomes = 0x13},
    {.name = "litmus.lb-fences", .run = lb_fences, .outcomes = 0x13},
    {.name = "litmus.lb-data",
     .run = lb_data,
     .outcomes = 0x1,
     .allowed = 0x21,
     .why = "a value out of thin air, which C11 advises against but does not forbid"},
    {.name = "litmus.wrc-relaxed", .run = wrc_relaxed, .outcomes = 0xF},
    {.name = "litmus.wrc-release-acquire", .run = wrc_both, .outcomes = 0xD},
    {.name = "litmus.2+2w-relaxed",
     .run = w22_relaxed,
     .outcomes = 0xE,
     .allowed = 0xF,
     .why = "each object's modification order is the order of execution"},
    {.name = "litmus.2+2w-seq-cst", .run = w22_seq_cst, .outcomes = 0xE},
    {.name = "litmus.window",
     .run = window,
     .outcomes = 0x3FFFE0,
     .allowed = 0x3FFFFF,
     .why = "a load returns one of the last 16 stores of its object"},
    {.name = "litmus.cas-strong", .run = cas_strong, .weak = true, .outcomes = 0x2},
    {.name = "litmus.cas-weak", .run = cas_weak, .weak = true, .outcomes = 0x3},
    {.name = "litmus.cas-weak-loop", .run = cas_weak_loops, .weak = true, .outcomes = 0x12},
    {.name = "litmus.count", .run = counted, .outcomes = 0x10},
    {.name = "litmus.count-lost", .run = count_lost, .outcomes = 0x6},
    {.name = "litmus.spin", .run = spin, .outcomes = 0x2},
    {.name = NULL},
};
