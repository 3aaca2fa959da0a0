/* Chunks are shared by count; the last one to let go gives the budget its bytes back, and the source its memory. */
#include "base/memory.h"
#include "stream/source.h"

struct leat_chunk *
leat_chunk_ref(struct leat_chunk *chunk)
{
    LEAT_ASSERT(chunk->reference_count > 0);
    chunk->reference_count++;
    return chunk;
}

void
leat_chunk_unref(struct leat_chunk *chunk)
{
    struct leat_memory *memory;
    struct leat_reservation reservation;

    if (chunk == NULL || --chunk->reference_count > 0)
        return;
    memory = chunk->memory;
    reservation = chunk->reservation;
    chunk->release(chunk);
    /* After the bytes are gone: who is woken by this may take as many at once. */
    if (memory != NULL)
        leat_memory_give_back(memory, &reservation);
}
