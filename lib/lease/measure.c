#include "lease/measure.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

#define MOVES_BY 0.5
#define STAYS_US (30 * LEAT_SECOND_US)

struct shard {
    int64_t total_us, seen_at_us; /* as of the last round in which it was held */
    double share_us;              /* of a second */
    bool is_measured;
    uint8_t step;
    uint32_t hash;
};

void
leat_measure_init(struct leat_measure *measure)
{
    *measure = (struct leat_measure){0};
    leat_map_init(&measure->shards);
    leat_buf_init(&measure->loads, SIZE_MAX);
}

void
leat_measure_release(struct leat_measure *measure)
{
    leat_map_release(&measure->shards, free);
    leat_buf_release(&measure->loads);
    free(measure->scratch);
}

static struct shard *
find(struct leat_measure *measure, struct leat_lease_key key)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct shard *shard;

    leat_buf_add_slice(&text, key.stream_id);
    leat_buf_add_byte(&text, '\n');
    leat_buf_add_slice(&text, key.shard);
    shard = leat_map_get(&measure->shards, leat_buf_slice(&text));
    if (shard != NULL)
        return shard;
    shard = LEAT_NEW(struct shard);
    shard->hash = leat_load_hash(key);
    leat_map_put(&measure->shards, leat_buf_slice(&text), shard);
    return shard;
}

/* Within one step of what was told it stays as it was told; what has become idle, or is no more, is told at once. */
static uint8_t
step_of(const struct shard *shard)
{
    uint8_t step = leat_load_step((int64_t)shard->share_us);

    return step > 0 && shard->step > 0 && abs((int)step - (int)shard->step) <= 1 ? shard->step
                                                                                 : step;
}

void
leat_measure_shard(struct leat_measure *measure, struct leat_lease_key key, int64_t total_us,
                   int64_t now_us)
{
    struct shard *shard = find(measure, key);
    bool is_known = shard->seen_at_us != 0 && shard->seen_at_us == measure->at_us;
    int64_t since_us = now_us - shard->seen_at_us;

    if (is_known && total_us >= shard->total_us && since_us > 0) {
        double share_us = (double)(total_us - shard->total_us) * 1e6 / (double)since_us;

        shard->share_us += (share_us - shard->share_us) * (shard->is_measured ? MOVES_BY : 1);
        shard->is_measured = true;
        shard->step = step_of(shard);
    } else {
        shard->is_measured =
            false; /* held since a moment ago: the step that may be there is the last known */
    }
    shard->total_us = total_us;
    shard->seen_at_us = now_us;
}

static size_t
collect(struct leat_measure *measure, int64_t now_us)
{
    struct leat_map_entry *entry;
    size_t count = 0, position = 0;

    if (measure->shards.count > measure->scratch_capacity) {
        measure->scratch_capacity = measure->shards.count * 2;
        measure->scratch =
            leat_realloc(measure->scratch, measure->scratch_capacity, sizeof *measure->scratch);
    }
    while ((entry = leat_map_next(&measure->shards, &position)) != NULL) {
        struct shard *shard = entry->value;

        if (now_us - shard->seen_at_us >= STAYS_US) {
            free(leat_map_remove(&measure->shards, entry->key));
            continue;
        }
        if (shard->step > 0)
            measure->scratch[count++] = (struct leat_load){shard->hash, shard->step};
    }
    return count;
}

bool
leat_measure_end(struct leat_measure *measure, int64_t now_us)
{
    LEAT_AUTO_BUF loads = LEAT_BUF_INIT;
    size_t count = collect(measure, now_us);
    bool is_news;

    leat_loads_encode(measure->scratch, count, &loads);
    is_news = !measure->has_loads ||
              !leat_slice_equals(leat_buf_slice(&loads), leat_buf_slice(&measure->loads));
    leat_buf_clear(&measure->loads);
    leat_buf_add_slice(&measure->loads, leat_buf_slice(&loads));
    measure->has_loads = true;
    measure->at_us = now_us;
    return is_news;
}
