/* Loads, there and back. What is read was written by another process, perhaps of another version: nothing in it is believed. */
#include "lease/loads.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

#define VERSION 1
#define ENTRY_BYTES 5
#define LEAST_US 1000 /* a thousandth of a second: less is idle */
#define STEPS_PER_OCTAVE 16

/* FNV-1a: small, the same everywhere; nobody gains by a flood of shard names. */
static uint64_t
add_bytes(uint64_t hash, struct leat_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ bytes.data[i]) * UINT64_C(1099511628211);
    return hash;
}

uint64_t
leat_lease_hash(struct leat_lease_key key)
{
    uint64_t hash = add_bytes(UINT64_C(14695981039346656037), key.stream_id);

    hash = add_bytes(hash * UINT64_C(1099511628211), key.shard);
    /* The last bytes (shard numbers) reach every bit only by this. */
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ (hash >> 33);
}

uint32_t
leat_load_hash(struct leat_lease_key key)
{
    return (uint32_t)leat_lease_hash(key);
}

uint8_t
leat_load_step(int64_t busy_us)
{
    double step;

    if (busy_us < LEAST_US)
        return 0;
    step = 1 + round(log2((double)busy_us / LEAST_US) * STEPS_PER_OCTAVE);
    return step > UINT8_MAX ? UINT8_MAX : (uint8_t)step;
}

int64_t
leat_load_busy_us(uint8_t step)
{
    if (step == 0)
        return 0;
    return (int64_t)(LEAST_US * exp2((double)(step - 1) / STEPS_PER_OCTAVE));
}

static int
by_step(const void *a, const void *b)
{
    const struct leat_load *left = a, *right = b;

    return (int)right->step - (int)left->step;
}

static int
by_hash(const void *a, const void *b)
{
    const struct leat_load *left = a, *right = b;

    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return by_step(a, b);
}

void
leat_loads_encode(struct leat_load *loads, size_t count, struct leat_buf *out)
{
    bool has_last = false;
    uint32_t last = 0;

    leat_buf_clear(out);
    if (count > LEAT_LOADS_MOST) {
        leat_sort(loads, count, sizeof *loads, by_step);
        count = LEAT_LOADS_MOST;
    }
    leat_sort(loads, count, sizeof *loads, by_hash);
    for (size_t i = 0; i < count; i++) {
        if (loads[i].step == 0 || (has_last && loads[i].hash == last))
            continue;
        if (!has_last)
            leat_buf_add_byte(out, VERSION);
        leat_buf_add_be32(out, loads[i].hash);
        leat_buf_add_byte(out, loads[i].step);
        last = loads[i].hash;
        has_last = true;
    }
}

static struct leat_load
entry_at(struct leat_slice bytes, size_t i)
{
    const unsigned char *at = bytes.data + 1 + i * ENTRY_BYTES;

    return (struct leat_load){
        (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3], at[4]};
}

size_t
leat_loads_count(struct leat_slice bytes)
{
    size_t count;

    if (bytes.size == 0)
        return 0;
    if (bytes.data[0] != VERSION || (bytes.size - 1) % ENTRY_BYTES != 0)
        return SIZE_MAX;
    count = (bytes.size - 1) / ENTRY_BYTES;
    if (count == 0 || count > LEAT_LOADS_MOST)
        return SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (entry_at(bytes, i).step == 0 ||
            (i > 0 && entry_at(bytes, i).hash <= entry_at(bytes, i - 1).hash))
            return SIZE_MAX;
    }
    return count;
}

void
leat_loads_decode(struct leat_slice bytes, struct leat_load *ret_loads)
{
    size_t count = leat_loads_count(bytes);

    for (size_t i = 0; count != SIZE_MAX && i < count; i++)
        ret_loads[i] = entry_at(bytes, i);
}

/* ---- onto leases ------------------------------------------------------------------------------- */

/* Leases by hash: open addressing, at most half full. */
struct index {
    size_t *slots; /* lease + 1; 0: free */
    uint32_t *hashes;
    size_t mask;
};

static void
index_leases(struct index *index, const struct leat_lease *leases, size_t count)
{
    size_t capacity = 16;

    while (capacity < 2 * count)
        capacity *= 2;
    index->slots = LEAT_NEW_ARRAY(size_t, capacity);
    index->hashes = LEAT_NEW_ARRAY(uint32_t, count + 1);
    index->mask = capacity - 1;
    for (size_t i = 0; i < count; i++) {
        size_t slot;

        index->hashes[i] = leat_load_hash(leases[i].key);
        slot = index->hashes[i] & index->mask;
        while (index->slots[slot] != 0)
            slot = (slot + 1) & index->mask;
        index->slots[slot] = i + 1;
    }
}

static void
apply_one(const struct index *index, int64_t incarnation, struct leat_load load,
          struct leat_lease *leases)
{
    for (size_t slot = load.hash & index->mask; index->slots[slot] != 0;
         slot = (slot + 1) & index->mask) {
        struct leat_lease *lease = &leases[index->slots[slot] - 1];

        if (index->hashes[index->slots[slot] - 1] != load.hash)
            continue;
        if (lease->lease_owner == incarnation || lease->busy_us < 0)
            lease->busy_us = leat_load_busy_us(load.step);
    }
}

void
leat_loads_apply(const struct leat_worker_loads *loads, size_t load_count,
                 struct leat_lease *leases, size_t lease_count)
{
    struct index index;

    index_leases(&index, leases, lease_count);
    for (size_t i = 0; i < lease_count; i++)
        leases[i].busy_us = -1;
    for (size_t w = 0; w < load_count; w++) {
        size_t count = leat_loads_count(loads[w].bytes);

        for (size_t i = 0; count != SIZE_MAX && i < count; i++)
            apply_one(&index, loads[w].incarnation, entry_at(loads[w].bytes, i), leases);
    }
    for (size_t i = 0; i < lease_count; i++) {
        if (leases[i].busy_us < 0 && leases[i].lease_owner != 0)
            leases[i].busy_us = 0;
    }
    free(index.slots);
    free(index.hashes);
}
