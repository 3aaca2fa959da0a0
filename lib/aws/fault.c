/* What a refusal means: one table of types for all services; statuses where no type is told. */
#include "aws/fault.h"

#include "base/memory.h"

struct type_class {
    const char *type; /* without a trailing "Exception" */
    enum leat_fault_kind kind;
};

static const struct type_class type_classes[] = {
    {"ProvisionedThroughputExceeded", LEAT_FAULT_THROTTLED},
    {"LimitExceeded", LEAT_FAULT_THROTTLED},
    {"KMSThrottling", LEAT_FAULT_THROTTLED},
    {"Throttling", LEAT_FAULT_THROTTLED},
    {"ThrottledException", LEAT_FAULT_THROTTLED},
    {"TooManyRequests", LEAT_FAULT_THROTTLED},
    {"RequestLimitExceeded", LEAT_FAULT_THROTTLED},
    {"BandwidthLimitExceeded", LEAT_FAULT_THROTTLED},
    {"SlowDown", LEAT_FAULT_THROTTLED},
    {"ExpiredToken", LEAT_FAULT_EXPIRED_TOKEN},
    {"RequestExpired", LEAT_FAULT_EXPIRED_TOKEN},
    {"TokenRefreshRequired", LEAT_FAULT_EXPIRED_TOKEN},
    {"RequestTimeTooSkewed", LEAT_FAULT_SKEWED},
    {"RequestInTheFuture", LEAT_FAULT_SKEWED},
    {"AccessDenied", LEAT_FAULT_DENIED},
    {"AllAccessDisabled", LEAT_FAULT_DENIED},
    {"UnrecognizedClient", LEAT_FAULT_DENIED},
    {"InvalidClientTokenId", LEAT_FAULT_DENIED},
    {"InvalidAccessKeyId", LEAT_FAULT_DENIED},
    {"InvalidSignature", LEAT_FAULT_DENIED},
    {"SignatureDoesNotMatch", LEAT_FAULT_DENIED},
    {"IncompleteSignature", LEAT_FAULT_DENIED},
    {"MissingAuthenticationToken", LEAT_FAULT_DENIED},
    {"InvalidToken", LEAT_FAULT_DENIED},
    {"AuthorizationHeaderMalformed", LEAT_FAULT_DENIED},
    {"OptInRequired", LEAT_FAULT_DENIED},
    {"KMSAccessDenied", LEAT_FAULT_DENIED},
    {"KMSDisabled", LEAT_FAULT_DENIED},
    {"KMSInvalidState", LEAT_FAULT_DENIED},
    {"KMSNotFound", LEAT_FAULT_DENIED},
    {"KMSOptInRequired", LEAT_FAULT_DENIED},
    {"ResourceNotFound", LEAT_FAULT_NOT_FOUND},
    {"NoSuchBucket", LEAT_FAULT_NOT_FOUND},
    {"NoSuchKey", LEAT_FAULT_NOT_FOUND},
    {"ExpiredIterator", LEAT_FAULT_EXPIRED_ITERATOR},
    {"ExpiredNextToken", LEAT_FAULT_EXPIRED_PAGE},
    {"ResourceInUse", LEAT_FAULT_CONFLICT},
    {"BucketAlreadyOwnedByYou", LEAT_FAULT_CONFLICT},
    {"BucketAlreadyExists", LEAT_FAULT_CONFLICT},
    {"OperationAborted", LEAT_FAULT_SERVER},
    {"InvalidArgument", LEAT_FAULT_INVALID},
    {"Validation", LEAT_FAULT_INVALID},
    {"ValidationError", LEAT_FAULT_INVALID},
    {"SerializationError", LEAT_FAULT_UNSUPPORTED},
    {"Serialization", LEAT_FAULT_UNSUPPORTED},
    {"UnknownOperation", LEAT_FAULT_UNSUPPORTED},
    {"UnsupportedMediaType", LEAT_FAULT_UNSUPPORTED},
    {"InternalFailure", LEAT_FAULT_SERVER},
    {"InternalError", LEAT_FAULT_SERVER},
    {"InternalServerError", LEAT_FAULT_SERVER},
    {"ServiceUnavailable", LEAT_FAULT_SERVER},
    {"RequestTimeout", LEAT_FAULT_SERVER},
    {"IDPCommunicationError", LEAT_FAULT_SERVER}, /* STS did not reach who issued the token */
};

/* "com.amazonaws.kinesis#Name", "Name:http://…" → Name; only what may stand in a log line. */
static struct leat_slice
bare_type(struct leat_slice type)
{
    const unsigned char *found = memrchr(type.data, '#', type.size);

    if (found != NULL)
        type = leat_slice_make(found + 1, type.size - (size_t)(found + 1 - type.data));
    found = memchr(type.data, ':', type.size);
    if (found != NULL)
        type.size = (size_t)(found - type.data);
    for (size_t i = 0; i < type.size; i++) {
        if (type.data[i] <= ' ' || type.data[i] > '~') {
            type.size = i;
            break;
        }
    }
    return type;
}

static enum leat_fault_kind
kind_of_status(int status)
{
    if (status == 429)
        return LEAT_FAULT_THROTTLED;
    if (status == 415 || status == 501)
        return LEAT_FAULT_UNSUPPORTED;
    if (status >= 500 || status == 408)
        return LEAT_FAULT_SERVER;
    if (status == 401 || status == 403)
        return LEAT_FAULT_DENIED;
    if (status == 404)
        return LEAT_FAULT_NOT_FOUND;
    if (status == 409)
        return LEAT_FAULT_CONFLICT;
    return LEAT_FAULT_INVALID;
}

void
leat_fault_classify(int status, struct leat_slice type, struct leat_fault *ret_fault)
{
    static const char suffix[] = "Exception";
    size_t suffix_size = sizeof suffix - 1;
    struct leat_slice name = bare_type(type);

    memset(ret_fault, 0, sizeof *ret_fault);
    ret_fault->status = status;
    snprintf(ret_fault->type, sizeof ret_fault->type, "%.*s",
             (int)(name.size < LEAT_FAULT_TYPE_BYTES ? name.size : LEAT_FAULT_TYPE_BYTES - 1),
             (const char *)name.data);
    ret_fault->kind = kind_of_status(status);
    for (size_t i = 0; i < LEAT_COUNT_OF(type_classes); i++) {
        struct leat_slice stem = name;

        if (stem.size > suffix_size &&
            memcmp(stem.data + stem.size - suffix_size, suffix, suffix_size) == 0)
            stem.size -= suffix_size;
        if (leat_slice_is(stem, type_classes[i].type) ||
            leat_slice_is(name, type_classes[i].type)) {
            ret_fault->kind = type_classes[i].kind;
            return;
        }
    }
}

bool
leat_fault_may_be_clock(const struct leat_fault *fault)
{
    static const char *const stems[] = {"InvalidSignature", "SignatureDoesNotMatch",
                                        "RequestExpired", "AuthFailure"};

    for (size_t i = 0; i < LEAT_COUNT_OF(stems); i++) {
        if (strncmp(fault->type, stems[i], strlen(stems[i])) == 0)
            return true;
    }
    return false;
}

struct meaning {
    int code;
    const char *hint; /* behind the reason; NULL: none */
};

static struct meaning
meaning_of(const struct leat_fault *fault)
{
    switch (fault->kind) {
    case LEAT_FAULT_NONE:
    case LEAT_FAULT_TRANSPORT:
    case LEAT_FAULT_SERVER:
        return (struct meaning){LEAT_E_UNAVAILABLE, NULL};
    case LEAT_FAULT_THROTTLED:
        return (struct meaning){LEAT_E_THROTTLED, NULL};
    case LEAT_FAULT_EXPIRED_TOKEN:
        return (struct meaning){LEAT_E_DENIED, "the credentials have expired: renew them"};
    case LEAT_FAULT_SKEWED:
        return (struct meaning){LEAT_E_DENIED, "set this machine's clock"};
    case LEAT_FAULT_DENIED:
        return (struct meaning){LEAT_E_DENIED, "check the credentials and their rights"};
    case LEAT_FAULT_NOT_FOUND:
        return (struct meaning){LEAT_E_NOT_FOUND, "check name, region and endpoint"};
    case LEAT_FAULT_EXPIRED_ITERATOR:
    case LEAT_FAULT_EXPIRED_PAGE:
        return (struct meaning){LEAT_E_EXPIRED, NULL};
    case LEAT_FAULT_CONFLICT:
        return (struct meaning){LEAT_E_CONFLICT, NULL};
    case LEAT_FAULT_LIMIT:
        return (struct meaning){LEAT_E_LIMIT, NULL};
    case LEAT_FAULT_FORMAT:
        return (struct meaning){LEAT_E_FORMAT, "is the endpoint the right service?"};
    case LEAT_FAULT_UNSUPPORTED:
    case LEAT_FAULT_INVALID:
        break;
    }
    return (struct meaning){LEAT_E_INVALID, NULL};
}

/* The first line, printable, at most 200 bytes: a signature's mismatch would print the whole request, with its token. */
static void
first_line(struct leat_slice message, char ret_text[201])
{
    size_t size = 0;

    for (size_t i = 0; i < message.size && size < 200; i++) {
        unsigned char c = message.data[i];

        if (c == '\n' || c == '\r' || c == '\0')
            break;
        ret_text[size++] = c >= ' ' && c != 127 ? (char)c : ' ';
    }
    while (size > 0 && ((unsigned char)ret_text[size - 1] >= 0x80 || ret_text[size - 1] == '.') &&
           size == 200)
        size--; /* no half character at the cut */
    while (size > 0 && (ret_text[size - 1] == '.' || ret_text[size - 1] == ' '))
        size--;
    ret_text[size] = '\0';
}

int
leat_fault_error(const struct leat_fault *fault, const struct leat_fault_subject *subject,
                 struct leat_slice message, struct leat_error *err)
{
    struct meaning meaning = meaning_of(fault);
    char text[201], what[240] = "", reason[LEAT_FAULT_TYPE_BYTES + 24];
    int result;

    first_line(message, text);
    if (subject->kind != NULL)
        snprintf(what, sizeof what, " of %s \"%.*s\"", subject->kind,
                 (int)(subject->name.size < 200 ? subject->name.size : 200),
                 (const char *)subject->name.data);
    if (fault->type[0] != '\0')
        snprintf(reason, sizeof reason, "%s", fault->type);
    else if (fault->status != 0)
        snprintf(reason, sizeof reason, "HTTP status %d", fault->status);
    else
        snprintf(reason, sizeof reason, "no answer");
    result = leat_error_set(err, meaning.code, "%s %s%s: %s%s%s%s%s", subject->service,
                            subject->action, what, reason, text[0] != '\0' ? ": " : "", text,
                            meaning.hint != NULL ? ": " : "",
                            meaning.hint != NULL ? meaning.hint : "");
    if (err != NULL)
        err->http_status = (int16_t)fault->status;
    return result;
}
