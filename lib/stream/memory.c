/*
 * The byte budget. Reservations are for reads; what is there already (rows, letters) is charged and never refused, but makes
 * reservations wait. What a record expands to is asked for before: it may fill a share of its own, then what reads leave, and one
 * record of all may go up to LEAT_MEMORY_EXPANSION_BYTES beyond. So the total stays below budget + the spare slot + that.
 *
 * A processor may reserve when the free budget has room and either it is below its guaranteed share (budget / processors)
 * or the others' unused shares stay untouched. When nothing else has room, one read of the whole process may hold the
 * spare slot: somebody always moves.
 */
#include "stream/memory.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/thread.h"

struct leat_memory {
    struct leat_mutex lock;
    size_t budget, rows_share, expansion_share;
    unsigned processor_count;
    size_t uses[LEAT_MEMORY_USES] LEAT_FIELD_GUARDED_BY(lock);
    size_t *held LEAT_FIELD_GUARDED_BY(lock); /* by processor, all uses; without the spare slot */
    size_t *rows LEAT_FIELD_GUARDED_BY(lock); /* of it: rows */
    size_t total LEAT_FIELD_GUARDED_BY(lock); /* without the spare slot */
    bool is_spare_taken LEAT_FIELD_GUARDED_BY(lock);
    bool was_refused LEAT_FIELD_GUARDED_BY(lock);
    bool is_expansion_wanted LEAT_FIELD_GUARDED_BY(lock);
    void (*wake)(void *) LEAT_FIELD_GUARDED_BY(lock);
    void *wake_context LEAT_FIELD_GUARDED_BY(lock);
};

struct leat_memory *
leat_memory_new(size_t budget_bytes, unsigned processor_count) LEAT_NO_THREAD_SAFETY
{
    struct leat_memory *memory = LEAT_NEW(struct leat_memory);

    LEAT_ASSERT(processor_count > 0);
    leat_mutex_init(&memory->lock);
    memory->budget = budget_bytes;
    memory->processor_count = processor_count;
    memory->held = LEAT_NEW_ARRAY(size_t, processor_count);
    memory->rows = LEAT_NEW_ARRAY(size_t, processor_count);
    return memory;
}

void
leat_memory_free(struct leat_memory *memory) LEAT_NO_THREAD_SAFETY
{
    if (memory == NULL)
        return;
    leat_mutex_release(&memory->lock);
    free(memory->held);
    free(memory->rows);
    free(memory);
}

void
leat_memory_set_rows_share(struct leat_memory *memory, size_t bytes)
{
    memory->rows_share = bytes;
}

void
leat_memory_set_expansion_share(struct leat_memory *memory, size_t bytes)
{
    memory->expansion_share = bytes;
}

size_t
leat_memory_expansion_limit(const struct leat_memory *memory)
{
    return memory->expansion_share + LEAT_MEMORY_EXPANSION_BYTES;
}

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What a processor holds of the reads' budget: its rows only beyond their share. */
static size_t
held_by(const struct leat_memory *memory, unsigned processor) LEAT_REQUIRES(memory->lock)
{
    return memory->held[processor] -
           smaller(memory->rows[processor], memory->rows_share / memory->processor_count);
}

/* What expanded records would take from the reads, with so many bytes more. */
static size_t
beyond_share(const struct leat_memory *memory, size_t more_bytes) LEAT_REQUIRES(memory->lock)
{
    size_t expanded = memory->uses[LEAT_MEMORY_EXPANDED] + more_bytes;

    return expanded - smaller(expanded, memory->expansion_share);
}

/* What the other processors have not used of their shares: not to be borrowed. */
static size_t
unused_shares(const struct leat_memory *memory, unsigned processor) LEAT_REQUIRES(memory->lock)
{
    size_t share = memory->budget / memory->processor_count, unused = 0;

    for (unsigned i = 0; i < memory->processor_count; i++) {
        if (i != processor && held_by(memory, i) < share)
            unused += share - held_by(memory, i);
    }
    return unused;
}

static bool
has_room(const struct leat_memory *memory, unsigned processor, size_t bytes)
    LEAT_REQUIRES(memory->lock)
{
    size_t share = memory->budget / memory->processor_count;
    size_t total = beyond_share(memory, 0);

    for (unsigned i = 0; i < memory->processor_count; i++)
        total += held_by(memory, i);
    if (total > memory->budget || bytes > memory->budget - total)
        return false;
    if (held_by(memory, processor) + bytes <= share)
        return true;
    return total + bytes + unused_shares(memory, processor) <= memory->budget;
}

bool
leat_memory_reserve(struct leat_memory *memory, unsigned processor, size_t bytes,
                    struct leat_reservation *ret_reservation)
{
    bool is_granted = true, is_spare = false;

    LEAT_ASSERT(processor < memory->processor_count);
    leat_mutex_lock(&memory->lock);
    if (has_room(memory, processor, bytes)) {
        memory->held[processor] += bytes;
        memory->total += bytes;
    } else if (!memory->is_spare_taken && bytes <= LEAT_MEMORY_SPARE_BYTES) {
        memory->is_spare_taken = is_spare = true;
    } else {
        memory->was_refused = true;
        is_granted = false;
    }
    if (is_granted)
        memory->uses[LEAT_MEMORY_CHUNKS] += bytes;
    leat_mutex_unlock(&memory->lock);
    if (is_granted)
        *ret_reservation = (struct leat_reservation){bytes, processor, is_spare};
    return is_granted;
}

bool
leat_memory_reserve_plenty(struct leat_memory *memory, unsigned processor, size_t bytes,
                           struct leat_reservation *ret_reservation)
{
    bool is_granted;

    LEAT_ASSERT(processor < memory->processor_count);
    leat_mutex_lock(&memory->lock);
    is_granted = memory->total + bytes <= memory->budget / 2 && has_room(memory, processor, bytes);
    if (is_granted) {
        memory->held[processor] += bytes;
        memory->total += bytes;
        memory->uses[LEAT_MEMORY_CHUNKS] += bytes;
    }
    leat_mutex_unlock(&memory->lock);
    if (is_granted)
        *ret_reservation = (struct leat_reservation){bytes, processor, false};
    return is_granted;
}

static void
take_off(struct leat_memory *memory, unsigned processor, size_t bytes) LEAT_REQUIRES(memory->lock)
{
    LEAT_ASSERT(memory->held[processor] >= bytes && memory->total >= bytes);
    memory->held[processor] -= bytes;
    memory->total -= bytes;
}

/* The callback runs without the lock. */
static void
unlock_and_wake(struct leat_memory *memory) LEAT_RELEASE(memory->lock)
{
    void (*wake)(void *) = memory->was_refused ? memory->wake : NULL;
    void *context = memory->wake_context;

    memory->was_refused = memory->was_refused && wake == NULL;
    leat_mutex_unlock(&memory->lock);
    if (wake != NULL)
        wake(context);
}

void
leat_memory_settle(struct leat_memory *memory, struct leat_reservation *reservation,
                   size_t held_bytes)
{
    size_t rest;

    LEAT_ASSERT(held_bytes <= reservation->bytes);
    rest = reservation->bytes - held_bytes;
    leat_mutex_lock(&memory->lock);
    memory->uses[LEAT_MEMORY_CHUNKS] -= rest;
    if (!reservation->is_spare)
        take_off(memory, reservation->processor, rest);
    else if (held_bytes == 0)
        memory->is_spare_taken = false;
    reservation->bytes = held_bytes;
    reservation->is_spare = reservation->is_spare && held_bytes > 0;
    unlock_and_wake(memory);
}

void
leat_memory_give_back(struct leat_memory *memory, struct leat_reservation *reservation)
{
    leat_memory_settle(memory, reservation, 0);
}

void
leat_memory_charge(struct leat_memory *memory, unsigned processor, enum leat_memory_use use,
                   size_t bytes)
{
    leat_mutex_lock(&memory->lock);
    memory->uses[use] += bytes;
    memory->held[processor] += bytes;
    if (use == LEAT_MEMORY_ROWS)
        memory->rows[processor] += bytes;
    memory->total += bytes;
    leat_mutex_unlock(&memory->lock);
}

void
leat_memory_discharge(struct leat_memory *memory, unsigned processor, enum leat_memory_use use,
                      size_t bytes)
{
    leat_mutex_lock(&memory->lock);
    LEAT_ASSERT(memory->uses[use] >= bytes);
    memory->uses[use] -= bytes;
    if (use == LEAT_MEMORY_ROWS)
        memory->rows[processor] -= bytes;
    take_off(memory, processor, bytes);
    unlock_and_wake(memory);
}

static bool
may_expand(const struct leat_memory *memory, size_t bytes) LEAT_REQUIRES(memory->lock)
{
    size_t total = beyond_share(memory, bytes);

    if (memory->uses[LEAT_MEMORY_EXPANDED] == 0 || total == 0)
        return true;
    for (unsigned i = 0; i < memory->processor_count; i++)
        total += held_by(memory, i);
    return total <= memory->budget;
}

bool
leat_memory_expand(struct leat_memory *memory, size_t bytes)
{
    bool is_granted;

    LEAT_ASSERT(bytes <= leat_memory_expansion_limit(memory));
    leat_mutex_lock(&memory->lock);
    is_granted = may_expand(memory, bytes);
    if (is_granted)
        memory->uses[LEAT_MEMORY_EXPANDED] += bytes;
    else
        memory->is_expansion_wanted = true;
    leat_mutex_unlock(&memory->lock);
    return is_granted;
}

void
leat_memory_expanded_gone(struct leat_memory *memory, size_t bytes)
{
    leat_mutex_lock(&memory->lock);
    LEAT_ASSERT(memory->uses[LEAT_MEMORY_EXPANDED] >= bytes);
    memory->uses[LEAT_MEMORY_EXPANDED] -= bytes;
    unlock_and_wake(memory);
}

bool
leat_memory_is_expansion_wanted(struct leat_memory *memory)
{
    bool is_wanted;

    leat_mutex_lock(&memory->lock);
    is_wanted = memory->is_expansion_wanted;
    memory->is_expansion_wanted = false;
    leat_mutex_unlock(&memory->lock);
    return is_wanted;
}

size_t
leat_memory_used(struct leat_memory *memory, enum leat_memory_use use)
{
    size_t bytes;

    leat_mutex_lock(&memory->lock);
    bytes = memory->uses[use];
    leat_mutex_unlock(&memory->lock);
    return bytes;
}

size_t
leat_memory_rows_of(struct leat_memory *memory, unsigned processor)
{
    size_t bytes;

    leat_mutex_lock(&memory->lock);
    bytes = memory->rows[processor];
    leat_mutex_unlock(&memory->lock);
    return bytes;
}

size_t
leat_memory_total(struct leat_memory *memory)
{
    size_t bytes = 0;

    leat_mutex_lock(&memory->lock);
    for (int use = 0; use < LEAT_MEMORY_USES; use++)
        bytes += memory->uses[use];
    leat_mutex_unlock(&memory->lock);
    return bytes;
}

void
leat_memory_on_room(struct leat_memory *memory, void (*wake)(void *), void *context)
{
    leat_mutex_lock(&memory->lock);
    memory->wake = wake;
    memory->wake_context = context;
    leat_mutex_unlock(&memory->lock);
}
