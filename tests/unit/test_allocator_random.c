/* Caching allocator: random calls from one thread (against a model) and from many. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"

#include "allocator_fixture.h"

/* --- random calls against a model */

#define LIVE_LIMIT  300
#define FREED_LIMIT 20000

typedef struct model_block {
    char *address;
    size_t size;
    uint32_t stream;
    uint64_t point;
    uint64_t records[HD_STREAM_COUNT]; /* 0: none */
    unsigned char mark;
} model_block;

typedef struct model {
    model_block live[LIVE_LIMIT];
    size_t live_count;
    model_block *freed; /* not known to be done with */
    size_t freed_count;
    uint64_t seed;
} model;

static uint32_t draw(model *self, uint32_t below)
{
    self->seed = self->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((self->seed >> 33) % below);
}

static bool overlaps(const model_block *a, const char *address, size_t size)
{
    return a->address < address + size && address < a->address + a->size;
}

/* Whether `stream` may use memory that was freed as this block. */
static bool may_use(const model_block *freed, uint32_t stream)
{
    for (uint32_t i = 0; i < HD_STREAM_COUNT; i++) {
        if (freed->records[i] != 0 && !hd_timeline_reached(timelines[i], freed->records[i])) {
            return false;
        }
    }
    return freed->stream == stream || hd_timeline_reached(timelines[freed->stream], freed->point);
}

static void model_allocate(model *self)
{
    uint32_t stream = draw(self, 6);
    size_t size = draw(self, 8) == 0 ? draw(self, 3 * MB) : draw(self, 20000);
    void *memory;
    if (hd_allocator_allocate(allocator, stream, size, 0, &memory, NULL) != HD_OK) {
        return; /* the limit */
    }
    size = size == 0 ? 1 : size;
    for (size_t i = 0; i < self->live_count; i++) {
        assert_false(overlaps(&self->live[i], memory, size));
    }
    for (size_t i = self->freed_count; i-- > 0;) {
        if (overlaps(&self->freed[i], memory, size)) {
            assert_true(may_use(&self->freed[i], stream));
        }
    }
    model_block *block = &self->live[self->live_count++];
    *block = (model_block){
        .address = memory, .size = size, .stream = stream, .mark = (unsigned char)draw(self, 256)};
    memset(memory, block->mark, size);
}

static void model_free(model *self)
{
    if (self->live_count == 0) {
        return;
    }
    model_block *block = &self->live[draw(self, (uint32_t)self->live_count)];
    assert_int_equal((unsigned char)block->address[0], block->mark);
    assert_int_equal((unsigned char)block->address[block->size - 1], block->mark);
    block->point = hd_timeline_submitted(timelines[block->stream]);
    give(block->address);
    assert_false(hd_allocator_free(allocator, block->address));
    if (self->freed_count == FREED_LIMIT) {
        self->freed_count = 0;
        finish_all();
    }
    self->freed[self->freed_count++] = *block;
    *block = self->live[--self->live_count];
}

static void model_record(model *self)
{
    if (self->live_count == 0) {
        return;
    }
    model_block *block = &self->live[draw(self, (uint32_t)self->live_count)];
    uint32_t stream = draw(self, 12);
    assert_true(hd_allocator_record(allocator, block->address, stream));
    if (stream != block->stream) {
        block->records[stream] = hd_timeline_submitted(timelines[stream]);
    }
}

static void model_signal(model *self)
{
    uint32_t stream = draw(self, 12);
    uint64_t submitted = hd_timeline_submitted(timelines[stream]);
    uint64_t completed = hd_load_seq_cst(&timelines[stream]->completed);
    if (completed < submitted) {
        hd_timeline_signal(timelines[stream],
                           completed + 1 + draw(self, (uint32_t)(submitted - completed)));
    }
}

static void model_check(const model *self)
{
    size_t least = 0;
    for (size_t i = 0; i < self->live_count; i++) {
        least += self->live[i].size;
    }
    hd_memory_statistics counts = statistics();
    assert_true(counts.in_use_bytes >= least);
    assert_true(account.limit == 0 || counts.reserved_bytes <= account.limit);
}

static void run_model(uint64_t seed, size_t limit)
{
    static model self;
    self = (model){.seed = seed, .freed = malloc(FREED_LIMIT * sizeof(model_block))};
    assert_non_null(self.freed);
    account.limit = limit;
    for (size_t round = 0; round < 20000; round++) {
        uint32_t what = draw(&self, 100);
        if (what < 38 && self.live_count < LIVE_LIMIT) {
            model_allocate(&self);
        } else if (what < 70) {
            model_free(&self);
        } else if (what < 78) {
            model_record(&self);
        } else if (what < 88) {
            (void)hd_timeline_submit(timelines[draw(&self, 12)]);
        } else if (what < 99) {
            model_signal(&self);
        } else {
            hd_allocator_trim(allocator);
        }
        model_check(&self);
    }
    while (self.live_count > 0) {
        model_free(&self);
    }
    finish_all();
    hd_allocator_trim(allocator);
    assert_int_equal(statistics().reserved_bytes, 0); /* everything was joined again */
    free(self.freed);
}

static void random_calls_agree_with_a_model(void **state)
{
    (void)state;
    run_model(1, 0);
    run_model(2, 24 * MB);
    run_model(3, 6 * MB);
}

/* --- many threads */

#define THREADS    8
#define ROUNDS     4000
#define EACH_LIMIT 24

static _Atomic bool workers_stop;

/* The device: finishes what was submitted. */
static void *run_device(void *argument)
{
    (void)argument;
    while (!hd_load_seq_cst(&workers_stop)) {
        for (uint32_t i = 0; i < 4; i++) {
            uint64_t submitted = hd_timeline_submitted(timelines[i]);
            if (!hd_timeline_reached(timelines[i], submitted)) {
                hd_timeline_signal(timelines[i], submitted);
            }
        }
        hd_thread_yield();
    }
    finish_all();
    return NULL;
}

typedef struct user {
    pthread_t thread;
    uint64_t seed;
    uint32_t refused;
    bool broken;
} user;

static uint32_t user_draw(user *self, uint32_t below)
{
    self->seed = self->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((self->seed >> 33) % below);
}

static void *use_blocks(void *argument)
{
    user *self = argument;
    unsigned char *blocks[EACH_LIMIT] = {NULL};
    size_t sizes[EACH_LIMIT] = {0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t place = user_draw(self, EACH_LIMIT), stream = user_draw(self, 4);
        unsigned char mark = (unsigned char)(place + 1);
        if (blocks[place] == NULL) {
            void *memory;
            sizes[place] = 1 + user_draw(self, user_draw(self, 20) == 0 ? 2 * MB : 8192);
            if (hd_allocator_allocate(allocator, stream, sizes[place],
                                      hd_clock_now() + 20 * MILLISECOND, &memory, NULL) != HD_OK) {
                self->refused++;
                continue;
            }
            blocks[place] = memory;
            memory = blocks[place];
            blocks[place][0] = mark;
            blocks[place][sizes[place] - 1] = mark;
            (void)hd_timeline_submit(timelines[stream]);
            continue;
        }
        if (blocks[place][0] != mark || blocks[place][sizes[place] - 1] != mark) {
            self->broken = true;
        }
        if (round % 5 == 0 && !hd_allocator_record(allocator, blocks[place], stream)) {
            self->broken = true;
        }
        if (!hd_allocator_free(allocator, blocks[place])) {
            self->broken = true;
        }
        blocks[place] = NULL;
        if (round % 500 == 0) {
            hd_allocator_trim(allocator);
        }
    }
    for (uint32_t place = 0; place < EACH_LIMIT; place++) {
        if (blocks[place] != NULL && !hd_allocator_free(allocator, blocks[place])) {
            self->broken = true;
        }
    }
    return NULL;
}

static void many_threads_share_the_allocator_under_a_limit(void **state)
{
    (void)state;
    static user users[THREADS];
    pthread_t device;
    account.limit = 16 * MB;
    hd_store_seq_cst(&workers_stop, false);
    assert_int_equal(pthread_create(&device, NULL, run_device, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        users[i] = (user){.seed = i + 1};
        assert_int_equal(pthread_create(&users[i].thread, NULL, use_blocks, &users[i]), 0);
    }
    uint32_t refused = 0;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(users[i].thread, NULL);
        assert_false(users[i].broken);
        refused += users[i].refused;
    }
    hd_store_seq_cst(&workers_stop, true);
    pthread_join(device, NULL);
    assert_true(refused < THREADS * ROUNDS / 4);
    hd_memory_statistics counts = statistics();
    assert_int_equal(counts.in_use_bytes, 0);
    assert_true(counts.hits > counts.allocations / 2);
    hd_allocator_trim(allocator);
    assert_int_equal(statistics().reserved_bytes, 0);
}

/* A thread's block is freed by another while it is looked for again: addresses come back,
 * descriptions are reused, and each free is accepted once. */
static _Atomic(void *) passed;
static _Atomic uint32_t accepted;

static void *free_what_is_passed(void *argument)
{
    (void)argument;
    while (!hd_load_seq_cst(&workers_stop)) {
        void *memory = hd_load_seq_cst(&passed);
        if (memory != NULL && hd_allocator_free(allocator, memory)) {
            hd_add_seq_cst(&accepted, 1);
        }
    }
    return NULL;
}

static void one_address_is_freed_once_an_allocation_by_however_many(void **state)
{
    (void)state;
    pthread_t threads[3];
    hd_store_seq_cst(&workers_stop, false);
    hd_store_seq_cst(&accepted, 0);
    hd_store_seq_cst(&passed, NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, free_what_is_passed, NULL), 0);
    }
    enum { PASSES = 2000 };
    for (uint32_t i = 0; i < PASSES; i++) {
        hd_store_seq_cst(&passed, allocate(1, 100));
        while (hd_load_seq_cst(&accepted) == i) {
            hd_thread_yield();
        }
        if (i % 64 == 0) {
            hd_allocator_trim(allocator);
        }
    }
    hd_store_seq_cst(&workers_stop, true);
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(hd_load_seq_cst(&accepted), PASSES);
    assert_int_equal(statistics().in_use_bytes, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_allocator, drop_allocator)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(random_calls_agree_with_a_model),
        TEST(many_threads_share_the_allocator_under_a_limit),
        TEST(one_address_is_freed_once_an_allocation_by_however_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
