/* Blocks of at least 64 KiB, filled from the front; a reset keeps up to keep_bytes of them. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"

#define BLOCK_BYTES ((size_t)64 << 10)
#define FIRST_BLOCK_BYTES ((size_t)4 << 10)
#define ALIGNMENT ((size_t)16)

struct leat_arena_block {
    struct leat_arena_block *next;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

void
leat_arena_init(struct leat_arena *arena)
{
    *arena = (struct leat_arena){.keep_bytes = BLOCK_BYTES};
}

static void
free_blocks(struct leat_arena *arena, struct leat_arena_block *block)
{
    while (block != NULL) {
        struct leat_arena_block *next = block->next;

        arena->held_bytes -= block->size;
        free(block);
        block = next;
    }
}

void
leat_arena_release(struct leat_arena *arena)
{
    size_t keep_bytes = arena->keep_bytes;

    free_blocks(arena, arena->blocks);
    free_blocks(arena, arena->spare);
    leat_arena_init(arena);
    arena->keep_bytes = keep_bytes;
}

void
leat_arena_reset(struct leat_arena *arena)
{
    struct leat_arena_block *block = arena->blocks;

    while (block != NULL) {
        struct leat_arena_block *next = block->next;

        if (arena->held_bytes > arena->keep_bytes) {
            arena->held_bytes -= block->size;
            free(block);
        } else {
            block->next = arena->spare;
            arena->spare = block;
        }
        block = next;
    }
    arena->blocks = NULL;
    arena->next = arena->end = NULL;
    arena->used_bytes = 0;
}

static struct leat_arena_block *
take_spare(struct leat_arena *arena, size_t size)
{
    for (struct leat_arena_block **link = &arena->spare; *link != NULL; link = &(*link)->next) {
        struct leat_arena_block *block = *link;

        if (block->size >= size) {
            *link = block->next;
            return block;
        }
    }
    return NULL;
}

static void
add_block(struct leat_arena *arena, size_t size)
{
    size_t block_bytes = arena->held_bytes == 0 ? FIRST_BLOCK_BYTES : BLOCK_BYTES;
    struct leat_arena_block *block = take_spare(arena, size);

    if (block == NULL) {
        if (block_bytes < size)
            block_bytes = size;
        block = leat_alloc(sizeof *block + block_bytes);
        block->size = block_bytes;
        arena->held_bytes += block_bytes;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->next = block->bytes;
    arena->end = block->bytes + block->size;
}

void *
leat_arena_alloc(struct leat_arena *arena, size_t size)
{
    size_t rounded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    void *memory;

    if (size > SIZE_MAX / 2)
        leat_out_of_memory(size);
    if (rounded == 0)
        rounded = ALIGNMENT;
    if ((size_t)(arena->end - arena->next) < rounded)
        add_block(arena, rounded);
    memory = arena->next;
    arena->next += rounded;
    arena->used_bytes += rounded;
    return memory;
}

void *
leat_arena_alloc_zero(struct leat_arena *arena, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        leat_out_of_memory(SIZE_MAX);
    return memset(leat_arena_alloc(arena, bytes), 0, bytes);
}

struct leat_slice
leat_arena_copy(struct leat_arena *arena, struct leat_slice slice)
{
    unsigned char *copy = leat_arena_alloc(arena, slice.size + 1);

    if (slice.size > 0) /* a zeroed slice has no address */
        memcpy(copy, slice.data, slice.size);
    copy[slice.size] = '\0';
    return leat_slice_make(copy, slice.size);
}

char *
leat_arena_strdup(struct leat_arena *arena, const char *text)
{
    return (char *)leat_arena_copy(arena, leat_slice_from(text)).data;
}

char *
leat_arena_printf(struct leat_arena *arena, const char *format, ...)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    va_list arguments;

    va_start(arguments, format);
    leat_buf_vprintf(&text, format, arguments);
    va_end(arguments);
    return (char *)leat_arena_copy(arena, leat_buf_slice(&text)).data;
}
