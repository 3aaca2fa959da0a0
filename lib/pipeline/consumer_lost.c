/*
 * Records that left the stream (its retention) before they were read. They cannot be processed any more, but they are never lost
 * silently: an error in the log, a count in the metrics, and a letter in archive, dead-letter stream and ledger, committed with
 * the checkpoint that passes them; or, with `reading.on_lost: stop`, the shard stops instead.
 *
 * Two ways to lose. (1) The shard is gone: whether retention took it, or somebody deleted the stream, is the lease manager's
 * to find out. It ends, so that its children begin. (2) The record at the checkpoint is gone, the shard goes on: the service begins
 * at its trim horizon without a word. Where the first record that is there is about as old as the retention, others before it are
 * surely lost; else nobody knows whether there were any, and it is said and counted, no more.
 */
#include "base/clock.h"
#include "base/json.h"
#include "pipeline/runtime.h"

#define SHORT_OF_RETENTION(ms) ((ms) / 10 * 9)

static bool
stops(const struct leat_consumer *consumer)
{
    return leat_pipeline_options(consumer->runtime->pipeline)->is_lost_a_stop;
}

/* What is known of it. */
static void
describe(const struct leat_consumer *consumer, const char *what, struct leat_buf *out)
{
    LEAT_AUTO_BUF position = LEAT_BUF_INIT;
    struct leat_json json;

    leat_position_format(&consumer->position, &position);
    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "lost", what);
    leat_json_slice(&json, "shard", consumer->shard.shard);
    leat_json_slice(&json, "behind", leat_buf_slice(&position));
    leat_json_integer(&json, "retention_ms", consumer->source->facts.retention_ms);
    leat_json_object_end(&json);
}

static void
write_off(struct leat_consumer *consumer, const char *what, struct leat_error *err)
{
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    if (stops(consumer)) {
        leat_consumer_block(consumer, err);
        return;
    }
    describe(consumer, what, &data);
    leat_pipeline_notice(consumer, LEAT_LOG_ERROR, "records are lost: see `leat failures ls`", err);
    leat_consumer_write_off(consumer, err->text, leat_buf_slice(&data));
}

/* ---- the shard is gone ------------------------------------------------------------------------- */

static void
answer(void *context, struct leat_lease_key key, enum leat_shard_fate fate,
       struct leat_slice ending)
{
    leat_pipeline_shard_gone(context, key, fate == LEAT_SHARD_IS_GONE);
}

void
leat_consumer_ask_gone(struct leat_consumer *consumer, const struct leat_error *why)
{
    if (consumer->is_gone_asked || consumer->is_draining)
        return;
    consumer->is_gone_asked = true;
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING,
                         "the shard is not there any more: asking whether it has left its stream",
                         why);
    leat_lease_gone(leat_pipeline_leases(consumer->runtime->pipeline), leat_consumer_key(consumer),
                    answer, consumer->runtime->pipeline);
}

void
leat_consumer_on_gone(struct leat_consumer *consumer, bool is_gone)
{
    if (!consumer->is_gone_asked || consumer->is_gone || consumer->is_draining)
        return;
    if (!is_gone) {
        leat_consumer_rewind(consumer);
        return;
    }
    /* What was read of it is processed first. */
    consumer->is_gone = consumer->is_at_end = true;
}

void
leat_consumer_tell_gone(struct leat_consumer *consumer)
{
    int64_t hours = consumer->source->facts.retention_ms / 3600000;
    LEAT_AUTO_BUF position = LEAT_BUF_INIT;
    struct leat_error err;

    consumer->is_gone = false;
    consumer->tally->lost_shards++;
    leat_position_format(&consumer->position, &position);
    leat_error_set(&err, LEAT_E_NOT_FOUND,
                   "the shard left its stream, which keeps records for %lld h, before it was read "
                   "to its end: what came behind %s is lost; raise the retention, or add workers",
                   (long long)hours, leat_buf_text(&position));
    write_off(consumer, "the rest of the shard", &err);
}

/* ---- the checkpoint's record is gone ------------------------------------------------------------- */

/* By the service's clock, and by ours. */
static int64_t
age_of_first_ms(const struct leat_chunk *chunk)
{
    int64_t age_ms;

    if (chunk->count == 0)
        return 0;
    age_ms = (leat_clock_wall_us() - chunk->records[0].arrival_us) / LEAT_MS_US;
    return chunk->behind_ms > age_ms ? chunk->behind_ms : age_ms;
}

void
leat_consumer_see_gap(struct leat_consumer *consumer, const struct leat_chunk *chunk)
{
    int64_t retention_ms = consumer->source->facts.retention_ms, age_ms = age_of_first_ms(chunk);
    LEAT_AUTO_BUF position = LEAT_BUF_INIT;
    struct leat_error err;

    consumer->tally->expired_checkpoints++;
    leat_position_format(&consumer->position, &position);
    if (retention_ms > 0 && age_ms >= SHORT_OF_RETENTION(retention_ms)) {
        leat_error_set(
            &err, LEAT_E_NOT_FOUND,
            "the checkpoint's record %s has left the stream, and the first that is there "
            "is %lld h old: what lay between them is lost; raise the retention, or add "
            "workers",
            leat_buf_text(&position), (long long)(age_ms / 3600000));
        write_off(consumer, "from the checkpoint to the trim horizon", &err);
        return;
    }
    leat_error_set(&err, LEAT_E_NOT_FOUND,
                   "the checkpoint's record %s has left the stream: if this shard was not read for "
                   "longer than its retention, what came in between is lost",
                   leat_buf_text(&position));
    leat_pipeline_notice(consumer, LEAT_LOG_WARNING, "a checkpoint has expired", &err);
}
