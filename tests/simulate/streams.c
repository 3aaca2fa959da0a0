/*
 * Streams that are split and merged. Leases of children are made at the end of a parent, when every parent has one, or by a sync;
 * what a sync finds missing is the library's decision (leat_shard_missing).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "world.h"

#define TRIES 50

static void
add_lease(struct sim_world *world, size_t stream, size_t shard)
{
    struct sim_stream *at = &world->streams[stream];
    const struct leat_shard_facts *facts = &at->shards.shards[shard];
    struct leat_lease *row;

    if (world->lease_count >= world->lease_capacity) {
        world->lease_capacity = world->lease_capacity < 1024 ? 1024 : world->lease_capacity * 2;
        world->rows = leat_realloc(world->rows, world->lease_capacity, sizeof *world->rows);
        world->leases = leat_realloc(world->leases, world->lease_capacity, sizeof *world->leases);
    }
    row = &world->rows[world->lease_count];
    *row = (struct leat_lease){.key = {leat_slice_from(""), facts->shard},
                               .last_worker_id = leat_slice_from("")};
    for (size_t p = 0; p < facts->parent_count; p++)
        row->parents[row->parent_count++] = facts->parents[p];
    world->leases[world->lease_count] =
        (struct sim_lease){.stream = stream,
                           .shard = shard,
                           .ran_at_us = world->now_us,
                           .seen_at_us = world->now_us,
                           .ends_at_us = facts->is_closed ? world->now_us : SIM_NEVER};
    at->lease_of[shard] = ++world->lease_count;
    sim_changed(world);
}

static size_t
add_shard(struct sim_world *world, size_t stream, const size_t *parents, size_t parent_count)
{
    struct sim_stream *at = &world->streams[stream];
    struct leat_shard_facts facts = {.parent_count = parent_count};
    char name[40];

    snprintf(name, sizeof name, "s%zu-shardId-%012zu", stream, at->shards.count);
    facts.shard = leat_slice_from(name);
    for (size_t p = 0; p < parent_count; p++)
        facts.parents[p] = at->shards.shards[parents[p]].shard;
    leat_shard_list_add(&at->shards, &facts);
    if (at->shards.count > at->lease_capacity) {
        size_t before = at->lease_capacity;

        at->lease_capacity = at->shards.count * 2;
        at->lease_of = leat_realloc(at->lease_of, at->lease_capacity, sizeof *at->lease_of);
        memset(at->lease_of + before, 0, (at->lease_capacity - before) * sizeof *at->lease_of);
    }
    return at->shards.count - 1;
}

void
sim_streams_begin(struct sim_world *world, size_t streams, size_t shards)
{
    world->streams = LEAT_NEW_ARRAY(struct sim_stream, streams);
    world->stream_count = streams;
    for (size_t s = 0; s < streams; s++) {
        struct sim_stream *stream = &world->streams[s];
        struct leat_new_lease *made;
        bool *none;
        size_t count;

        leat_shard_list_init(&stream->shards);
        for (size_t i = 0; i < shards / streams; i++)
            add_shard(world, s, NULL, 0);
        made = LEAT_NEW_ARRAY(struct leat_new_lease, stream->shards.count);
        none = LEAT_NEW_ARRAY(bool, stream->shards.count);
        count = leat_shard_sync(&stream->shards, none, LEAT_SYNC_TRIM_HORIZON, made);
        for (size_t i = 0; i < count; i++)
            add_lease(world, s, made[i].shard);
        free(made);
        free(none);
    }
}

/* An open shard of the stream that is not read to its end; SIZE_MAX: none was found. */
static size_t
any_open(struct sim_world *world, size_t stream, size_t other)
{
    const struct leat_shard_list *shards = &world->streams[stream].shards;

    for (int i = 0; i < TRIES; i++) {
        size_t shard = leat_random_below(&world->random, shards->count);

        if (shard != other && !shards->shards[shard].is_closed)
            return shard;
    }
    return SIZE_MAX;
}

/* Its records last for some seconds more. */
static void
close_shard(struct sim_world *world, size_t stream, size_t shard)
{
    struct sim_stream *at = &world->streams[stream];

    at->shards.shards[shard].is_closed = true;
    if (at->lease_of[shard] > 0)
        world->leases[at->lease_of[shard] - 1].ends_at_us =
            world->now_us + (int64_t)leat_random_below(&world->random, 5000000);
}

void
sim_split(struct sim_world *world)
{
    size_t stream = leat_random_below(&world->random, world->stream_count);
    size_t shard = any_open(world, stream, SIZE_MAX);

    if (shard == SIZE_MAX)
        return;
    close_shard(world, stream, shard);
    add_shard(world, stream, &shard, 1);
    add_shard(world, stream, &shard, 1);
    world->counts.reshards++;
}

void
sim_merge(struct sim_world *world)
{
    size_t stream = leat_random_below(&world->random, world->stream_count), parents[2];

    parents[0] = any_open(world, stream, SIZE_MAX);
    parents[1] = any_open(world, stream, parents[0]);
    if (parents[0] == SIZE_MAX || parents[1] == SIZE_MAX)
        return;
    close_shard(world, stream, parents[0]);
    close_shard(world, stream, parents[1]);
    add_shard(world, stream, parents, 2);
    world->counts.reshards++;
}

static size_t
index_of(const struct sim_stream *stream, struct leat_slice shard)
{
    size_t index = 0;

    /* Names end in their index. */
    for (size_t i = shard.size - 12; i < shard.size; i++)
        index = index * 10 + (size_t)(shard.data[i] - '0');
    return index % stream->shards.count;
}

/* Step 1 and 3 of a shard's end; whoever owns it does both again after a crash in between. */
void
sim_end_shard(struct sim_world *world, size_t lease)
{
    size_t stream = world->leases[lease].stream, shard = world->leases[lease].shard;
    struct sim_stream *at = &world->streams[stream];

    /* Children are behind their parents in the list. */
    for (size_t c = shard + 1; c < at->shards.count; c++) {
        const struct leat_shard_facts *child = &at->shards.shards[c];
        bool is_child = false, has_all = true;

        if (at->lease_of[c] > 0)
            continue;
        for (size_t p = 0; p < child->parent_count; p++) {
            size_t parent = index_of(at, child->parents[p]);

            is_child = is_child || parent == shard;
            has_all = has_all && at->lease_of[parent] > 0;
        }
        if (is_child && has_all) {
            add_lease(world, stream, c);
            world->leases[world->lease_count - 1].demand_us =
                child->parent_count == 1 ? world->leases[lease].demand_us / 2
                                         : world->leases[lease].demand_us * 2;
        }
    }
    world->rows[lease].state = LEAT_LEASE_ENDED;
    world->rows[lease].lease_owner = world->rows[lease].next_owner = 0;
    world->leases[lease].handoff_at_us = 0;
    world->rows[lease].lease_counter++;
    sim_changed(world);
}

bool
sim_may_run(const struct sim_world *world, size_t lease)
{
    const struct leat_lease *row = &world->rows[lease];
    const struct sim_stream *stream = &world->streams[world->leases[lease].stream];

    for (size_t p = 0; p < row->parent_count; p++) {
        size_t parent = stream->lease_of[index_of(stream, row->parents[p])];

        if (parent > 0 && world->rows[parent - 1].state != LEAT_LEASE_ENDED)
            return false;
    }
    return true;
}

void
sim_sync(struct sim_world *world)
{
    for (size_t s = 0; s < world->stream_count; s++) {
        struct sim_stream *stream = &world->streams[s];
        size_t shards = stream->shards.count, count;
        struct leat_shard_mark *marks = LEAT_NEW_ARRAY(struct leat_shard_mark, shards);
        size_t *missing = LEAT_NEW_ARRAY(size_t, shards);

        for (size_t i = 0; i < shards; i++) {
            size_t lease = stream->lease_of[i];

            marks[i] = (struct leat_shard_mark){
                .has_lease = lease > 0,
                .has_ended = lease > 0 && world->rows[lease - 1].state == LEAT_LEASE_ENDED,
                .is_needed = true};
        }
        count = leat_shard_missing(&stream->shards, marks, missing);
        for (size_t i = 0; i < count; i++)
            add_lease(world, s, missing[i]);
        world->counts.made_by_sync += count;
        free(marks);
        free(missing);
    }
}
