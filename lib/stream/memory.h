/*
 * The one byte budget of the process (docs/architecture.md §5.2). Pure accounting under one lock; any thread.
 *
 * A read happens only against a reservation. One spare slot for the whole process, outside the budget's
 * free part, guarantees that somebody always moves. Each processor is guaranteed its share and borrows above it.
 */
#ifndef LEAT_STREAM_MEMORY_H
#define LEAT_STREAM_MEMORY_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

/* A record of 10 MiB, as base64 in a JSON answer. */
#define LEAT_MEMORY_SPARE_BYTES ((size_t)15 << 20)
#define LEAT_MEMORY_MINIMUM_BYTES ((size_t)32 << 20)

struct leat_memory;
enum leat_memory_use {
    LEAT_MEMORY_CHUNKS = 0,   /* answers, from reservation to processed */
    LEAT_MEMORY_EXPANDED = 1, /* what records expand to, while they are taken apart */
    LEAT_MEMORY_ROWS = 2,     /* merge buffers */
    LEAT_MEMORY_LETTERS = 3,  /* failed records on their way */
    LEAT_MEMORY_USES = 4
};

/* budget_bytes: what reads may hold, with what is charged beyond the rows' own share (0 at first). */
struct leat_memory *leat_memory_new(size_t budget_bytes, unsigned processor_count);
/* Rows up to this (evenly among the processors) do not take from the reads. Before any use. */
void leat_memory_set_rows_share(struct leat_memory *memory, size_t bytes);
/* Expanded records up to this do not take from the reads; 0 at first. Before any use. */
void leat_memory_set_expansion_share(struct leat_memory *memory, size_t bytes);
void leat_memory_free(struct leat_memory *memory);

/* A reservation for a read: false when neither the processor's share, the free budget nor the spare slot has room. */
struct leat_reservation {
    size_t bytes;
    unsigned processor;
    bool is_spare; /* holds the process's one spare slot */
};
bool leat_memory_reserve(struct leat_memory *memory, unsigned processor, size_t bytes,
                         struct leat_reservation *ret_reservation);
/* For what is good to have: only while half of the budget stays free. Never the spare slot; a refusal is no reason to wake. */
bool leat_memory_reserve_plenty(struct leat_memory *memory, unsigned processor, size_t bytes,
                                struct leat_reservation *ret_reservation);
/* The answer is there: the reservation shrinks to what is really held (<= reserved). */
void leat_memory_settle(struct leat_memory *memory, struct leat_reservation *reservation,
                        size_t held_bytes);
void leat_memory_give_back(struct leat_memory *memory, struct leat_reservation *reservation);

/* Charges what is there already (rows, expansion): never refused, but it makes reservations wait. */
void leat_memory_charge(struct leat_memory *memory, unsigned processor, enum leat_memory_use use,
                        size_t bytes);
void leat_memory_discharge(struct leat_memory *memory, unsigned processor, enum leat_memory_use use,
                           size_t bytes);
/*
 * Room for what a record expands to, asked for before it does: at most leat_memory_expansion_limit. false: the others that
 * expand now leave none; later. Somebody always may: whoever asks while nobody expands.
 */
#define LEAT_MEMORY_EXPANSION_BYTES ((size_t)24 << 20)
size_t leat_memory_expansion_limit(const struct leat_memory *memory);
bool leat_memory_expand(struct leat_memory *memory, size_t bytes);
void leat_memory_expanded_gone(struct leat_memory *memory, size_t bytes);
/* Somebody was refused since this was last asked: who keeps an expanded record for its next batch lets it go. */
bool leat_memory_is_expansion_wanted(struct leat_memory *memory);
size_t leat_memory_used(struct leat_memory *memory, enum leat_memory_use use);
size_t leat_memory_total(struct leat_memory *memory);
/* Charged as rows by this processor. */
size_t leat_memory_rows_of(struct leat_memory *memory, unsigned processor);
/* Called (any thread, must not block) when bytes came back after a refusal. */
void leat_memory_on_room(struct leat_memory *memory, void (*wake)(void *), void *context);

#endif
