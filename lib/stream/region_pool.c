/*
 * Regions have sizes of powers of two, from 64 KiB to 16 MiB, so that a free one fits the next answer. What is free is bounded
 * by its resident bytes; the rest is unmapped. No system call under the lock.
 */
#include "stream/region_pool.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define SMALLEST_BYTES ((size_t)64 << 10)
#define CLASSES 9
#define FREE_REGIONS 64
#define PAGE_BYTES ((size_t)4096)

struct leat_region_pool {
    struct leat_mutex lock;
    size_t keep_bytes;
    size_t kept_bytes LEAT_FIELD_GUARDED_BY(lock);
    struct leat_region free[FREE_REGIONS] LEAT_FIELD_GUARDED_BY(lock);
    size_t free_count LEAT_FIELD_GUARDED_BY(lock);
};

struct leat_region_pool *
leat_region_pool_new(size_t keep_bytes)
{
    struct leat_region_pool *pool = LEAT_NEW(struct leat_region_pool);

    leat_mutex_init(&pool->lock);
    pool->keep_bytes = keep_bytes;
    return pool;
}

void
leat_region_pool_free(struct leat_region_pool *pool)
{
    if (pool == NULL)
        return;
    leat_is_unshared();
    for (size_t i = 0; i < pool->free_count; i++)
        munmap(pool->free[i].data, pool->free[i].capacity);
    leat_mutex_release(&pool->lock);
    free(pool);
}

static size_t
capacity_for(size_t bytes)
{
    size_t capacity = SMALLEST_BYTES;

    for (int class = 1; class < CLASSES && capacity < bytes; class ++)
        capacity *= 2;
    return capacity >= bytes ? capacity : (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* A free one of exactly this size, the last given back first: its pages are warm. */
static bool
take_free(struct leat_region_pool *pool, size_t capacity, struct leat_region *ret_region)
{
    bool is_found = false;

    leat_mutex_lock(&pool->lock);
    for (size_t i = pool->free_count; i-- > 0 && !is_found;) {
        if (pool->free[i].capacity != capacity)
            continue;
        *ret_region = pool->free[i];
        pool->free[i] = pool->free[--pool->free_count];
        pool->kept_bytes -= ret_region->touched_bytes;
        is_found = true;
    }
    leat_mutex_unlock(&pool->lock);
    return is_found;
}

/* Takes out free regions until so many resident bytes are gone; those given back longest ago go first. */
static size_t
take_out(struct leat_region_pool *pool, size_t bytes, int64_t before_us,
         struct leat_region ret_regions[FREE_REGIONS])
{
    size_t count = 0, gone = 0;

    leat_mutex_lock(&pool->lock);
    while (pool->free_count > 0 && gone < bytes) {
        size_t oldest = 0;

        for (size_t i = 1; i < pool->free_count; i++) {
            if (pool->free[i].free_since_us < pool->free[oldest].free_since_us)
                oldest = i;
        }
        if (pool->free[oldest].free_since_us >= before_us)
            break;
        ret_regions[count] = pool->free[oldest];
        gone += ret_regions[count].touched_bytes;
        pool->kept_bytes -= ret_regions[count++].touched_bytes;
        pool->free[oldest] = pool->free[--pool->free_count];
    }
    leat_mutex_unlock(&pool->lock);
    return count;
}

static void
let_go(struct leat_region_pool *pool, size_t bytes, int64_t before_us)
{
    struct leat_region regions[FREE_REGIONS];
    size_t count = take_out(pool, bytes, before_us, regions);

    for (size_t i = 0; i < count; i++)
        munmap(regions[i].data, regions[i].capacity);
}

void
leat_region_pool_trim(struct leat_region_pool *pool, int64_t before_us)
{
    let_go(pool, SIZE_MAX, before_us);
}

struct leat_region
leat_region_take(struct leat_region_pool *pool, size_t bytes)
{
    struct leat_region region = {.capacity = capacity_for(bytes)};

    if (take_free(pool, region.capacity, &region))
        return region;
    let_go(pool, bytes, INT64_MAX);
    region.data =
        mmap(NULL, region.capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region.data == MAP_FAILED)
        leat_out_of_memory(region.capacity);
    return region;
}

void
leat_region_trim(struct leat_region *region, size_t used_bytes)
{
    size_t used = (used_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

    /* A little more than was used may stay: a system call costs more than a few pages. */
    if (region->touched_bytes > used + SMALLEST_BYTES)
        madvise(region->data + used, region->capacity - used, MADV_DONTNEED);
    else if (region->touched_bytes > used)
        used = region->touched_bytes;
    region->touched_bytes = used < region->capacity ? used : region->capacity;
}

void
leat_region_give_back(struct leat_region_pool *pool, struct leat_region region)
{
    int64_t now_us = leat_clock_monotonic_us();
    bool is_kept = false;

    if (region.data == NULL)
        return;
    leat_mutex_lock(&pool->lock);
    if (pool->free_count < FREE_REGIONS &&
        pool->kept_bytes + region.touched_bytes <= pool->keep_bytes) {
        pool->kept_bytes += region.touched_bytes;
        region.free_since_us = now_us;
        pool->free[pool->free_count++] = region;
        is_kept = true;
    }
    leat_mutex_unlock(&pool->lock);
    if (!is_kept)
        munmap(region.data, region.capacity);
}
