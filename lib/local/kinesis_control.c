/* The control requests of scripts, under /_leat/: faults, clock, trimming, counters. Not signed, not counted as calls. */
#include <inttypes.h>
#include <json-c/json.h>

#include "base/clock.h"
#include "base/json.h"
#include "local/kinesis_inside.h"

static void
write_streams(struct leat_local_kinesis *server, struct leat_json *json) LEAT_REQUIRES(server->lock)
{
    leat_json_array(json, "streams");
    for (size_t i = 0; i < server->store.stream_count; i++) {
        const struct leat_local_stream *stream = server->store.streams[i];
        uint64_t records = 0, stored = 0;

        for (size_t j = 0; j < stream->shard_count; j++) {
            records += stream->shards[j]->last;
            stored += stream->shards[j]->last + 1 - stream->shards[j]->first;
        }
        leat_json_object(json, NULL);
        leat_json_text(json, "name", stream->name);
        leat_json_text(json, "status", leat_local_state_text(stream->state));
        leat_json_integer(json, "shards", (int64_t)stream->shard_count);
        leat_json_integer(json, "open_shards", (int64_t)stream->open_count);
        leat_json_integer(json, "records_put", (int64_t)records);
        leat_json_integer(json, "records_stored", (int64_t)stored);
        leat_json_object_end(json);
    }
    leat_json_array_end(json);
}

static void
write_counts(const struct leat_local_kinesis_counts *counts, struct leat_json *json)
{
    leat_json_object(json, "counts");
    leat_json_integer(json, "calls", (int64_t)counts->calls);
    leat_json_integer(json, "refused", (int64_t)counts->refused);
    leat_json_integer(json, "throttled", (int64_t)counts->throttled);
    leat_json_integer(json, "unsigned", (int64_t)counts->unsigned_calls);
    leat_json_integer(json, "faults", (int64_t)counts->faults);
    leat_json_integer(json, "records_in", (int64_t)counts->records_in);
    leat_json_integer(json, "bytes_in", (int64_t)counts->bytes_in);
    leat_json_integer(json, "records_out", (int64_t)counts->records_out);
    leat_json_integer(json, "bytes_out", (int64_t)counts->bytes_out);
    leat_json_integer(json, "records_trimmed", (int64_t)counts->records_trimmed);
    leat_json_integer(json, "stored_bytes", (int64_t)counts->stored_bytes);
    leat_json_integer(json, "connections", (int64_t)counts->connections);
    leat_json_object_end(json);
}

static void
write_state(struct leat_local_kinesis *server, struct leat_buf *out)
{
    struct leat_local_kinesis_counts counts;
    int64_t now_us = leat_local_kinesis_now_us(server);
    struct leat_json json;

    leat_local_kinesis_counts(server, &counts);
    leat_json_begin(&json, out);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "endpoint", server->endpoint);
    leat_json_integer(&json, "now_ms", now_us / LEAT_MS_US);
    write_counts(&counts, &json);
    leat_mutex_lock(&server->lock);
    leat_local_store_settle(&server->store, now_us);
    leat_json_object(&json, "actions");
    for (size_t i = 0; i < LEAT_LOCAL_ACTIONS; i++)
        leat_json_integer(&json, leat_local_actions[i].name, (int64_t)server->calls[i]);
    leat_json_object_end(&json);
    write_streams(server, &json);
    leat_local_faults_write(&server->faults, &json);
    leat_mutex_unlock(&server->lock);
    leat_json_object_end(&json);
}

/* ---- requests -------------------------------------------------------------------------------- */

static int
add_faults(struct leat_local_kinesis *server, struct json_object *root, struct leat_error *err)
{
    bool is_list = json_object_is_type(root, json_type_array);
    size_t count = is_list ? json_object_array_length(root) : 1;

    /* All or none. */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++) {
            struct leat_local_fault fault;
            int result = leat_local_fault_parse(is_list ? json_object_array_get_idx(root, i) : root,
                                                &fault, err);

            if (result < 0)
                return result;
            if (round == 1)
                leat_local_kinesis_fault(server, &fault);
        }
    }
    return 0;
}

static int
trim(struct leat_local_kinesis *server, struct json_object *root, struct leat_error *err)
{
    struct json_object *stream = leat_json_get(root, "stream"),
                       *shard = leat_json_get(root, "shard");
    int64_t before_ms;

    if (!json_object_is_type(stream, json_type_string))
        return leat_error_set(err, LEAT_E_INVALID, "\"stream\" is missing");
    if (!leat_json_get_integer(root, "before_ms", &before_ms) || before_ms < 0 ||
        before_ms > INT64_MAX / LEAT_MS_US)
        before_ms = INT64_MAX / LEAT_MS_US;
    return leat_local_kinesis_trim(
        server, json_object_get_string(stream),
        json_object_is_type(shard, json_type_string) ? json_object_get_string(shard) : NULL,
        before_ms == INT64_MAX / LEAT_MS_US ? INT64_MAX : before_ms * LEAT_MS_US, err);
}

static int
reshard(struct leat_local_kinesis *server, struct json_object *root, bool is_merge,
        struct leat_error *err)
{
    struct json_object *stream = leat_json_get(root, "stream"),
                       *shard = leat_json_get(root, "shard"),
                       *adjacent = leat_json_get(root, "adjacent_shard");

    if (!json_object_is_type(stream, json_type_string) ||
        !json_object_is_type(shard, json_type_string) ||
        (is_merge && !json_object_is_type(adjacent, json_type_string)))
        return leat_error_set(err, LEAT_E_INVALID,
                              "\"stream\", \"shard\" or \"adjacent_shard\" is missing");
    return is_merge ? leat_local_kinesis_merge(server, json_object_get_string(stream),
                                               json_object_get_string(shard),
                                               json_object_get_string(adjacent), err)
                    : leat_local_kinesis_split(server, json_object_get_string(stream),
                                               json_object_get_string(shard), err);
}

static int
shift_clock(struct leat_local_kinesis *server, struct json_object *root, struct leat_error *err)
{
    int64_t shift_ms;

    if (!leat_json_get_integer(root, "shift_ms", &shift_ms) || shift_ms > INT64_C(1) << 40 ||
        shift_ms < -(INT64_C(1) << 40))
        return leat_error_set(err, LEAT_E_INVALID, "\"shift_ms\" is missing or too much");
    leat_local_kinesis_shift_clock(server, shift_ms * LEAT_MS_US);
    return 0;
}

/* LEAT_E_NOT_FOUND: there is no such request. */
static int
run_post(struct leat_local_kinesis *server, const struct leat_local_request *request,
         struct leat_error *err)
{
    struct json_object *root = NULL;
    int result = LEAT_E_NOT_FOUND;

    if (leat_json_parse(leat_slice_make(request->body, request->body_size), &root, err) < 0)
        return LEAT_E_INVALID;
    leat_error_set(err, LEAT_E_NOT_FOUND, "there is no such request");
    if (leat_slice_is(request->path, "/_leat/faults"))
        result = add_faults(server, root, err);
    else if (leat_slice_is(request->path, "/_leat/trim"))
        result = trim(server, root, err);
    else if (leat_slice_is(request->path, "/_leat/split"))
        result = reshard(server, root, false, err);
    else if (leat_slice_is(request->path, "/_leat/merge"))
        result = reshard(server, root, true, err);
    else if (leat_slice_is(request->path, "/_leat/clock"))
        result = shift_clock(server, root, err);
    json_object_put(root);
    return result;
}

void
leat_local_control(struct leat_local_kinesis *server, const struct leat_local_request *request,
                   struct leat_local_answer *answer)
{
    struct leat_error err = {.text = "there is no such request"};
    int result = LEAT_E_NOT_FOUND;
    struct leat_json json;

    leat_local_http_header(answer, "Content-Type", "application/json");
    if (leat_slice_is(request->method, "POST")) {
        result = run_post(server, request, &err);
    } else if (leat_slice_is(request->method, "DELETE") &&
               leat_slice_is(request->path, "/_leat/faults")) {
        leat_local_kinesis_clear_faults(server);
        result = 0;
    } else if (leat_slice_is(request->method, "GET") &&
               leat_slice_is(request->path, "/_leat/state")) {
        write_state(server, &answer->body);
        return;
    }
    leat_json_begin(&json, &answer->body);
    leat_json_object(&json, NULL);
    if (result < 0) {
        answer->status = result == LEAT_E_NOT_FOUND ? 404 : 400;
        leat_json_text(&json, "error", err.text);
    }
    leat_json_object_end(&json);
}
