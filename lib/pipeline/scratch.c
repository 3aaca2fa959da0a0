/* A stack of sets of arrays: the last given back is lent first, since it is warm. */
#include "pipeline/scratch.h"

#include <stdlib.h>

#include "base/memory.h"
#include "pipeline/runtime.h"

struct scratch {
    struct scratch *next;
    struct leat_record *records;
    const struct leat_record **record_pointers;
    size_t record_capacity;
    struct leat_user_record *bad;
    size_t bad_capacity;
    struct leat_emitted_row *rows;
    size_t row_capacity;
    struct leat_emitted_failure *failures;
    size_t failure_capacity;
    unsigned char *is_failed;
    size_t is_failed_capacity;
};

struct leat_scratch_pool {
    struct leat_mutex lock;
    struct scratch *free LEAT_FIELD_GUARDED_BY(lock);
};

struct leat_scratch_pool *
leat_scratch_pool_new(void)
{
    struct leat_scratch_pool *pool = LEAT_NEW(struct leat_scratch_pool);

    leat_mutex_init(&pool->lock);
    return pool;
}

static void
free_arrays(struct scratch *scratch)
{
    free(scratch->records);
    free(scratch->record_pointers);
    free(scratch->bad);
    free(scratch->rows);
    free(scratch->failures);
    free(scratch->is_failed);
    free(scratch);
}

void
leat_scratch_pool_free(struct leat_scratch_pool *pool)
{
    if (pool == NULL)
        return;
    leat_is_unshared();
    while (pool->free != NULL) {
        struct scratch *scratch = pool->free;

        pool->free = scratch->next;
        free_arrays(scratch);
    }
    leat_mutex_release(&pool->lock);
    free(pool);
}

void
leat_scratch_lend(struct leat_scratch_pool *pool, struct leat_consumer *consumer)
{
    struct leat_emission *emission = &consumer->emission;
    struct scratch *scratch;

    leat_mutex_lock(&pool->lock);
    scratch = pool->free;
    if (scratch != NULL)
        pool->free = scratch->next;
    leat_mutex_unlock(&pool->lock);
    if (scratch == NULL)
        scratch = LEAT_NEW(struct scratch);
    free(emission->rows);
    free(emission->failures);
    free(emission->is_failed);
    consumer->records = scratch->records;
    consumer->record_pointers = scratch->record_pointers;
    consumer->record_capacity = scratch->record_capacity;
    consumer->bad = scratch->bad;
    consumer->bad_capacity = scratch->bad_capacity;
    emission->rows = scratch->rows;
    emission->row_capacity = scratch->row_capacity;
    emission->failures = scratch->failures;
    emission->failure_capacity = scratch->failure_capacity;
    emission->is_failed = scratch->is_failed;
    emission->is_failed_capacity = scratch->is_failed_capacity;
    free(scratch);
}

void
leat_scratch_take_back(struct leat_scratch_pool *pool, struct leat_consumer *consumer)
{
    struct leat_emission *emission = &consumer->emission;
    struct scratch *scratch = LEAT_NEW(struct scratch);

    *scratch = (struct scratch){
        .records = consumer->records,
        .record_pointers = consumer->record_pointers,
        .record_capacity = consumer->record_capacity,
        .bad = consumer->bad,
        .bad_capacity = consumer->bad_capacity,
        .rows = emission->rows,
        .row_capacity = emission->row_capacity,
        .failures = emission->failures,
        .failure_capacity = emission->failure_capacity,
        .is_failed = emission->is_failed,
        .is_failed_capacity = emission->is_failed_capacity,
    };
    consumer->records = NULL;
    consumer->record_pointers = NULL;
    consumer->bad = NULL;
    consumer->record_capacity = consumer->bad_capacity = consumer->bad_count = 0;
    emission->rows = NULL;
    emission->failures = NULL;
    emission->is_failed = NULL;
    emission->row_capacity = emission->failure_capacity = emission->is_failed_capacity = 0;
    emission->row_count = emission->failure_count = 0;
    emission->records = NULL;
    leat_arena_reset(&emission->arena);
    leat_deaggregator_reset_but_open(consumer->deaggregator);
    leat_mutex_lock(&pool->lock);
    scratch->next = pool->free;
    pool->free = scratch;
    leat_mutex_unlock(&pool->lock);
}
