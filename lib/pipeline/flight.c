/*
 * One flush, from pendings to outcomes (docs/protocol.md §4). Only the identical flush is ever sent again while it is one
 * flight; what was fenced is left out and the rest is another flush.
 *
 * A refused flush is sent again per shard, so that nobody waits for another shard's rows. What a single shard's rows are refused for
 * is their own fault only if rows of their kind are taken (evidence.h); then the consumer is told, and looks for the guilty
 * record. A record that stands alone is tried again first, since what refused it may be a race, and is not given up while it would
 * be taken by itself. Without evidence the flight waits, visibly, and is sent again and again; but first the consumer is asked for
 * a larger one, which may hold evidence (is_peek).
 *
 * A row may end the backend that writes it (a fault in an extension, memory), each time that it is sent: what is lost so and found
 * not to be committed is sent again later and later, and then looked at like rows that are refused.
 */
#include "pipeline/flight.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/memory.h"
#include "base/point.h"
#include "pipeline/committer.h"
#include "postgres/sqlstate.h"

#define RETRY_BASE_US (50 * LEAT_MS_US)
#define RETRY_CAP_US (5 * LEAT_SECOND_US)
/* A lone record that is refused: a race is over within this. */
#define REFUSED_TRIES 5
#define REFUSED_CAP_US (1 * LEAT_SECOND_US)
/* Cancelled by statement_timeout so often, it is these rows that take too long. */
#define CANCELLED_TRIES 3
/* The connection was lost in it so often: it may be these rows that end it. */
#define LOST_TRIES 3

struct leat_flight *
leat_flight_new(struct leat_runtime *runtime)
{
    struct leat_flight *flight = LEAT_NEW(struct leat_flight);

    flight->runtime = runtime;
    return flight;
}

void
leat_flight_free(struct leat_flight *flight)
{
    for (size_t i = 0; i < flight->count; i++)
        leat_pending_free(flight->parts[i].pending);
    free(flight->parts);
    free(flight);
}

void
leat_flight_add(struct leat_flight *flight, struct leat_consumer *consumer,
                struct leat_pending *pending)
{
    LEAT_GROW(flight->parts, flight->count, flight->capacity);
    flight->parts[flight->count++] = (struct leat_flight_part){consumer, pending};
}

/* Gives the pending back to its consumer, empty, to be filled again. */
static void
land(struct leat_flight_part *part, bool is_committed)
{
    struct leat_consumer *consumer = part->consumer;
    struct leat_pending *spare;

    leat_consumer_discharge(consumer, part->pending);
    leat_mutex_lock(&consumer->flight_lock);
    if (is_committed && part->pending->generation == consumer->generation)
        consumer->commit_seq = part->pending->commit_seq + 1;
    if (is_committed)
        consumer->found_takes = 0;
    /* What was made behind a flush that did not get in must not overtake it: the fence would not stop it. */
    if (!is_committed)
        consumer->refused_generation = part->pending->generation;
    consumer->is_flying = false;
    spare = consumer->spare;
    consumer->spare = part->pending;
    leat_pending_clear(part->pending);
    leat_mutex_unlock(&consumer->flight_lock);
    leat_pending_free(spare);
    part->pending = NULL;
    leat_pipeline_wake_stalled(consumer->runtime->pipeline);
}

/*
 * What was completed while this one flew left the committer's list, since it could not fly then: back into it. While the shard
 * runs its next batch would do that; behind its end nothing comes any more.
 */
static void
remind(struct leat_consumer *consumer)
{
    bool has_more;

    leat_mutex_lock(&consumer->flight_lock);
    has_more = consumer->filling->has_end;
    leat_mutex_unlock(&consumer->flight_lock);
    if (has_more)
        leat_committer_dirty(consumer->committer, consumer);
}

/* The consumer hears of it, and the part is out of the flight. */
static void
settle(struct leat_flight *flight, size_t i, const struct leat_commit_result *result)
{
    struct leat_flight_part *part = &flight->parts[i];
    struct leat_message *message =
        leat_message_new(LEAT_MESSAGE_FLUSHED, part->pending->generation);
    struct leat_consumer *consumer = part->consumer;

    message->result = *result;
    message->records = part->pending->records;
    message->attempts = (int32_t)flight->refusals + 1;
    message->has_loose_rows = part->pending->has_loose_rows;
    message->is_end = part->pending->end.kind == LEAT_POSITION_SHARD_END;
    message->as_of_us = part->pending->as_of_us;
    if (result->outcome == LEAT_COMMITTED)
        consumer->tally->committed += part->pending->records;
    if (result->outcome == LEAT_COMMITTED && part->pending->arrival_us > 0)
        leat_histogram_add(&consumer->tally->end_to_end,
                           leat_clock_wall_us() - part->pending->arrival_us);
    land(part, result->outcome == LEAT_COMMITTED);
    remind(consumer);
    flight->parts[i] = flight->parts[--flight->count];
    leat_consumer_post(consumer, message);
}

void
leat_flight_drop(struct leat_flight *flight, const struct leat_consumer *consumer)
{
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->parts[i].consumer != consumer)
            continue;
        land(&flight->parts[i], false);
        flight->parts[i--] = flight->parts[--flight->count];
    }
}

/* Those whose consumer has taken its shard again meanwhile: their commit number is history. */
static void
drop_stale(struct leat_flight *flight)
{
    static const struct leat_commit_result fenced = {.outcome = LEAT_COMMIT_FENCED};

    for (size_t i = flight->count; i-- > 0;) {
        if (flight->parts[i].pending->generation != flight->parts[i].consumer->generation)
            settle(flight, i, &fenced);
    }
}

/* Those whose rows were merged for columns that have changed since: what is equal, or rounded, is another thing now. */
static void
drop_outdated(struct leat_flight *flight, void *rows)
{
    static const struct leat_commit_result anew = {.outcome = LEAT_COMMIT_ANEW};
    const struct leat_target *target = flight->runtime->config.target;

    if (flight->is_unknown || flight->has_written_rows ||
        target->size < offsetof(struct leat_target, forms) + sizeof target->forms ||
        target->forms == NULL)
        return;
    for (size_t i = flight->count; i-- > 0;) {
        if (!leat_merge_is_current(flight->parts[i].pending->merge, target->forms, rows))
            settle(flight, i, &anew);
    }
}

static int
compare_parts(const void *left, const void *right)
{
    const struct leat_flight_part *a = left, *b = right;
    int order = strcmp(a->consumer->stream_id, b->consumer->stream_id);

    return order != 0 ? order : strcmp(a->consumer->shard_id, b->consumer->shard_id);
}

static struct leat_flush_shard
flush_shard(const struct leat_flight *flight, const struct leat_flight_part *part)
{
    const struct leat_pending *pending = part->pending;

    return (struct leat_flush_shard){
        .key = {.application =
                    leat_slice_from(leat_pipeline_options(flight->runtime->pipeline)->application),
                .processor = leat_slice_from(flight->runtime->config.name),
                .tenant = leat_slice_from(""),
                .stream_id = leat_slice_from(part->consumer->stream_id),
                .shard = leat_slice_from(part->consumer->shard_id)},
        .lease_counter = pending->lease_counter,
        .commit_seq = pending->commit_seq,
        .checkpoint = leat_buf_slice(&pending->checkpoint),
        .sub_sequence = pending->end.kind == LEAT_POSITION_SEQUENCE ? pending->end.sub_sequence
                                                                    : -1,
        .state_change = pending->has_state ? LEAT_STATE_SET : LEAT_STATE_KEEP,
        .saved_state = pending->state,
        .failures = pending->failures,
        .failure_count = pending->failure_count,
    };
}

/* NULL: no shard of this flight ends. */
static const struct leat_flush_end *
ends_of(const struct leat_flight *flight, struct leat_arena *arena)
{
    struct leat_flush_end *ends = NULL;

    for (size_t i = 0; i < flight->count; i++) {
        const struct leat_pending *pending = flight->parts[i].pending;

        if (pending->end.kind != LEAT_POSITION_SHARD_END)
            continue;
        if (ends == NULL)
            ends = leat_arena_alloc_zero(arena, flight->count, sizeof *ends);
        ends[i].checkpoint = leat_buf_slice(&pending->last_checkpoint);
        ends[i].sub_sequence =
            pending->last.kind == LEAT_POSITION_SEQUENCE ? pending->last.sub_sequence : -1;
    }
    return ends;
}

static struct leat_flush
make_flush(struct leat_flight *flight, struct leat_arena *arena)
{
    struct leat_flush_shard *shards = leat_arena_alloc(arena, flight->count * sizeof *shards);
    struct leat_merge **merges = leat_arena_alloc(arena, flight->count * sizeof *merges);
    struct leat_flush flush = {.size = sizeof flush,
                               .incarnation = flight->parts[0].pending->incarnation,
                               .shard_count = flight->count,
                               .shards = shards};

    leat_sort(flight->parts, flight->count, sizeof *flight->parts, compare_parts);
    for (size_t i = 0; i < flight->count; i++) {
        shards[i] = flush_shard(flight, &flight->parts[i]);
        merges[i] = flight->parts[i].pending->merge;
    }
    flush.ends = ends_of(flight, arena);
    flush.groups = leat_merge_groups(merges, flight->count, arena, &flush.group_count);
    flush.is_divisible =
        leat_merge_divisible(merges, flight->count, flush.groups, flush.group_count, arena);
    return flush;
}

static size_t
rows_of(const struct leat_flush *flush)
{
    size_t rows = 0;

    for (size_t g = 0; g < flush->group_count; g++)
        rows += flush->groups[g].count;
    return rows;
}

static void
set_all(struct leat_commit_result *results, size_t count, const struct leat_error *err)
{
    for (size_t i = 0; i < count; i++) {
        results[i] = (struct leat_commit_result){.outcome = err->code == LEAT_E_INVALID ||
                                                                    err->code == LEAT_E_DENIED
                                                                ? LEAT_COMMIT_CONFIGURATION
                                                                : LEAT_COMMIT_TRANSIENT};
        snprintf(results[i].sqlstate, sizeof results[i].sqlstate, "%s", err->sqlstate);
        snprintf(results[i].text, sizeof results[i].text, "%s", err->text);
    }
}

/* A target without transactions: rows first, while our lease is surely valid; then progress, fenced. At least once. */
static int
write_rows(struct leat_flight *flight, void *rows, const struct leat_flush *flush,
           struct leat_commit_result *results, struct leat_error *err)
{
    struct leat_lease_manager *leases = leat_pipeline_leases(flight->runtime->pipeline);
    int status;

    if (flight->has_written_rows || flush->group_count == 0)
        return 0;
    if (leases != NULL && !leat_lease_manager_is_valid(leases)) {
        leat_error_set(err, LEAT_E_UNAVAILABLE,
                       "this worker's lease could not be renewed: not writing to a target without "
                       "transactions");
        return LEAT_E_UNAVAILABLE;
    }
    status = flight->runtime->config.target->commit(rows, flush, results, err);
    if (status != 0)
        return status;
    flight->has_written_rows = true;
    for (size_t i = 0; i < flush->shard_count; i++)
        flight->has_written_rows &= results[i].outcome == LEAT_COMMITTED;
    for (size_t i = 0; !flight->has_written_rows && i < flush->shard_count; i++) {
        /* Written, but not counted: once more. No fence is there, and nothing to resolve. */
        if (results[i].outcome == LEAT_COMMITTED || results[i].outcome == LEAT_COMMIT_FENCED)
            results[i].outcome = LEAT_COMMIT_AGAIN;
        else if (results[i].outcome == LEAT_COMMIT_UNKNOWN)
            results[i].outcome = LEAT_COMMIT_TRANSIENT;
    }
    return 0;
}

static int
call_target(struct leat_flight *flight, const struct leat_store *store, void *rows,
            struct leat_flush *flush, struct leat_commit_result *results, struct leat_error *err)
{
    int status;

    if (flight->is_unknown)
        return store->ops->resolve(store->committer, flush, results, err);
    if (store->committer != rows) {
        status = write_rows(flight, rows, flush, results, err);
        if (status != 0)
            return status;
        if (flush->group_count > 0 && !flight->has_written_rows)
            return 0; /* the results are the target's */
        flush->group_count = 0;
    }
    return store->ops->commit(store->committer, flush, results, err);
}

/* A crash in there names the target, and a shard that was written. */
static int
send(struct leat_flight *flight, const struct leat_store *store, void *rows,
     struct leat_flush *flush, struct leat_commit_result *results, struct leat_error *err)
{
    const struct leat_pipeline_processor *config = &flight->runtime->config;
    struct leat_crash_call call = {.kind = "target",
                                   .plugin = config->target->name,
                                   .call = flight->is_unknown ? "resolve" : "commit",
                                   .processor = config->name};
    int status;

    if (flush->shard_count > 0) {
        call.stream = flush->shards[0].key.stream_id;
        call.shard = flush->shards[0].key.shard;
    }
    leat_crash_call_begin(&call);
    status = call_target(flight, store, rows, flush, results, err);
    leat_crash_call_end();
    return status;
}

static void
tell_waiting(struct leat_flight *flight, const struct leat_commit_result *result)
{
    bool is_refused = result->outcome == LEAT_COMMIT_CONFIGURATION ||
                      result->outcome == LEAT_COMMIT_REFUSED;
    struct leat_error err = {.code = LEAT_E_UNAVAILABLE};

    for (size_t i = 0; i < flight->count; i++)
        flight->parts[i].consumer->target_trouble = is_refused ? LEAT_TARGET_REFUSES
                                                               : LEAT_TARGET_AWAY;
    if (flight->is_told || (!is_refused && flight->attempts < 3))
        return;
    /* Several wait for the same target: once for all of them. */
    flight->is_told = leat_committer_tells(flight->parts[0].consumer->committer,
                                           is_refused ? LEAT_TARGET_REFUSES : LEAT_TARGET_AWAY);
    if (!flight->is_told)
        return;
    snprintf(err.text, sizeof err.text, "%s", result->text);
    snprintf(err.sqlstate, sizeof err.sqlstate, "%s", result->sqlstate);
    leat_pipeline_notice(
        flight->parts[0].consumer, is_refused ? LEAT_LOG_ERROR : LEAT_LOG_WARNING,
        is_refused ? "the target refuses to be written: what writes such rows waits; `leat "
                     "validate --connect` tells what to mend"
                   : "the target is not available: waiting",
        &err);
}

static void
park(struct leat_flight *flight, const struct leat_commit_result *result,
     struct leat_random *random)
{
    flight->retry_at_us = leat_clock_monotonic_us() +
                          leat_backoff_us(random, RETRY_BASE_US, RETRY_CAP_US, flight->attempts++);
    tell_waiting(flight, result);
}

/* One part a flight: so the guilty one is found. */
static struct leat_flight *
split(struct leat_flight *flight)
{
    struct leat_flight *list = NULL;

    while (flight->count > 0) {
        struct leat_flight *single = leat_flight_new(flight->runtime);
        struct leat_flight_part part = flight->parts[--flight->count];

        leat_flight_add(single, part.consumer, part.pending);
        single->has_written_rows = flight->has_written_rows;
        single->next = list;
        list = single;
    }
    return list;
}

/* What stays in the flight is what must be sent again; returns the outcome that decides how. */
static struct leat_commit_result
sort_out(struct leat_flight *flight, const struct leat_commit_result *results,
         struct leat_flight_result *ret_result)
{
    struct leat_commit_result rest = {.outcome = LEAT_COMMIT_AGAIN};

    for (size_t i = flight->count; i-- > 0;) {
        switch (results[i].outcome) {
        case LEAT_COMMITTED:
            ret_result->ended_a_shard |= flight->parts[i].pending->end.kind ==
                                         LEAT_POSITION_SHARD_END;
            settle(flight, i, &results[i]);
            break;
        case LEAT_COMMIT_FENCED:
            flight->parts[i].consumer->tally->fenced++;
            settle(flight, i, &results[i]);
            break;
        case LEAT_COMMIT_AGAIN:
            break;
        default:
            rest = results[i];
        }
    }
    return rest;
}

/* ---- a refusal --------------------------------------------------------------------------------- */

struct refusing {
    struct leat_flight *flight; /* of one shard */
    const struct leat_flush *flush;
    void *rows;
    struct leat_random *random;
    bool is_lost; /* the connection ends with them */
};

/*
 * Counted, and backed off: what refuses a lone record may be another transaction, or another shard's record that comes in a moment.
 * Where that was in vain a few times in a row, the next one is tried less often.
 */
static bool
try_again(struct refusing *refusing, struct leat_flight_result *result)
{
    struct leat_flight *flight = refusing->flight;
    const struct leat_failure_policy *policy = &flight->runtime->config.failure;
    struct leat_consumer *consumer = flight->parts[0].consumer;
    int64_t tries = policy->retries < REFUSED_TRIES ? policy->retries : REFUSED_TRIES;

    tries >>= consumer->retries_in_vain;
    if (tries == 0 && policy->retries > 0)
        tries = 1;
    if ((int64_t)flight->refusals >= tries) {
        consumer->retries_in_vain += consumer->retries_in_vain < 3;
        return false;
    }
    consumer->tally->retries++;
    flight->retry_at_us = leat_clock_monotonic_us() +
                          leat_backoff_us(refusing->random, policy->backoff_base_us,
                                          policy->backoff_cap_us < REFUSED_CAP_US
                                              ? policy->backoff_cap_us
                                              : REFUSED_CAP_US,
                                          flight->refusals++);
    result->is_parked = true;
    return true;
}

/*
 * What refuses the rows by a class that leaves no doubt may be over, too: a neighbour that came and went, a trigger that looks at
 * others' rows. A lone record is diverted only if it is refused once more while it is tried.
 */
static enum leat_guilt
still_guilty(const struct leat_evidence_question *question, struct leat_error *err)
{
    enum leat_guilt guilt = LEAT_GUILT_ROWS;

    return leat_evidence_ask(question, &guilt, err) == 0 ? guilt : LEAT_GUILT_UNPROVEN;
}

/*
 * The rows are guilty, or (LEAT_GUILT_GONE) they would be taken now. Of several records the guilty one is looked for. A lone one
 * that would be taken is never diverted: it is sent again, later and later, and that it waits is said.
 */
static void
on_guilty(struct refusing *refusing, const struct leat_evidence_question *question,
          enum leat_guilt guilt, const struct leat_commit_result *refusal,
          struct leat_flight_result *result)
{
    struct leat_commit_result why = *refusal;
    struct leat_error err = {0};

    if (refusing->flight->parts[0].pending->records <= 1) {
        if (try_again(refusing, result))
            return;
        if (guilt == LEAT_GUILT_ROWS && refusal->outcome == LEAT_COMMIT_DATA)
            guilt = still_guilty(question, &err);
        if (guilt != LEAT_GUILT_ROWS) {
            if (guilt == LEAT_GUILT_UNPROVEN) {
                why.outcome = LEAT_COMMIT_TRANSIENT;
                snprintf(why.text, sizeof why.text, "%s", err.text);
                snprintf(why.sqlstate, sizeof why.sqlstate, "%s", err.sqlstate);
            } else {
                why.outcome = LEAT_COMMIT_REFUSED;
            }
            result->is_parked = true;
            park(refusing->flight, &why, refusing->random);
            return;
        }
    }
    why.outcome = LEAT_COMMIT_DATA;
    settle(refusing->flight, 0, &why);
}

static void
on_unproven(struct refusing *refusing, const struct leat_commit_result *refusal,
            struct leat_flight_result *result)
{
    const struct leat_pending *pending = refusing->flight->parts[0].pending;

    /* With what comes behind it there may be a row that is taken. */
    if (pending->records > 0 && pending->records < LEAT_PEEK_RECORDS && !pending->is_peek) {
        settle(refusing->flight, 0, refusal);
        return;
    }
    result->is_parked = true;
    park(refusing->flight, refusal, refusing->random);
}

static void
on_refused(struct refusing *refusing, const struct leat_commit_result *refusal,
           struct leat_flight_result *result)
{
    struct leat_flight *flight = refusing->flight;
    struct leat_evidence_question question = {
        .ops = flight->runtime->config.target,
        .committer = refusing->rows,
        .flush = refusing->flush,
        .is_thorough = flight->parts[0].pending->is_peek && flight->attempts == 0,
        .is_lost = refusing->is_lost,
    };
    struct leat_commit_result why = {.outcome = LEAT_COMMIT_TRANSIENT};
    enum leat_guilt guilt = LEAT_GUILT_ROWS;
    struct leat_error err = {0};
    /* Several records that take too long together, or end the connection, are not tried once more. */
    bool is_late = refusing->is_lost || strcmp(refusal->sqlstate, LEAT_SQLSTATE_CANCELLED) == 0;
    bool is_doubtful = refusal->outcome == LEAT_COMMIT_REFUSED &&
                       !(is_late && flight->parts[0].pending->records > 1);

    if (is_doubtful &&
        leat_evidence_judge(flight->runtime->evidence, &question, &guilt, &err) != 0) {
        snprintf(why.text, sizeof why.text, "%s", err.text);
        snprintf(why.sqlstate, sizeof why.sqlstate, "%s", err.sqlstate);
        result->is_parked = true;
        park(flight, &why, refusing->random);
    } else if (guilt == LEAT_GUILT_UNPROVEN && is_late) {
        why = *refusal;
        why.outcome = LEAT_COMMIT_TRANSIENT;
        result->is_parked = true;
        park(flight, &why, refusing->random);
    } else if (guilt == LEAT_GUILT_UNPROVEN) {
        on_unproven(refusing, refusal, result);
    } else {
        on_guilty(refusing, &question, guilt, refusal, result);
    }
}

/* Rows that take longer than a statement may are found like rows that are refused: a smaller commit may go through. */
static bool
is_refusal(const struct leat_flight *flight, struct leat_commit_result *result)
{
    if (result->outcome == LEAT_COMMIT_TRANSIENT && flight->attempts >= CANCELLED_TRIES &&
        strcmp(result->sqlstate, LEAT_SQLSTATE_CANCELLED) == 0)
        result->outcome = LEAT_COMMIT_REFUSED;
    return result->outcome == LEAT_COMMIT_DATA || result->outcome == LEAT_COMMIT_REFUSED;
}

/* Nothing of it was committed, and not for the first time: what is to be made of it instead of sending it again at once. */
static void
count_loss(struct leat_flight *flight, struct leat_commit_result *result)
{
    if (++flight->losses < 2)
        return;
    *result = flight->lost;
    result->outcome = flight->losses < LOST_TRIES ? LEAT_COMMIT_TRANSIENT : LEAT_COMMIT_REFUSED;
}

/* ---- a flight ---------------------------------------------------------------------------------- */

static void
count(struct leat_flight *flight, const struct leat_flush *flush, size_t row_count,
      int64_t begun_us, struct leat_flight_result *result)
{
    result->commit_us = leat_clock_monotonic_us() - begun_us;
    flight->runtime->counters.flushes++;
    flight->runtime->counters.rows_written += row_count;
    leat_histogram_add(&flight->runtime->counters.committing, result->commit_us);
    leat_evidence_see(flight->runtime->evidence, flush);
    for (size_t i = 0; flight->refusals > 0 && i < flight->count; i++)
        flight->parts[i].consumer->retries_in_vain = 0;
}

/* With what is left in the flight; where nothing is said it is sent again at once. */
static void
go_on(struct leat_flight *flight, struct refusing *refusing, struct leat_commit_result *rest,
      struct leat_flight_result *result)
{
    if (rest->outcome == LEAT_COMMIT_UNKNOWN) {
        flight->is_unknown = true;
        flight->lost = *rest;
    } else if ((rest->outcome == LEAT_COMMIT_CONFIGURATION || rest->outcome == LEAT_COMMIT_ANEW) &&
               flight->count > 1) {
        result->rest = split(flight);
    } else if (rest->outcome == LEAT_COMMIT_ANEW) {
        settle(flight, 0, rest);
    } else if (is_refusal(flight, rest)) {
        if (flight->count > 1)
            result->rest = split(flight);
        else
            on_refused(refusing, rest, result);
    } else if (rest->outcome != LEAT_COMMIT_AGAIN) {
        result->is_parked = true;
        park(flight, rest, refusing->random);
    }
}

struct leat_flight_result
leat_flight_fly(struct leat_flight *flight, const struct leat_store *store, void *rows,
                struct leat_random *random)
{
    struct leat_flight_result result = {0};
    struct leat_commit_result *results = LEAT_NEW_ARRAY(struct leat_commit_result, flight->count);
    struct leat_arena arena;

    leat_arena_init(&arena);
    drop_stale(flight);
    while (flight->count > 0 && result.rest == NULL && !result.is_parked) {
        int64_t begun_us = leat_clock_monotonic_us();
        struct leat_flush flush;
        size_t row_count;
        struct leat_commit_result rest;
        struct leat_error err = {0};
        bool was_unknown = flight->is_unknown;

        drop_outdated(flight, rows);
        if (flight->count == 0)
            break;
        flush = make_flush(flight, &arena);
        row_count = rows_of(&flush);

        LEAT_POINT("flight.before");
        if (send(flight, store, rows, &flush, results, &err) != 0)
            set_all(results, flight->count, &err);
        else
            flight->is_unknown = false;
        LEAT_POINT("flight.after");
        if (results[0].outcome == LEAT_COMMITTED)
            count(flight, &flush, row_count, begun_us, &result);
        rest = sort_out(flight, results, &result);
        if (was_unknown && rest.outcome == LEAT_COMMIT_AGAIN)
            count_loss(flight, &rest);
        if (flight->count > 0)
            go_on(flight, &(struct refusing){flight, &flush, rows, random, was_unknown}, &rest,
                  &result);
        leat_arena_reset(&arena);
    }
    leat_arena_release(&arena);
    free(results);
    return result;
}
