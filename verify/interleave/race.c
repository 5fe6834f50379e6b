#include "race.h"

#include <string.h>

#include "failure.h"
#include "heap.h"
#include "history.h"
#include "scheduler.h"
#include "trace.h"

#define PIECE_LIMIT (1u << 18)
#define WORD_COUNT  (ARENA_SIZE / 8)

/* The accesses to one set of bytes of a word. */
typedef struct piece {
    uint32_t next; /* index + 1 of the word's next piece */
    uint32_t mask;
    uint32_t epochs[RACE_KINDS][THREAD_LIMIT];
    uint32_t places[RACE_KINDS][THREAD_LIMIT]; /* code lies below 4 GB: the explorer is linked so */
} piece;

static piece pieces[PIECE_LIMIT];
static uint32_t piece_count;
static uint32_t heads[WORD_COUNT]; /* index + 1 of the word's first piece */
static uint32_t touched[PIECE_LIMIT];
static uint32_t touched_count;

void race_restart(void)
{
    for (uint32_t i = 0; i < touched_count; i++) {
        heads[touched[i]] = 0;
    }
    touched_count = 0;
    piece_count = 0;
}

static const char *const kind_names[] = {"read", "write", "atomic read", "atomic write"};

static void report(uintptr_t address, uint32_t thread, race_kind kind, uintptr_t place,
                   uint32_t other, race_kind other_kind, uintptr_t other_place)
{
    failure("race", "data race on %s: %s by thread %u at %s, %s by thread %u at %s",
            trace_object(address), kind_names[kind], thread, trace_place(place),
            kind_names[other_kind], other, trace_place(other_place));
}

static bool kinds_conflict(race_kind a, race_kind b)
{
    bool a_writes = a == RACE_WRITE || a == RACE_ATOMIC_WRITE;
    bool b_writes = b == RACE_WRITE || b == RACE_ATOMIC_WRITE;
    return (a_writes || b_writes) && (a <= RACE_WRITE || b <= RACE_WRITE);
}

static void check_piece(const piece *with, uint32_t thread, uintptr_t address, race_kind kind,
                        uintptr_t place)
{
    const uint32_t *happened = history_view(thread)->happened;
    for (race_kind other = RACE_READ; other < RACE_KINDS; other++) {
        if (!kinds_conflict(kind, other)) {
            continue;
        }
        for (uint32_t i = 0; i < THREAD_LIMIT; i++) {
            if (i != thread && with->epochs[other][i] > happened[i]) {
                report(address, thread, kind, place, i, other, with->places[other][i]);
            }
        }
    }
}

static void access_word(uint32_t thread, uintptr_t word, uint32_t mask, race_kind kind,
                        uintptr_t place)
{
    uint32_t number = (uint32_t)((word - ARENA_BASE) / 8);
    piece *own = NULL;
    for (uint32_t link = heads[number]; link != 0; link = pieces[link - 1].next) {
        piece *at = &pieces[link - 1];
        if ((at->mask & mask) != 0) {
            check_piece(at, thread, word + (uint32_t)__builtin_ctz(mask), kind, place);
        }
        if (at->mask == mask) {
            own = at;
        }
    }
    if (own == NULL) {
        if (piece_count == PIECE_LIMIT) {
            failure("explorer", "too much memory is touched");
        }
        own = &pieces[piece_count++];
        memset(own, 0, sizeof *own);
        own->mask = mask;
        own->next = heads[number];
        if (heads[number] == 0) {
            touched[touched_count++] = number;
        }
        heads[number] = piece_count;
    }
    own->epochs[kind][thread] = history_view(thread)->happened[thread];
    own->places[kind][thread] = (uint32_t)place;
}

void race_access(uint32_t thread, uintptr_t address, uint64_t size, race_kind kind, uintptr_t place)
{
    if (address - ARENA_BASE >= ARENA_SIZE || size == 0) {
        return;
    }
    heap_check(thread, address, size, place);
    if (scheduler_is_alone()) {
        return; /* all that was comes before this, and this before all that will be */
    }
    uintptr_t end = address + size;
    for (uintptr_t word = address & ~(uintptr_t)7; word < end; word += 8) {
        uint32_t from = word < address ? (uint32_t)(address - word) : 0;
        uint32_t to = end - word < 8 ? (uint32_t)(end - word) : 8;
        access_word(thread, word, ((1u << to) - 1) & ~((1u << from) - 1), kind, place);
    }
}

void race_free(uint32_t thread, uintptr_t address, uint64_t size, uintptr_t place)
{
    heap_check(thread, address, size, place);
    uintptr_t end = address + size;
    for (uintptr_t word = address & ~(uintptr_t)7; word < end; word += 8) {
        for (uint32_t link = heads[(word - ARENA_BASE) / 8]; link != 0;
             link = pieces[link - 1].next) {
            check_piece(&pieces[link - 1], thread, word, RACE_WRITE, place);
        }
    }
}
