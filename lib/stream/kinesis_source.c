/*
 * The source of a Kinesis stream: its facts, its shards and the service's time. Blocking calls, each on a client that no other
 * thread has meanwhile; the readers are in kinesis_reader.c.
 */
#include "stream/kinesis_source.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "stream/kinesis_inside.h"
#include "stream/spec.h"

#define HOUR_MS INT64_C(3600000)

void
leat_kinesis_facts_of(const struct leat_kinesis_summary *summary,
                      struct leat_source_facts *ret_facts)
{
    *ret_facts = (struct leat_source_facts){.retention_ms = summary->retention_hours * HOUR_MS,
                                            .created_us = summary->created_us};
    snprintf(ret_facts->name, sizeof ret_facts->name, "%s", summary->name);
    snprintf(ret_facts->arn, sizeof ret_facts->arn, "%s", summary->arn);
    if (summary->arn[0] != '\0')
        snprintf(ret_facts->stream_id, sizeof ret_facts->stream_id, "%.470s@%lld", summary->arn,
                 (long long)(summary->created_us / LEAT_SECOND_US));
}

static int
describe(struct leat_source *source, struct leat_source_facts *ret_facts, struct leat_error *err)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;
    struct leat_kinesis *client = leat_kinesis_clients_take(kinesis->clients, err);
    struct leat_kinesis_summary summary;
    int status;

    if (client == NULL)
        return err->code;
    status = leat_kinesis_describe_stream_summary(client, kinesis->stream, &summary, err);
    leat_kinesis_clients_give_back(kinesis->clients, client);
    if (status != 0)
        return status;
    if (strcmp(summary.status, "DELETING") == 0)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "stream \"%s\" is being deleted",
                              kinesis->stream);
    if (strcmp(summary.status, "CREATING") == 0)
        return leat_error_set(err, LEAT_E_UNAVAILABLE, "stream \"%s\" is still being created",
                              kinesis->stream);
    /* The name that people know it by, be it an ARN. */
    snprintf(summary.name, sizeof summary.name, "%s", kinesis->stream);
    leat_kinesis_facts_of(&summary, ret_facts);
    return 0;
}

/* What is listed so far: by name, since ten thousand shards come in pages that may overlap or begin again. */
struct listing {
    struct leat_shard_list *list;
    struct leat_map names;
};

static int
add_shard(void *context, const struct leat_kinesis_shard *shard)
{
    struct listing *listing = context;
    struct leat_shard_facts facts = {
        .shard = shard->shard,
        .starting_hash_key = shard->starting_hash_key,
        .ending_hash_key = shard->ending_hash_key,
        .starting_sequence = shard->starting_sequence,
        .ending_sequence = shard->ending_sequence,
        .is_closed = shard->ending_sequence.size > 0,
    };

    if (leat_map_put(&listing->names, shard->shard, listing) != NULL)
        return 0; /* the listing began again (an expired page) */
    if (shard->parent.size > 0)
        facts.parents[facts.parent_count++] = shard->parent;
    if (shard->adjacent_parent.size > 0)
        facts.parents[facts.parent_count++] = shard->adjacent_parent;
    leat_shard_list_add_told(listing->list, &facts);
    return 0;
}

static int
list_shards(struct leat_source *source, struct leat_shard_list *list, struct leat_error *err)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;
    struct leat_kinesis *client = leat_kinesis_clients_take(kinesis->clients, err);
    struct listing listing = {.list = list};
    int status;

    if (client == NULL)
        return err->code;
    leat_map_init(&listing.names);
    for (size_t i = 0; i < list->count; i++)
        leat_map_put(&listing.names, list->shards[i].shard, &listing);
    status = leat_kinesis_list_told_shards(client, kinesis->stream, add_shard, &listing, err);
    leat_map_release(&listing.names, NULL);
    leat_kinesis_clients_give_back(kinesis->clients, client);
    if (status == 0)
        leat_shard_list_cut_cycles(list);
    return status;
}

#define ENOUGH 1

static int
skip_shard(void *context, const struct leat_kinesis_shard *shard)
{
    return ENOUGH;
}

/* The Date header of an answer: so one is asked for, of the action of which the service allows most. */
static int
now(struct leat_source *source, int64_t *ret_us, struct leat_error *err)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;
    struct leat_kinesis *client = leat_kinesis_clients_take(kinesis->clients, err);
    int status;

    if (client == NULL)
        return err->code;
    status = leat_kinesis_list_shards(client, kinesis->stream, skip_shard, NULL, err);
    if (status >= 0)
        *ret_us = leat_kinesis_now_us(client);
    leat_kinesis_clients_give_back(kinesis->clients, client);
    return status < 0 ? status : 0;
}

/* What does not fit was read all the same. */
#define TRY_BYTES ((size_t)64 << 10)

static int
read_one(struct leat_kinesis *client, const char *stream, struct leat_slice shard,
         struct leat_error *err)
{
    struct leat_kinesis_iterator_request request = {
        .stream = stream, .shard = shard, .type = LEAT_ITERATOR_TRIM_HORIZON};
    struct leat_kinesis_region region = {.capacity = TRY_BYTES};
    struct leat_kinesis_records records = {0};
    char iterator[LEAT_KINESIS_ITERATOR_BYTES];
    int status = leat_kinesis_get_shard_iterator(client, &request, iterator, err);

    if (status != 0)
        return status;
    region.data = leat_alloc(TRY_BYTES);
    status = leat_kinesis_get_records(client, stream, iterator, 1, &region, &records, err);
    leat_kinesis_records_release(&records);
    free(region.data);
    return status;
}

static int
try_read(struct leat_source *source, struct leat_slice shard, struct leat_error *err)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;
    struct leat_kinesis *client = leat_kinesis_clients_take(kinesis->clients, err);
    int status;

    if (client == NULL)
        return err->code;
    status = read_one(client, kinesis->stream, shard, err);
    leat_kinesis_clients_give_back(kinesis->clients, client);
    return status == LEAT_E_DENIED || status == LEAT_E_UNAVAILABLE || status == LEAT_E_TIMEOUT ||
                   status == LEAT_E_SYSTEM || status == LEAT_E_CANCELLED
               ? status
               : 0;
}

static void
source_close(struct leat_source *source)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;

    if (kinesis->owns_clients)
        leat_kinesis_clients_free(kinesis->clients);
    free(kinesis->stream);
    free(kinesis);
}

static const struct leat_source_ops kinesis_ops = {
    .kind = "kinesis",
    .has_limits = true,
    .describe = describe,
    .list_shards = list_shards,
    .now = now,
    .try_read = try_read,
    .reader_open = leat_kinesis_reader_open,
    .read = leat_kinesis_reader_read,
    .reposition = leat_kinesis_reader_reposition,
    .reader_close = leat_kinesis_reader_close,
    .close = source_close,
};

struct leat_source *
leat_kinesis_source_new(const struct leat_source_facts *facts, struct leat_kinesis_clients *clients,
                        struct leat_region_pool *regions)
{
    struct kinesis_source *kinesis = LEAT_NEW(struct kinesis_source);

    kinesis->source.ops = &kinesis_ops;
    kinesis->source.facts = *facts;
    kinesis->stream = leat_strdup(facts->name);
    kinesis->regions = regions;
    kinesis->clients = clients;
    kinesis->reading = leat_kinesis_clients_reading(clients);
    kinesis->source.is_aws = leat_kinesis_is_aws(kinesis->reading);
    return &kinesis->source;
}

int
leat_kinesis_source_open(const struct leat_kinesis_source_options *options,
                         struct leat_source **ret_source, struct leat_error *err)
{
    struct leat_kinesis_clients *clients =
        leat_kinesis_clients_new(options->aws, options->encoding, err);
    struct leat_source_facts facts = {.name = ""};
    struct leat_source *source;
    int status;

    if (clients == NULL)
        return err->code;
    snprintf(facts.name, sizeof facts.name, "%s", leat_stream_spec_name(options->stream));
    source = leat_kinesis_source_new(&facts, clients, options->regions);
    ((struct kinesis_source *)source)->owns_clients = true;
    status = describe(source, &source->facts, err);
    if (status != 0) {
        source_close(source);
        return status;
    }
    *ret_source = source;
    return 0;
}

void
leat_kinesis_source_interrupt(struct leat_source *source)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;

    if (source->ops == &kinesis_ops)
        leat_kinesis_clients_interrupt(kinesis->clients);
}
