/* The local Kinesis as a thing: made, freed, asked and told by C. Its lock is a leaf, and never held over I/O. */
#include "local/kinesis.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "local/kinesis_inside.h"

const struct leat_local_limits leat_local_limits_aws = {
    .reads = 5,
    .read_bytes = 2000000,
    .write_records = 1000,
    .write_bytes = 1000000,
    .lists = 100,
};

static int64_t
http_now(void *context)
{
    return leat_local_kinesis_now_us(context);
}

static void
server_free(struct leat_local_kinesis *server)
{
    leat_is_unshared();
    leat_local_store_release(&server->store);
    leat_local_faults_release(&server->faults);
    leat_credentials_release(&server->credentials.known);
    free(server->credentials.expired_token);
    leat_mutex_release(&server->lock);
    free(server);
}

static void
take_options(struct leat_local_kinesis *server, const struct leat_local_kinesis_options *options)
{
    leat_is_unshared();
    snprintf(server->region, sizeof server->region, "%s",
             options->region != NULL && options->region[0] != '\0' ? options->region : "us-east-1");
    server->identity = (uint64_t)leat_random_identity();
    server->iterator_us = options->iterator_us > 0 ? options->iterator_us : 300 * LEAT_SECOND_US;
    server->issuer = options->issuer;
    server->page_shards = options->page_shards > 0 ? options->page_shards : 1000;
    leat_mutex_init(&server->lock);
    leat_local_store_init(&server->store);
    server->store.change_us = options->change_us;
    server->store.limits = options->limits;
    if (options->retention_us > 0)
        server->store.retention_us = options->retention_us;
    if (options->maximum_bytes > 0)
        server->store.maximum_bytes = options->maximum_bytes;
    if (options->record_bytes > 0)
        server->store.record_bytes = options->record_bytes;
    leat_random_seed(&server->faults.random, options->seed);
}

struct leat_local_kinesis *
leat_local_kinesis_new(const struct leat_local_kinesis_options *options, struct leat_error *err)
{
    struct leat_local_kinesis *server = LEAT_NEW(struct leat_local_kinesis);
    struct leat_local_http_options http = {.port = options->port,
                                           .threads = options->threads,
                                           .now_us = http_now,
                                           .handle = leat_local_handle,
                                           .context = server};

    take_options(server, options);
    if (options->access_key_id != NULL && options->access_key_id[0] != '\0')
        leat_local_kinesis_set_credentials(server, options->access_key_id,
                                           options->secret_access_key, options->session_token);
    server->http = leat_local_http_start(&http, err);
    if (server->http == NULL) {
        leat_error_prefix(err, "local kinesis");
        server_free(server);
        return NULL;
    }
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%u",
             leat_local_http_port(server->http));
    return server;
}

void
leat_local_kinesis_free(struct leat_local_kinesis *server)
{
    if (server == NULL)
        return;
    leat_local_http_stop(server->http);
    server_free(server);
}

uint16_t
leat_local_kinesis_port(const struct leat_local_kinesis *server)
{
    return leat_local_http_port(server->http);
}

const char *
leat_local_kinesis_endpoint(const struct leat_local_kinesis *server)
{
    return server->endpoint;
}

/* ---- streams --------------------------------------------------------------------------------- */

static int
tell(const struct leat_local_refusal *refusal, struct leat_error *err)
{
    int code = LEAT_E_INVALID;

    if (strcmp(refusal->type, "ResourceNotFoundException") == 0)
        code = LEAT_E_NOT_FOUND;
    else if (strcmp(refusal->type, "ResourceInUseException") == 0)
        code = LEAT_E_CONFLICT;
    else if (strcmp(refusal->type, "LimitExceededException") == 0)
        code = LEAT_E_LIMIT;
    return leat_error_set(err, code, "local kinesis: %s: %s", refusal->type, refusal->message);
}

int
leat_local_kinesis_create_stream(struct leat_local_kinesis *server, const char *stream,
                                 unsigned shards, struct leat_error *err)
{
    struct leat_local_refusal refusal;
    int64_t now_us = leat_local_kinesis_now_us(server);
    int result;

    leat_mutex_lock(&server->lock);
    leat_local_store_settle(&server->store, now_us);
    result = leat_local_store_create(&server->store, leat_slice_from(stream), shards, now_us, 0,
                                     &refusal);
    leat_mutex_unlock(&server->lock);
    return result < 0 ? tell(&refusal, err) : 0;
}

int
leat_local_kinesis_delete_stream(struct leat_local_kinesis *server, const char *stream,
                                 struct leat_error *err)
{
    struct leat_local_refusal refusal;
    int64_t now_us = leat_local_kinesis_now_us(server);
    int result;

    leat_mutex_lock(&server->lock);
    leat_local_store_settle(&server->store, now_us);
    result = leat_local_store_delete(&server->store, leat_slice_from(stream),
                                     now_us - server->store.change_us, &refusal);
    leat_mutex_unlock(&server->lock);
    return result < 0 ? tell(&refusal, err) : 0;
}

/* more than five: see the header. */
int
leat_local_kinesis_put(struct leat_local_kinesis *server, const char *stream,
                       struct leat_slice partition_key, struct leat_slice hash_key,
                       struct leat_slice data, char ret_sequence[LEAT_LOCAL_SEQUENCE_BYTES],
                       struct leat_error *err)
{
    struct leat_local_record record = {.partition_key = partition_key, .data = data};
    int64_t now_us = leat_local_kinesis_now_us(server);
    struct leat_local_refusal refusal;
    struct leat_local_stream *found;

    if (partition_key.size == 0 || partition_key.size > 1024 || data.size > LEAT_LOCAL_READ_BYTES)
        return leat_error_set(err, LEAT_E_INVALID, "local kinesis: the record's key or size");
    if (hash_key.size == 0)
        leat_hash_key_of(partition_key, &record.hash_key);
    else if (!leat_hash_key_parse(hash_key, &record.hash_key))
        return leat_error_set(err, LEAT_E_INVALID, "local kinesis: the hash key is not one");
    leat_mutex_lock(&server->lock);
    leat_local_store_settle(&server->store, now_us);
    found = leat_local_store_find(&server->store, leat_slice_from(stream), &refusal);
    if (found != NULL) {
        struct leat_local_shard *shard = leat_local_stream_route(found, record.hash_key);
        uint64_t number = leat_local_shard_append(&server->store, shard, &record, now_us);

        server->counts.records_in++;
        server->counts.bytes_in += data.size + partition_key.size;
        if (ret_sequence != NULL)
            leat_local_sequence_format(shard, number, ret_sequence);
    }
    leat_mutex_unlock(&server->lock);
    return found == NULL ? tell(&refusal, err) : 0;
}

/* Both reshards. adjacent NULL: a split. */
static int
reshard_now(struct leat_local_kinesis *server, const char *stream, const char *shard,
            const char *adjacent, struct leat_local_refusal *refusal) LEAT_REQUIRES(server->lock)
{
    struct leat_local_store *store = &server->store;
    int64_t now_us = leat_local_kinesis_now_us(server), change_us = store->change_us;
    struct leat_local_stream *found;
    struct leat_local_shard *first, *second;
    int result = LEAT_E_INVALID;

    leat_local_store_settle(store, now_us);
    found = leat_local_store_find(store, leat_slice_from(stream), refusal);
    if (found == NULL)
        return result;
    first = leat_local_stream_shard(found, leat_slice_from(shard), refusal);
    if (first == NULL)
        return result;
    store->change_us = 0;
    if (adjacent == NULL) {
        result = leat_local_store_split(store, found, first, NULL, now_us, refusal);
    } else {
        second = leat_local_stream_shard(found, leat_slice_from(adjacent), refusal);
        if (second != NULL)
            result = leat_local_store_merge(store, found, first, second, now_us, refusal);
    }
    store->change_us = change_us;
    return result;
}

int
leat_local_kinesis_split(struct leat_local_kinesis *server, const char *stream, const char *shard,
                         struct leat_error *err)
{
    struct leat_local_refusal refusal;
    int result;

    leat_mutex_lock(&server->lock);
    result = reshard_now(server, stream, shard, NULL, &refusal);
    leat_mutex_unlock(&server->lock);
    return result < 0 ? tell(&refusal, err) : 0;
}

int
leat_local_kinesis_merge(struct leat_local_kinesis *server, const char *stream, const char *shard,
                         const char *adjacent_shard, struct leat_error *err)
{
    struct leat_local_refusal refusal;
    int result;

    leat_mutex_lock(&server->lock);
    result = reshard_now(server, stream, shard, adjacent_shard, &refusal);
    leat_mutex_unlock(&server->lock);
    return result < 0 ? tell(&refusal, err) : 0;
}

static int
trim_locked(struct leat_local_kinesis *server, const char *stream, const char *shard,
            int64_t before_us, struct leat_local_refusal *refusal) LEAT_REQUIRES(server->lock)
{
    struct leat_local_stream *found;
    struct leat_local_shard *only = NULL;

    leat_local_store_settle(&server->store, leat_local_kinesis_now_us(server));
    found = leat_local_store_find(&server->store, leat_slice_from(stream), refusal);
    if (found == NULL)
        return LEAT_E_INVALID;
    if (shard != NULL) {
        only = leat_local_stream_shard(found, leat_slice_from(shard), refusal);
        if (only == NULL)
            return LEAT_E_INVALID;
    }
    for (size_t i = 0; i < found->shard_count; i++) {
        struct leat_local_shard *each = found->shards[i];

        if (only != NULL && each != only)
            continue;
        leat_local_shard_trim(&server->store, each, before_us);
        each->is_gone = each->is_gone || (each->closed_us != 0 && each->first > each->last);
    }
    return 0;
}

int
leat_local_kinesis_trim(struct leat_local_kinesis *server, const char *stream, const char *shard,
                        int64_t before_us, struct leat_error *err)
{
    struct leat_local_refusal refusal;
    int result;

    leat_mutex_lock(&server->lock);
    result = trim_locked(server, stream, shard, before_us, &refusal);
    leat_mutex_unlock(&server->lock);
    return result < 0 ? tell(&refusal, err) : 0;
}

/* ---- the world around it --------------------------------------------------------------------- */

void
leat_local_kinesis_shift_clock(struct leat_local_kinesis *server, int64_t by_us)
{
    atomic_fetch_add(&server->shift_us, by_us);
}

int64_t
leat_local_kinesis_now_us(struct leat_local_kinesis *server)
{
    return leat_clock_wall_us() + atomic_load(&server->shift_us);
}

void
leat_local_kinesis_set_limits(struct leat_local_kinesis *server,
                              const struct leat_local_limits *limits)
{
    leat_mutex_lock(&server->lock);
    server->store.limits = *limits;
    leat_mutex_unlock(&server->lock);
}

void
leat_local_kinesis_set_credentials(struct leat_local_kinesis *server, const char *access_key_id,
                                   const char *secret_access_key, const char *session_token)
{
    struct leat_credentials *known;

    leat_mutex_lock(&server->lock);
    known = &server->credentials.known;
    if (known->session_token != NULL) {
        free(server->credentials.expired_token);
        server->credentials.expired_token = leat_strdup(known->session_token);
    }
    leat_credentials_release(known);
    if (access_key_id != NULL)
        leat_credentials_set(known, leat_slice_from(access_key_id),
                             leat_slice_from(secret_access_key), leat_slice_from(session_token));
    leat_mutex_unlock(&server->lock);
}

void
leat_local_kinesis_fault(struct leat_local_kinesis *server, const struct leat_local_fault *fault)
{
    leat_mutex_lock(&server->lock);
    leat_local_faults_add(&server->faults, fault);
    leat_mutex_unlock(&server->lock);
}

void
leat_local_kinesis_clear_faults(struct leat_local_kinesis *server)
{
    leat_mutex_lock(&server->lock);
    leat_local_faults_clear(&server->faults);
    leat_mutex_unlock(&server->lock);
}

/* ---- what happened --------------------------------------------------------------------------- */

void
leat_local_kinesis_counts(struct leat_local_kinesis *server,
                          struct leat_local_kinesis_counts *ret_counts)
{
    leat_mutex_lock(&server->lock);
    *ret_counts = server->counts;
    ret_counts->faults = server->faults.fired;
    ret_counts->records_trimmed = server->store.records_trimmed;
    ret_counts->stored_bytes = server->store.bytes;
    leat_mutex_unlock(&server->lock);
    ret_counts->connections = leat_local_http_connections(server->http);
}

uint64_t
leat_local_kinesis_calls(struct leat_local_kinesis *server, const char *action)
{
    uint64_t calls = 0;

    leat_mutex_lock(&server->lock);
    for (size_t i = 0; i < LEAT_LOCAL_ACTIONS; i++) {
        if (strcmp(leat_local_actions[i].name, action) == 0)
            calls = server->calls[i];
    }
    leat_mutex_unlock(&server->lock);
    return calls;
}
