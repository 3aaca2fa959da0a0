/* What the actions do with buckets and objects. Hashes are computed, and bytes copied, before the lock is taken. */
#include <openssl/evp.h>
#include <strings.h>

#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"
#include "local/s3_inside.h"

/* ---- buckets --------------------------------------------------------------------------------------- */

bool
leat_local_s3_is_bucket_name(struct leat_slice name)
{
    if (name.size < 3 || name.size > 63)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = name.data[i];
        bool is_edge = i == 0 || i == name.size - 1;

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (!is_edge && (c == '-' || c == '.'))))
            return false;
    }
    return true;
}

static void
create_bucket(struct leat_local_s3 *server, struct leat_local_s3_call *call)
    LEAT_REQUIRES(server->lock)
{
    if (!leat_local_s3_is_bucket_name(call->bucket)) {
        leat_local_s3_refuse(call, 400, "InvalidBucketName", "The specified bucket is not valid");
        return;
    }
    if (leat_local_objects_find(&server->store, call->bucket) != NULL) {
        leat_local_s3_refuse(call, 409, "BucketAlreadyOwnedByYou", "the bucket is there already");
        return;
    }
    leat_local_objects_add(&server->store, call->bucket, leat_local_s3_time(server));
    leat_local_http_header(call->answer, "Location", "/%.*s", (int)call->bucket.size,
                           (const char *)call->bucket.data);
}

static void
list_buckets(const struct leat_local_s3 *server, struct leat_local_s3_call *call)
    LEAT_REQUIRES(server->lock)
{
    struct leat_buf *out = &call->answer->body;

    leat_local_http_header(call->answer, "Content-Type", "application/xml");
    leat_buf_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult "
                           "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Buckets>");
    for (size_t i = 0; i < server->store.count; i++) {
        leat_buf_printf(out, "<Bucket><Name>%s</Name><CreationDate>",
                        server->store.buckets[i]->name);
        leat_format_time(out, server->store.buckets[i]->created_us);
        leat_buf_add_text(out, "</CreationDate></Bucket>");
    }
    leat_buf_add_text(out, "</Buckets></ListAllMyBucketsResult>");
}

static void
delete_bucket(struct leat_local_s3 *server, struct leat_local_bucket *bucket,
              struct leat_local_s3_call *call) LEAT_REQUIRES(server->lock)
{
    if (bucket->count > 0) {
        leat_local_s3_refuse(call, 409, "BucketNotEmpty", "The bucket is not empty");
        return;
    }
    leat_local_objects_remove(&server->store, bucket);
    call->answer->status = 204;
}

/* ---- objects --------------------------------------------------------------------------------------- */

/* What was sent with an object and comes back with it. */
static void
keep_headers(const struct leat_local_request *request, struct leat_buf *out)
{
    static const char *const names[] = {"content-type",        "content-encoding", "cache-control",
                                        "content-disposition", "content-language", "expires"};

    for (size_t i = 0; i < request->header_count; i++) {
        const struct leat_sign_header *header = &request->headers[i];
        bool is_kept = header->name.size > 11 &&
                       strncasecmp((const char *)header->name.data, "x-amz-meta-", 11) == 0;

        for (size_t n = 0; n < LEAT_COUNT_OF(names); n++)
            is_kept |= header->name.size == strlen(names[n]) &&
                       strncasecmp((const char *)header->name.data, names[n], header->name.size) ==
                           0;
        if (!is_kept)
            continue;
        leat_buf_add_slice(out, header->name);
        leat_buf_add_byte(out, 0);
        leat_buf_add_slice(out, header->value);
        leat_buf_add_byte(out, 0);
    }
}

static void
md5(struct leat_slice bytes, unsigned char ret_hash[16])
{
    unsigned size = 16;

    LEAT_ASSERT(EVP_Digest(bytes.data, bytes.size, ret_hash, &size, EVP_md5(), NULL) == 1);
}

/* Is the body what its sender says? false: refused. */
static bool
check_body(const struct leat_local_s3 *server, struct leat_local_s3_call *call,
           const unsigned char hash[16])
{
    const struct leat_local_request *request = call->request;
    LEAT_AUTO_BUF wanted = LEAT_BUF_INIT;
    struct leat_slice given;

    if (request->body_size > server->object_bytes) {
        leat_local_s3_refuse(call, 400, "EntityTooLarge", "at most %zu bytes are possible here",
                             server->object_bytes);
        return false;
    }
    if (!leat_local_http_find(request, "content-md5", &given))
        return true;
    if (!leat_base64_decode(&wanted, given) || wanted.size != 16) {
        leat_local_s3_refuse(call, 400, "InvalidDigest", "Content-MD5 is no MD5 in base64");
        return false;
    }
    if (memcmp(wanted.data, hash, 16) != 0) {
        leat_local_s3_refuse(call, 400, "BadDigest", "Content-MD5 is not the body's");
        return false;
    }
    return true;
}

/* What this server does not do with a put; doing it half would be worse. */
static bool
is_plain_put(struct leat_local_s3_call *call)
{
    struct leat_slice value;

    if (leat_local_http_find(call->request, "x-amz-copy-source", &value) ||
        (leat_local_http_find(call->request, "x-amz-content-sha256", &value) && value.size > 10 &&
         memcmp(value.data, "STREAMING-", 10) == 0)) {
        leat_local_s3_refuse(call, 501, "NotImplemented",
                             "neither copies nor streaming signatures are done here");
        return false;
    }
    return true;
}

static struct leat_local_blob *
make_blob(struct leat_slice body, const unsigned char hash[16], struct leat_slice headers)
{
    LEAT_AUTO_BUF etag = LEAT_BUF_INIT;

    leat_buf_add_byte(&etag, '"');
    leat_hex_encode(&etag, leat_slice_make(hash, 16));
    leat_buf_add_byte(&etag, '"');
    return leat_local_blob_new(body, headers, leat_buf_text(&etag));
}

struct leat_local_blob *
leat_local_s3_blob(struct leat_slice body)
{
    unsigned char hash[16];

    md5(body, hash);
    return make_blob(body, hash, leat_slice_from(""));
}

struct leat_local_blob *
leat_local_s3_receive(const struct leat_local_s3 *server, struct leat_local_s3_call *call)
{
    struct leat_slice body = leat_slice_make(call->request->body, call->request->body_size);
    LEAT_AUTO_BUF headers = LEAT_BUF_INIT;
    unsigned char hash[16];

    md5(body, hash);
    if (!is_plain_put(call) || !check_body(server, call, hash))
        return NULL;
    keep_headers(call->request, &headers);
    return make_blob(body, hash, leat_buf_slice(&headers));
}

static bool
has_room(const struct leat_local_s3 *server, const struct leat_local_blob *old,
         struct leat_local_s3_call *call) LEAT_REQUIRES(server->lock)
{
    uint64_t more = call->request->body_size + (old == NULL ? call->key.size : 0);
    uint64_t less = old != NULL ? old->bytes.size : 0;

    if (server->store.bytes + more - less <= server->maximum_bytes)
        return true;
    leat_local_s3_refuse(call, 507, "InsufficientStorage", "more than %zu bytes in all",
                         server->maximum_bytes);
    return false;
}

static void
put_object(struct leat_local_s3 *server, struct leat_local_bucket *bucket,
           struct leat_local_s3_call *call, struct leat_local_blob *blob)
    LEAT_REQUIRES(server->lock)
{
    struct leat_local_blob *old = leat_local_bucket_get(bucket, call->key);
    struct leat_slice condition;

    if (leat_local_http_find(call->request, "if-none-match", &condition) && old != NULL &&
        leat_slice_is(condition, "*")) {
        leat_local_s3_refuse(call, 412, "PreconditionFailed", "the object is there already");
        return;
    }
    if (!has_room(server, old, call))
        return;
    blob->modified_us = leat_local_s3_time(server);
    atomic_fetch_add(&blob->references, 1);
    leat_local_bucket_put(&server->store, bucket, call->key, blob);
    server->counts.bytes_in += blob->bytes.size;
    leat_local_http_header(call->answer, "ETag", "%s", blob->etag);
}

static void
get_object(struct leat_local_s3 *server, const struct leat_local_bucket *bucket,
           struct leat_local_s3_call *call) LEAT_REQUIRES(server->lock)
{
    struct leat_local_blob *blob = leat_local_bucket_get(bucket, call->key);
    char modified[LEAT_LOCAL_HTTP_DATE_BYTES];

    if (blob == NULL) {
        leat_local_s3_refuse(call, 404, "NoSuchKey", "The specified key does not exist.");
        return;
    }
    leat_local_http_date(blob->modified_us, modified);
    leat_local_http_header(call->answer, "Last-Modified", "%s", modified);
    leat_local_http_header(call->answer, "ETag", "%s", blob->etag);
    leat_buf_add_slice(&call->answer->headers, blob->headers);
    atomic_fetch_add(&blob->references, 1);
    call->answer->shared = blob->bytes;
    call->answer->release = leat_local_blob_unref;
    call->answer->release_context = blob;
    if (call->action == LEAT_LOCAL_S3_GET_OBJECT)
        server->counts.bytes_out += blob->bytes.size;
}

/* ---- a call ---------------------------------------------------------------------------------------- */

static void
run_on_bucket(struct leat_local_s3 *server, struct leat_local_s3_call *call,
              struct leat_local_blob *blob) LEAT_REQUIRES(server->lock)
{
    struct leat_local_bucket *bucket = leat_local_objects_find(&server->store, call->bucket);

    if (bucket == NULL) {
        leat_local_s3_refuse(call, 404, "NoSuchBucket", "The specified bucket does not exist");
        return;
    }
    switch (call->action) {
    case LEAT_LOCAL_S3_PUT_OBJECT:
        put_object(server, bucket, call, blob);
        break;
    case LEAT_LOCAL_S3_GET_OBJECT:
    case LEAT_LOCAL_S3_HEAD_OBJECT:
        get_object(server, bucket, call);
        break;
    case LEAT_LOCAL_S3_DELETE_OBJECT:
        leat_local_bucket_delete(&server->store, bucket, call->key);
        call->answer->status = 204;
        break;
    case LEAT_LOCAL_S3_LIST_OBJECTS:
        leat_local_s3_list(server, bucket, call);
        break;
    case LEAT_LOCAL_S3_DELETE_BUCKET:
        delete_bucket(server, bucket, call);
        break;
    default: /* HeadBucket: it is there */
        break;
    }
}

void
leat_local_s3_run(struct leat_local_s3 *server, struct leat_local_s3_call *call,
                  struct leat_local_blob *blob)
{
    if (!leat_local_s3_is_allowed(server, call))
        server->counts.unsigned_calls++;
    else if (call->action == LEAT_LOCAL_S3_OTHER)
        leat_local_s3_refuse(call, 501, "NotImplemented", "this server does not do that");
    else if (call->key.size > LEAT_LOCAL_S3_KEY_BYTES)
        leat_local_s3_refuse(call, 400, "KeyTooLongError", "Your key is too long");
    else if (call->action == LEAT_LOCAL_S3_LIST_BUCKETS)
        list_buckets(server, call);
    else if (call->action == LEAT_LOCAL_S3_CREATE_BUCKET)
        create_bucket(server, call);
    else
        run_on_bucket(server, call, blob);
}
