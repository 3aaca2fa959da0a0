/* S3 as the archive: one object a letter, many under way on one loop. Credentials are the client's; trying again is the caller's. */
#include "failure/archive_s3.h"

#include <stdlib.h>

#include "aws/s3.h"
#include "base/memory.h"

#define PARALLEL 128
#define BUFFER_BYTES ((size_t)16 << 10) /* an answer is a few headers */
#define PREFIX_BYTES 500                /* a name takes up to 480 of a key's 1,024 */

struct bucket {
    struct leat_archive archive;
    struct leat_aws aws;
    struct leat_s3 *s3;
    struct leat_event_loop *loop;
    struct flight *flights; /* under way, doubly linked */
    char *name, *prefix;
};

struct flight {
    struct flight *next, *previous;
    struct bucket *bucket;
    struct leat_s3_call *call;
    struct leat_archive_put put;
    struct leat_buf key;
};

static void
flight_free(struct flight *flight)
{
    if (flight->previous != NULL)
        flight->previous->next = flight->next;
    else
        flight->bucket->flights = flight->next;
    if (flight->next != NULL)
        flight->next->previous = flight->previous;
    leat_buf_release(&flight->key);
    free(flight);
}

static void
on_done(void *context, int status, const struct leat_error *err)
{
    struct flight *flight = context;
    struct leat_archive_put put = flight->put;
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;

    leat_buf_printf(&url, "s3://%s/%s", flight->bucket->name, leat_buf_text(&flight->key));
    flight_free(flight);
    put.done(put.context, status, leat_buf_slice(&url), err);
}

static void
bucket_start(struct leat_archive *archive, const struct leat_archive_put *put)
{
    struct bucket *bucket = (struct bucket *)archive;
    struct flight *flight = LEAT_NEW(struct flight);
    struct leat_s3_put object = {
        .bucket = bucket->name,
        .body = put->body,
        .content_type = "application/json",
        .done = on_done,
        .context = flight,
    };

    flight->bucket = bucket;
    flight->put = *put;
    flight->next = bucket->flights;
    if (flight->next != NULL)
        flight->next->previous = flight;
    bucket->flights = flight;
    leat_buf_init(&flight->key, SIZE_MAX);
    leat_buf_printf(&flight->key, "%s%s", bucket->prefix, put->name);
    object.key = leat_buf_slice(&flight->key);
    flight->call = leat_s3_put_start(bucket->s3, bucket->loop, &object);
}

static void
bucket_run(struct leat_archive *archive, int64_t deadline_us)
{
    leat_event_loop_run_once(((struct bucket *)archive)->loop, deadline_us);
}

static void
bucket_wake(struct leat_archive *archive)
{
    leat_event_loop_wake(((struct bucket *)archive)->loop);
}

static void
bucket_abandon(struct leat_archive *archive)
{
    struct bucket *bucket = (struct bucket *)archive;

    while (bucket->flights != NULL) {
        leat_s3_cancel(bucket->flights->call);
        flight_free(bucket->flights);
    }
}

static void
bucket_close(struct leat_archive *archive)
{
    struct bucket *bucket = (struct bucket *)archive;

    bucket_abandon(archive);
    leat_event_loop_free(bucket->loop);
    leat_s3_free(bucket->s3);
    free(bucket->name);
    free(bucket->prefix);
    free(bucket);
}

static const struct leat_archive_ops bucket_ops = {
    "s3", PARALLEL, true, bucket_start, bucket_run, bucket_wake, bucket_abandon, bucket_close,
};

static int
connect(struct bucket *bucket, struct leat_error *err)
{
    struct leat_event_loop_options options = {
        .ca_bundle = bucket->aws.ca_bundle,
        .idle_connections = PARALLEL,
        .receive_buffer_bytes = BUFFER_BYTES,
    };

    bucket->s3 = leat_s3_new(&bucket->aws, err);
    if (bucket->s3 != NULL)
        bucket->loop = leat_event_loop_new(&options, err);
    return bucket->loop != NULL ? 0 : err->code;
}

int
leat_archive_s3_open(const char *address, const struct leat_aws *aws,
                     struct leat_archive **ret_archive, struct leat_error *err)
{
    size_t name_size = strcspn(address, "/");
    const char *prefix = address[name_size] == '/' ? address + name_size + 1 : "";
    LEAT_AUTO_BUF ended = LEAT_BUF_INIT;
    struct bucket *bucket;

    if (name_size == 0)
        return leat_error_set(err, LEAT_E_INVALID, "archive url \"s3://%s\" names no bucket",
                              address);
    if (strlen(prefix) > PREFIX_BYTES)
        return leat_error_set(
            err, LEAT_E_INVALID,
            "archive url \"s3://%.80s…\": a prefix of %zu bytes leaves no room for "
            "the names of letters: at most %d",
            address, strlen(prefix), PREFIX_BYTES);
    bucket = LEAT_NEW(struct bucket);
    bucket->archive.ops = &bucket_ops;
    bucket->aws = *aws;
    bucket->name = leat_slice_strdup(leat_slice_make(address, name_size));
    leat_buf_add_text(&ended, prefix);
    if (ended.size > 0 && ended.data[ended.size - 1] != '/')
        leat_buf_add_byte(&ended, '/');
    bucket->prefix = leat_buf_take(&ended);
    if (connect(bucket, err) != 0) {
        bucket_close(&bucket->archive);
        return err->code;
    }
    *ret_archive = &bucket->archive;
    return 0;
}
