/*
 * Memory of one batch or one request: many small allocations, one reset. Not for threads.
 * Blocks are kept at reset up to `keep_bytes`, the rest goes back.
 */
#ifndef LEAT_BASE_ARENA_H
#define LEAT_BASE_ARENA_H

#include <leat/error.h>
#include <leat/slice.h>

struct leat_arena_block;
struct leat_arena {
    struct leat_arena_block *blocks, *spare;
    unsigned char *next, *end;
    size_t used_bytes; /* handed out since the last reset */
    size_t held_bytes; /* taken from the system */
    size_t keep_bytes;
};

void leat_arena_init(struct leat_arena *arena);
void leat_arena_release(struct leat_arena *arena);
void leat_arena_reset(struct leat_arena *arena);
void *leat_arena_alloc(struct leat_arena *arena, size_t size); /* 16-byte aligned, not zeroed */
void *leat_arena_alloc_zero(struct leat_arena *arena, size_t count, size_t size);
struct leat_slice leat_arena_copy(struct leat_arena *arena,
                                  struct leat_slice slice); /* + a zero behind */
char *leat_arena_strdup(struct leat_arena *arena, const char *text);
char *leat_arena_printf(struct leat_arena *arena, const char *format, ...) LEAT_PRINTF(2, 3);

#endif
