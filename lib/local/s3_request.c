/* A request taken apart: bucket, key, parameters, and which action that is. */
#include "base/encoding.h"
#include "base/memory.h"
#include "local/s3_inside.h"

const char *const leat_local_s3_action_names[LEAT_LOCAL_S3_ACTIONS] = {
    [LEAT_LOCAL_S3_OTHER] = "",
    [LEAT_LOCAL_S3_PUT_OBJECT] = "PutObject",
    [LEAT_LOCAL_S3_GET_OBJECT] = "GetObject",
    [LEAT_LOCAL_S3_HEAD_OBJECT] = "HeadObject",
    [LEAT_LOCAL_S3_DELETE_OBJECT] = "DeleteObject",
    [LEAT_LOCAL_S3_LIST_OBJECTS] = "ListObjectsV2",
    [LEAT_LOCAL_S3_CREATE_BUCKET] = "CreateBucket",
    [LEAT_LOCAL_S3_HEAD_BUCKET] = "HeadBucket",
    [LEAT_LOCAL_S3_DELETE_BUCKET] = "DeleteBucket",
    [LEAT_LOCAL_S3_LIST_BUCKETS] = "ListBuckets",
};

struct leat_slice
leat_local_s3_parameter(const struct leat_local_s3_call *call, const char *name, bool *ret_is_there)
{
    for (size_t i = 0; i < call->parameter_count; i++) {
        if (!leat_slice_is(call->parameters[i].name, name))
            continue;
        if (ret_is_there != NULL)
            *ret_is_there = true;
        return call->parameters[i].value;
    }
    if (ret_is_there != NULL)
        *ret_is_there = false;
    return leat_slice_from("");
}

/* Unescaped into the call's text, which has room for all of the request: slices of it stay good. */
static bool
unescape(struct leat_local_s3_call *call, struct leat_slice text, struct leat_slice *ret_plain)
{
    size_t before = call->text.size;

    if (!leat_uri_unescape(&call->text, text))
        return false;
    *ret_plain = leat_slice_make(call->text.data + before, call->text.size - before);
    return leat_utf8_is_valid(*ret_plain) && memchr(ret_plain->data, 0, ret_plain->size) == NULL;
}

static bool
parse_query(struct leat_local_s3_call *call)
{
    struct leat_slice query = call->request->query;

    for (size_t begin = 0; begin < query.size;) {
        const unsigned char *amp = memchr(query.data + begin, '&', query.size - begin);
        size_t end = amp != NULL ? (size_t)(amp - query.data) : query.size;
        const unsigned char *equals = memchr(query.data + begin, '=', end - begin);
        size_t name_end = equals != NULL ? (size_t)(equals - query.data) : end;
        size_t value_begin = equals != NULL ? name_end + 1 : end;
        struct leat_local_s3_parameter *parameter = &call->parameters[call->parameter_count];

        if (end > begin) {
            if (call->parameter_count == LEAT_LOCAL_S3_PARAMETERS ||
                !unescape(call, leat_slice_make(query.data + begin, name_end - begin),
                          &parameter->name) ||
                !unescape(call, leat_slice_make(query.data + value_begin, end - value_begin),
                          &parameter->value))
                return false;
            call->parameter_count++;
        }
        begin = end + 1;
    }
    return true;
}

/* /bucket/key: everything behind the second slash is the key, as it is: dots and slashes mean nothing. */
static bool
parse_path(struct leat_local_s3_call *call)
{
    struct leat_slice path = call->request->path;
    const unsigned char *slash;
    size_t bucket_end;

    if (path.size == 0 || path.data[0] != '/')
        return false;
    path = leat_slice_make(path.data + 1, path.size - 1);
    slash = memchr(path.data, '/', path.size);
    bucket_end = slash != NULL ? (size_t)(slash - path.data) : path.size;
    call->key = leat_slice_from("");
    return unescape(call, leat_slice_make(path.data, bucket_end), &call->bucket) &&
           (slash == NULL ||
            unescape(call, leat_slice_make(slash + 1, path.size - bucket_end - 1), &call->key));
}

static bool
is_bucket_parameter(struct leat_slice name)
{
    static const char *const names[] = {"list-type",     "prefix",      "delimiter",
                                        "max-keys",      "start-after", "continuation-token",
                                        "encoding-type", "fetch-owner"};

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++) {
        if (leat_slice_is(name, names[i]))
            return true;
    }
    return false;
}

/* A parameter that is not known could change the meaning of all (?acl, ?uploads): then it is another action. */
static bool
has_strange_parameters(const struct leat_local_s3_call *call, bool is_list)
{
    for (size_t i = 0; i < call->parameter_count; i++) {
        if (!leat_slice_is(call->parameters[i].name, "x-id") &&
            !(is_list && is_bucket_parameter(call->parameters[i].name)))
            return true;
    }
    return false;
}

static enum leat_local_s3_action
find_action(const struct leat_local_s3_call *call)
{
    static const struct {
        const char *method;
        enum leat_local_s3_action of_service, of_bucket, of_object;
    } actions[] = {
        {"GET", LEAT_LOCAL_S3_LIST_BUCKETS, LEAT_LOCAL_S3_LIST_OBJECTS, LEAT_LOCAL_S3_GET_OBJECT},
        {"PUT", LEAT_LOCAL_S3_OTHER, LEAT_LOCAL_S3_CREATE_BUCKET, LEAT_LOCAL_S3_PUT_OBJECT},
        {"HEAD", LEAT_LOCAL_S3_OTHER, LEAT_LOCAL_S3_HEAD_BUCKET, LEAT_LOCAL_S3_HEAD_OBJECT},
        {"DELETE", LEAT_LOCAL_S3_OTHER, LEAT_LOCAL_S3_DELETE_BUCKET, LEAT_LOCAL_S3_DELETE_OBJECT},
    };
    enum leat_local_s3_action action = LEAT_LOCAL_S3_OTHER;

    for (size_t i = 0; i < LEAT_COUNT_OF(actions); i++) {
        if (leat_slice_is(call->request->method, actions[i].method))
            action = call->bucket.size == 0 ? actions[i].of_service
                     : call->key.size == 0  ? actions[i].of_bucket
                                            : actions[i].of_object;
    }
    if (has_strange_parameters(call, action == LEAT_LOCAL_S3_LIST_OBJECTS) ||
        (action == LEAT_LOCAL_S3_LIST_OBJECTS &&
         !leat_slice_is(leat_local_s3_parameter(call, "list-type", NULL), "2")))
        return LEAT_LOCAL_S3_OTHER;
    return action;
}

bool
leat_local_s3_parse(struct leat_local_s3_call *call)
{
    leat_buf_reserve(&call->text, call->request->path.size + call->request->query.size + 1);
    if (!parse_path(call) || !parse_query(call))
        return false;
    call->action = find_action(call);
    return true;
}
