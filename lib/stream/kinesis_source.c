/*
 * The source of a Kinesis stream: its facts, its shards and the service's time. Blocking calls, on a client of their own; the
 * readers are in kinesis_reader.c.
 */
#include "stream/kinesis_source.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "stream/kinesis_inside.h"

#define HOUR_MS INT64_C(3600000)

static int
describe(struct leat_source *source, struct leat_source_facts *ret_facts, struct leat_error *err)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;
    struct leat_kinesis_summary summary;
    struct leat_source_facts facts = {.name = ""};
    int status =
        leat_kinesis_describe_stream_summary(kinesis->blocking, kinesis->stream, &summary, err);

    if (status != 0)
        return status;
    if (strcmp(summary.status, "DELETING") == 0)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "stream \"%s\" is being deleted",
                              kinesis->stream);
    if (strcmp(summary.status, "CREATING") == 0)
        return leat_error_set(err, LEAT_E_UNAVAILABLE, "stream \"%s\" is still being created",
                              kinesis->stream);
    snprintf(facts.name, sizeof facts.name, "%s", kinesis->stream);
    snprintf(facts.arn, sizeof facts.arn, "%s", summary.arn);
    snprintf(facts.stream_id, sizeof facts.stream_id, "%.470s@%lld", summary.arn,
             (long long)(summary.created_us / LEAT_SECOND_US));
    facts.retention_ms = summary.retention_hours * HOUR_MS;
    facts.created_us = summary.created_us;
    *ret_facts = facts;
    return 0;
}

static int
add_shard(void *context, const struct leat_kinesis_shard *shard)
{
    struct leat_shard_list *list = context;
    struct leat_shard_facts facts = {
        .shard = shard->shard,
        .starting_hash_key = shard->starting_hash_key,
        .ending_hash_key = shard->ending_hash_key,
        .starting_sequence = shard->starting_sequence,
        .is_closed = shard->ending_sequence.size > 0,
    };

    if (leat_shard_list_find(list, shard->shard) != NULL)
        return 0; /* the listing began again (an expired page) */
    if (shard->parent.size > 0)
        facts.parents[facts.parent_count++] = shard->parent;
    if (shard->adjacent_parent.size > 0)
        facts.parents[facts.parent_count++] = shard->adjacent_parent;
    leat_shard_list_add(list, &facts);
    return 0;
}

static int
list_shards(struct leat_source *source, struct leat_shard_list *list, struct leat_error *err)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;

    return leat_kinesis_list_shards(kinesis->blocking, kinesis->stream, add_shard, list, err);
}

/* The Date header of an answer: so one is asked for. */
static int
now(struct leat_source *source, int64_t *ret_us, struct leat_error *err)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;
    struct leat_source_facts facts;
    int status = describe(source, &facts, err);

    if (status == 0)
        *ret_us = leat_kinesis_now_us(kinesis->blocking);
    return status;
}

static void
source_close(struct leat_source *source)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;

    leat_kinesis_free(kinesis->reading);
    leat_kinesis_free(kinesis->blocking);
    free(kinesis->stream);
    free(kinesis);
}

static const struct leat_source_ops kinesis_ops = {
    .kind = "kinesis",
    .has_limits = true,
    .describe = describe,
    .list_shards = list_shards,
    .now = now,
    .reader_open = leat_kinesis_reader_open,
    .read = leat_kinesis_reader_read,
    .reposition = leat_kinesis_reader_reposition,
    .reader_close = leat_kinesis_reader_close,
    .close = source_close,
};

/* The name in an ARN: what stands behind ":stream/". */
static const char *
stream_name(const char *name_or_arn)
{
    const char *found = strncmp(name_or_arn, "arn:", 4) == 0 ? strstr(name_or_arn, ":stream/")
                                                             : NULL;

    return found != NULL ? found + strlen(":stream/") : name_or_arn;
}

int
leat_kinesis_source_open(const struct leat_kinesis_source_options *options,
                         struct leat_source **ret_source, struct leat_error *err)
{
    struct kinesis_source *kinesis = LEAT_NEW(struct kinesis_source);
    int status;

    kinesis->source.ops = &kinesis_ops;
    kinesis->stream = leat_strdup(stream_name(options->stream));
    kinesis->regions = options->regions;
    kinesis->blocking = leat_kinesis_new(options->aws, options->encoding, err);
    kinesis->reading =
        kinesis->blocking != NULL ? leat_kinesis_new(options->aws, options->encoding, err) : NULL;
    status = kinesis->reading == NULL ? err->code
                                      : describe(&kinesis->source, &kinesis->source.facts, err);
    if (status != 0) {
        source_close(&kinesis->source);
        return status;
    }
    /* The name that people know it by, be it an ARN. */
    snprintf(kinesis->source.facts.name, sizeof kinesis->source.facts.name, "%s", kinesis->stream);
    *ret_source = &kinesis->source;
    return 0;
}

void
leat_kinesis_source_interrupt(struct leat_source *source)
{
    struct kinesis_source *kinesis = (struct kinesis_source *)source;

    if (source->ops == &kinesis_ops)
        leat_kinesis_interrupt(kinesis->blocking);
}
