/*
 * Memory of answers: mapped, not malloc'ed, so that what is given back leaves the process, and kept in a small pool, so that
 * a steady stream of answers does not pay for fresh pages each time. One per process. Any thread.
 */
#ifndef LEAT_STREAM_REGION_POOL_H
#define LEAT_STREAM_REGION_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct leat_region_pool;

struct leat_region {
    unsigned char *data;
    size_t capacity;       /* bytes, whole pages */
    size_t touched_bytes;  /* of them resident at most: the longest answer it ever held */
    int64_t free_since_us; /* the pool's own */
};

/*
 * keep_bytes: what free regions may hold resident together. A fresh mapping pushes out as many free bytes of other sizes, so
 * that what is in use and what is free together never exceed what was once in use.
 */
struct leat_region_pool *leat_region_pool_new(size_t keep_bytes);
void leat_region_pool_free(struct leat_region_pool *pool); /* all regions given back before */
/* At least so many bytes; never fails (out of memory aborts). */
struct leat_region leat_region_take(struct leat_region_pool *pool, size_t bytes);
/* used_bytes: what the answer filled; pages beyond it that an earlier one touched go back to the system. */
void leat_region_trim(struct leat_region *region, size_t used_bytes);
void leat_region_give_back(struct leat_region_pool *pool, struct leat_region region);
/* Unmaps what has been free since before this time (monotonic): called now and then, so that a rest costs no memory. */
void leat_region_pool_trim(struct leat_region_pool *pool, int64_t before_us);

#endif
