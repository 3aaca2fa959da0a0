/*
 * PutRecords: many records, in calls of the service's limits. Inside a 200 single records may have failed: those alone are
 * sent again, after a wait. A call that failed as a whole was already tried again by leat_aws_run.
 *
 * What became of each record is told per record, whatever the return value. A call whose answer was lost leaves its records
 * UNKNOWN: they may be stored.
 */
#include <json-c/json.h>
#include <stdlib.h>

#include "aws/kinesis_internal.h"
#include "base/clock.h"
#include "base/memory.h"

struct batch {
    const char *stream;
    struct leat_kinesis_put *records;
    const size_t *places; /* of the batch's records */
    size_t count;
};

static void
write_put(struct leat_wire *wire, const void *context)
{
    const struct batch *batch = context;

    leat_wire_object(wire, NULL, 2);
    leat_wire_text(wire, "StreamName", leat_slice_from(batch->stream));
    leat_wire_array(wire, "Records", batch->count);
    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_kinesis_put *record = &batch->records[batch->places[i]];
        bool has_hash_key = record->explicit_hash_key.size > 0;

        leat_wire_object(wire, NULL, has_hash_key ? 3 : 2);
        leat_wire_bytes(wire, "Data", record->data);
        leat_wire_text(wire, "PartitionKey", record->partition_key);
        if (has_hash_key)
            leat_wire_text(wire, "ExplicitHashKey", record->explicit_hash_key);
        leat_wire_object_end(wire);
    }
    leat_wire_array_end(wire);
    leat_wire_object_end(wire);
}

static void
keep(char *kept, size_t size, struct leat_slice text)
{
    snprintf(kept, size, "%.*s", (int)(text.size < size ? text.size : size - 1),
             (const char *)text.data);
}

static void
read_result(struct json_object *object, struct leat_kinesis_put *record)
{
    struct leat_slice text;

    record->error_type[0] = '\0';
    if (leat_json_get_text(object, "ErrorCode", &text) && text.size > 0) {
        struct leat_fault fault;

        leat_fault_classify(400, text, &fault);
        keep(record->error_type, sizeof record->error_type, text);
        record->result = fault.kind == LEAT_FAULT_THROTTLED   ? LEAT_E_THROTTLED
                         : fault.kind == LEAT_FAULT_SERVER    ? LEAT_E_UNAVAILABLE
                         : fault.kind == LEAT_FAULT_DENIED    ? LEAT_E_DENIED
                         : fault.kind == LEAT_FAULT_NOT_FOUND ? LEAT_E_NOT_FOUND
                                                              : LEAT_E_INVALID;
        return;
    }
    /* It says that it is stored. Where is another matter: what cannot be kept whole is not kept. */
    record->result = LEAT_E_FORMAT;
    if (leat_json_get_text(object, "SequenceNumber", &text) && text.size > 0 &&
        text.size < sizeof record->sequence) {
        keep(record->sequence, sizeof record->sequence, text);
        record->result = 0;
    }
    if (leat_json_get_text(object, "ShardId", &text) && text.size < sizeof record->shard)
        keep(record->shard, sizeof record->shard, text);
}

/* One call. 0: each record of the batch has its result. Else all of them have the call's. */
static int
put_batch(struct leat_kinesis *kinesis, const struct batch *batch, struct leat_error *err)
{
    struct leat_kinesis_action action = {.name = "PutRecords",
                                         .kind = "stream",
                                         .subject = leat_slice_from(batch->stream),
                                         .write = write_put,
                                         .context = batch,
                                         .is_put = true};
    struct json_object *root, *results;
    int result;

    for (size_t i = 0; i < batch->count; i++)
        batch->records[batch->places[i]].attempts++;
    result = leat_kinesis_run(kinesis, &action, &root, err);
    if (result == 0) {
        results = leat_json_get(root, "Records");
        if (!json_object_is_type(results, json_type_array) ||
            json_object_array_length(results) != batch->count)
            result = leat_error_set(err, LEAT_E_UNKNOWN,
                                    "kinesis PutRecords of stream \"%s\": the answer does not "
                                    "list the records that were put",
                                    batch->stream);
        for (size_t i = 0; result == 0 && i < batch->count; i++)
            read_result(json_object_array_get_idx(results, i), &batch->records[batch->places[i]]);
        json_object_put(root);
    } else if (result == LEAT_E_TIMEOUT || result == LEAT_E_FORMAT ||
               (result == LEAT_E_UNAVAILABLE && err->http_status == 0 &&
                strstr(err->text, "could not connect") == NULL)) {
        result = err->code = LEAT_E_UNKNOWN; /* it was sent, and the answer was lost */
    }
    for (size_t i = 0; result < 0 && i < batch->count; i++)
        batch->records[batch->places[i]].result = result;
    return result;
}

/* How many of the places fit into one call. */
static size_t
batch_size(const struct leat_kinesis_put *records, const size_t *places, size_t count)
{
    size_t bytes = 0, taken = 0;

    while (taken < count && taken < LEAT_KINESIS_PUT_RECORDS) {
        const struct leat_kinesis_put *record = &records[places[taken]];
        size_t size = record->data.size + record->partition_key.size;

        if (taken > 0 && bytes + size > LEAT_KINESIS_PUT_BYTES)
            break;
        bytes += size;
        taken++;
    }
    return taken;
}

static bool
is_worth_retrying(int result)
{
    return result == LEAT_E_THROTTLED || result == LEAT_E_UNAVAILABLE;
}

/* All places once; those worth another attempt move to the front. Returns how many, or the error that ends all. */
static int
put_round(struct leat_kinesis *kinesis, struct batch *batch, size_t *places, size_t *count,
          struct leat_error *err)
{
    size_t kept = 0;

    for (size_t begin = 0; begin < *count; begin += batch->count) {
        int result;

        batch->places = places + begin;
        batch->count = batch_size(batch->records, batch->places, *count - begin);
        result = put_batch(kinesis, batch, err);
        if (result < 0) {
            for (size_t i = begin + batch->count; i < *count; i++)
                batch->records[places[i]].result = result == LEAT_E_UNKNOWN ? LEAT_E_UNAVAILABLE
                                                                            : result;
            return result;
        }
        for (size_t i = 0; i < batch->count; i++) {
            if (is_worth_retrying(batch->records[batch->places[i]].result))
                places[kept++] = batch->places[i];
        }
    }
    *count = kept;
    return 0;
}

static int
sum_up(const char *stream, const struct leat_kinesis_put *records, size_t count,
       struct leat_error *err)
{
    size_t failed = 0, first = 0;

    for (size_t i = count; i > 0; i--) {
        if (records[i - 1].result < 0) {
            failed++;
            first = i - 1;
        }
    }
    if (failed == 0)
        return 0;
    return leat_error_set(err, records[first].result,
                          "kinesis PutRecords of stream \"%s\": %zu of %zu records failed, the "
                          "first one with %s after %u attempts",
                          stream, failed, count,
                          records[first].error_type[0] != '\0'     ? records[first].error_type
                          : records[first].result == LEAT_E_FORMAT ? "no SequenceNumber that can be"
                                                                   : "no answer",
                          records[first].attempts);
}

static void
begin_record(struct leat_kinesis_put *record)
{
    record->result = LEAT_E_UNAVAILABLE;
    record->attempts = 0;
    record->sequence[0] = record->shard[0] = record->error_type[0] = '\0';
}

int
leat_kinesis_put_once(struct leat_kinesis *kinesis, const char *stream,
                      struct leat_kinesis_put *records, size_t count, struct leat_error *err)
{
    LEAT_AUTO_FREE size_t *places = LEAT_NEW_ARRAY(size_t, count + 1);
    struct batch batch = {stream, records, places, count};

    for (size_t i = 0; i < count; i++) {
        places[i] = i;
        begin_record(&records[i]);
    }
    return put_batch(kinesis, &batch, err);
}

int
leat_kinesis_put_records(struct leat_kinesis *kinesis, const char *stream,
                         struct leat_kinesis_put *records, size_t count, struct leat_error *err)
{
    static const struct leat_retry_policy policy = {.maximum_attempts = 10};
    struct batch batch = {.stream = stream, .records = records};
    LEAT_AUTO_FREE size_t *places = LEAT_NEW_ARRAY(size_t, count + 1);
    struct leat_retry_state state;
    struct leat_error local;
    size_t pending = count;

    if (err == NULL)
        err = &local;
    for (size_t i = 0; i < count; i++) {
        places[i] = i;
        begin_record(&records[i]);
    }
    leat_retry_begin(&state, leat_clock_monotonic_us());
    while (pending > 0) {
        struct leat_fault fault = {.kind = LEAT_FAULT_THROTTLED};
        struct leat_retry_verdict verdict;
        int64_t now_us;
        int result = put_round(kinesis, &batch, places, &pending, err);

        if (result < 0)
            return result;
        if (pending == 0)
            break;
        if (records[places[0]].result == LEAT_E_UNAVAILABLE)
            fault.kind = LEAT_FAULT_SERVER;
        now_us = leat_clock_monotonic_us();
        verdict = leat_retry_decide(&policy, &state, &fault, now_us, 0,
                                    leat_aws_client_random(kinesis->client));
        if (verdict.action != LEAT_RETRY_WAIT)
            break;
        if (!leat_aws_client_wait(kinesis->client, now_us + verdict.wait_us))
            return leat_error_set(err, LEAT_E_CANCELLED, "kinesis PutRecords: cancelled");
    }
    return sum_up(stream, records, count, err);
}
