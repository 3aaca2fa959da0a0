/*
 * What the stream says to a new checkpoint: which shards it still has, what time it is there, whether a sequence number is of this
 * shard, and what lies before its retention. Refused here, by name, and not found out by a worker later.
 *
 * The service tells its time in whole seconds, rounded down. Taken as it is, "latest" would lie before records that are committed
 * already, and count them again. So it is a second later, and that second is waited for: a moment between the command's begin and its
 * end.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "lease/latest.h"
#include "lease/rows.h"
#include "stream/file_source.h"
#include "stream/kinesis_source.h"
#include "worker/checkpoint.h"

#define CLOCK_STEP_US (1 * LEAT_SECOND_US)

struct asking {
    struct leat_checkpoint *checkpoint;
    struct leat_aws aws;
    struct leat_source *source;
    struct leat_shard_list shards;
    int64_t now_us; /* by the service's clock; 0: not asked */
};

static int
open_source(struct asking *asking, const char *stream, struct leat_error *err)
{
    const struct leat_config *config = asking->checkpoint->task->database.config;
    struct leat_kinesis_source_options options = {.stream = stream, .aws = &asking->aws};

    for (size_t i = 0; i < config->stream_count; i++) {
        const struct leat_config_stream *configured = &config->streams[i];

        if (configured->file != NULL && strcmp(configured->name, stream) == 0)
            return leat_file_source_open(stream, configured->file, configured->follow,
                                         &asking->source, err);
    }
    return leat_kinesis_source_open(&options, &asking->source, err);
}

static const char *
note(struct leat_checkpoint *checkpoint, const char *text)
{
    return (const char *)leat_arena_copy(&checkpoint->arena, leat_slice_from(text)).data;
}

/* ---- a time ---------------------------------------------------------------------------------- */

/* As a worker resolves LATEST: a header that says 2099 is not believed alone. */
static int
ask_for_time(struct asking *asking, struct leat_error *err)
{
    struct leat_operator *task = asking->checkpoint->task;
    struct leat_clocks clocks = {.own_us = leat_clock_wall_us()};
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;
    int status = asking->source->ops->now(asking->source, &clocks.service_us, err);

    if (status == 0)
        status = leat_operator_connect(task, err);
    if (status == 0)
        status = leat_rows_now(task->connection, &clocks.database_us, err);
    if (status == 0)
        status = leat_clocks_latest(&clocks, &asking->now_us, err);
    if (status != 0 || asking->now_us == clocks.service_us)
        return status;
    leat_clocks_describe(&clocks, &all);
    leat_operator_says(task, 0, "the service's clock is not believed: the other two agree: %s",
                       leat_buf_text(&all));
    return 0;
}

static int
check_time(struct asking *asking, struct leat_checkpoint_item *item, struct leat_error *err)
{
    const struct leat_source_facts *facts = &asking->source->facts;
    LEAT_AUTO_BUF now = LEAT_BUF_INIT;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    if (strcmp(asking->source->ops->kind, "file") == 0)
        return leat_error_set(err, LEAT_E_INVALID, "stream \"%s\" is a file and knows no times",
                              item->stream);
    if (asking->now_us == 0 && ask_for_time(asking, err) != 0)
        return err->code;
    if (item->to.kind == LEAT_POSITION_LATEST) {
        item->to.kind = LEAT_POSITION_AT_TIMESTAMP;
        item->to.timestamp_us = asking->now_us + CLOCK_STEP_US;
        return 0;
    }
    if (item->to.timestamp_us > asking->now_us) {
        leat_format_time(&now, asking->now_us);
        return leat_error_set(err, LEAT_E_INVALID,
                              "that time is in the future: it is %s by the clock of stream \"%s\"; "
                              "--to latest begins now",
                              leat_buf_text(&now), item->stream);
    }
    if (facts->retention_ms > 0 &&
        item->to.timestamp_us < asking->now_us - facts->retention_ms * LEAT_MS_US) {
        leat_buf_add_text(&text, "before what the stream keeps (");
        leat_format_duration(&text, facts->retention_ms * LEAT_MS_US);
        leat_buf_add_text(&text, "): begins at its oldest record");
        item->note = note(asking->checkpoint, leat_buf_text(&text));
    }
    return 0;
}

/* ---- a sequence number ----------------------------------------------------------------------- */

static bool
grow(struct leat_kinesis_region *region, size_t wanted_bytes)
{
    region->data = leat_realloc(region->data, wanted_bytes, 1);
    region->capacity = wanted_bytes;
    return true;
}

/* Is the record still there? An answer without records says nothing. */
static int
look_at_record(struct leat_kinesis *kinesis, const char *iterator,
               struct leat_checkpoint *checkpoint, struct leat_checkpoint_item *item,
               struct leat_error *err)
{
    struct leat_kinesis_region region = {.grow = grow};
    struct leat_kinesis_records records = {0};
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    int status =
        leat_kinesis_get_records(kinesis, item->stream, iterator, 1, &region, &records, err);

    if (status == 0 && records.count > 0 &&
        !leat_slice_is(records.records[0].sequence, item->to.sequence)) {
        leat_buf_add_text(&text, "the stream has no such record (any more): begins behind it, at ");
        leat_buf_add_slice(&text, records.records[0].sequence);
        item->note = note(checkpoint, leat_buf_text(&text));
    }
    leat_kinesis_records_release(&records);
    free(region.data);
    return status;
}

static int
check_in_kinesis(struct asking *asking, struct leat_checkpoint_item *item, struct leat_error *err)
{
    struct leat_kinesis_iterator_request request = {
        .stream = item->stream,
        .shard = leat_slice_from(item->shard),
        .type = LEAT_ITERATOR_AT_SEQUENCE,
        .sequence = leat_slice_from(item->to.sequence),
    };
    char iterator[LEAT_KINESIS_ITERATOR_BYTES];
    struct leat_kinesis *kinesis = leat_kinesis_new(&asking->aws, LEAT_KINESIS_AUTO, err);
    int status;

    if (kinesis == NULL)
        return err->code;
    status = leat_kinesis_get_shard_iterator(kinesis, &request, iterator, err);
    if (status == 0)
        status = look_at_record(kinesis, iterator, asking->checkpoint, item, err);
    else if (status == LEAT_E_INVALID)
        leat_error_set(err, LEAT_E_INVALID,
                       "sequence number %s is not of shard \"%s\": stream \"%s\" refuses it there; "
                       "leat checkpoint show shows each shard's",
                       item->to.sequence, item->shard, item->stream);
    leat_kinesis_free(kinesis);
    return status;
}

static int
check_sequence(struct asking *asking, struct leat_checkpoint_item *item,
               const struct leat_shard_facts *shard, struct leat_error *err)
{
    struct leat_slice sequence = leat_slice_from(item->to.sequence);

    if (shard->starting_sequence.size > 0 &&
        leat_sequence_order(sequence, shard->starting_sequence) < 0)
        return leat_error_set(err, LEAT_E_INVALID,
                              "sequence number %s is not of shard \"%s\": that begins with %.*s; "
                              "--to trim-horizon begins there",
                              item->to.sequence, item->shard, (int)shard->starting_sequence.size,
                              (const char *)shard->starting_sequence.data);
    return strcmp(asking->source->ops->kind, "kinesis") == 0 ? check_in_kinesis(asking, item, err)
                                                             : 0;
}

/* ---- each stream ----------------------------------------------------------------------------- */

static int
check_item(struct asking *asking, struct leat_checkpoint_item *item, struct leat_error *err)
{
    const struct leat_shard_facts *shard =
        leat_shard_list_find(&asking->shards, leat_slice_from(item->shard));
    bool is_latest = asking->checkpoint->to.kind == LEAT_POSITION_LATEST;
    int status = 0;

    item->to = asking->checkpoint->to;
    if (strcmp(item->stream_id, asking->source->facts.stream_id) != 0 || shard == NULL) {
        item->is_left_alone = true;
        item->note = "has left the stream: stays as it is";
        return 0;
    }
    if (is_latest || item->to.kind == LEAT_POSITION_AT_TIMESTAMP)
        status = check_time(asking, item, err);
    else if (item->to.kind == LEAT_POSITION_SEQUENCE)
        status = check_sequence(asking, item, shard, err);
    if (status == 0 && item->note == NULL && item->to.kind == LEAT_POSITION_AT_TIMESTAMP) {
        LEAT_AUTO_BUF time = LEAT_BUF_INIT;

        leat_format_time(&time, item->to.timestamp_us);
        item->note = note(asking->checkpoint, leat_buf_text(&time));
    }
    item->direction = leat_rewind_direction(&item->at, &item->to, is_latest);
    return status;
}

static bool
is_of(const struct leat_checkpoint *checkpoint, size_t at, const char *stream_id)
{
    return at < checkpoint->count && strcmp(checkpoint->items[at].stream_id, stream_id) == 0;
}

/* Items from `first` on of one stream; *ret_end: behind the last. */
static int
ask_stream(struct asking *asking, size_t first, size_t *ret_end, struct leat_error *err)
{
    struct leat_checkpoint *checkpoint = asking->checkpoint;
    const char *stream_id = checkpoint->items[first].stream_id;
    size_t at = first;
    int status = open_source(asking, checkpoint->items[first].stream, err);

    if (status == LEAT_E_NOT_FOUND) {
        for (; is_of(checkpoint, at, stream_id); at++) {
            checkpoint->items[at].is_left_alone = true;
            checkpoint->items[at].note = "the stream is gone: stays as it is";
        }
        *ret_end = at;
        return 0;
    }
    if (status != 0)
        return leat_error_prefix(err, "stream \"%s\"", checkpoint->items[first].stream);
    leat_shard_list_init(&asking->shards);
    asking->now_us = 0;
    status = asking->source->ops->list_shards(asking->source, &asking->shards, err);
    for (; status == 0 && is_of(checkpoint, at, stream_id); at++)
        status = check_item(asking, &checkpoint->items[at], err);
    leat_shard_list_release(&asking->shards);
    asking->source->ops->close(asking->source);
    *ret_end = at;
    return status;
}

int
leat_checkpoint_ask_streams(struct leat_checkpoint *checkpoint)
{
    struct asking asking = {.checkpoint = checkpoint};
    struct leat_operator *task = checkpoint->task;
    struct leat_error err;
    size_t moving = 0;
    int status = 0;

    leat_setup_aws_init(&asking.aws, task->database.config);
    for (size_t at = 0; status == 0 && at < checkpoint->count;)
        status = ask_stream(&asking, at, &at, &err);
    leat_setup_aws_release(&asking.aws);
    if (status != 0)
        return leat_command_failed(task->command->name, &err);
    if (checkpoint->to.kind == LEAT_POSITION_LATEST && !task->is_dry_run)
        poll(NULL, 0, (int)(CLOCK_STEP_US / LEAT_MS_US) + 100);
    for (size_t i = 0; i < checkpoint->count; i++)
        moving += !checkpoint->items[i].is_left_alone;
    if (moving == 0)
        return leat_operator_says(task, LEAT_EXIT_FAILED,
                                  "nothing to move: %s has left the stream (retention, or it was "
                                  "deleted and made again), and what left cannot be read",
                                  task->shard != NULL ? "the shard" : "every shard");
    return LEAT_EXIT_OK;
}
