/* The three documents differ in three keys. Nothing of them is shown but a code that says why there are none. */
#include "aws/credentials_json.h"

#include <strings.h>

#include <json-c/json.h>

#include "base/json.h"
#include "base/units.h"

/* Ten times what such a document has. */
#define TREE_BYTES ((size_t)256 << 10)

/* A code is a word; what is none is not repeated. */
static bool
is_word(struct leat_slice text)
{
    if (text.size == 0 || text.size > 64)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = text.data[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return true;
}

/* As the document spells the key: some endpoints write theirs in lower case, and the SDKs of most languages do not mind. */
static const char *
spelled(struct json_object *root, const char *key)
{
    const char *found = key;

    if (leat_json_get(root, key) != NULL)
        return key;
    json_object_object_foreach(root, name, member)
    {
        if (member != NULL && strcasecmp(name, key) == 0)
            found = name;
    }
    return found;
}

static bool
get_text(struct json_object *root, const char *key, struct leat_slice *ret_text)
{
    return leat_json_get_text(root, spelled(root, key), ret_text);
}

static bool
is_missing(struct json_object *root, const char *key)
{
    return leat_json_get(root, spelled(root, key)) == NULL;
}

static int
read_code(struct json_object *root, struct leat_error *err)
{
    struct leat_slice code;

    if (!get_text(root, "Code", &code) || leat_slice_is(code, "Success"))
        return 0;
    return leat_error_set(err, LEAT_E_DENIED, "it answers with code \"%.*s\" and no credentials",
                          is_word(code) ? (int)code.size : 1,
                          is_word(code) ? (char *)code.data : "?");
}

static int
read_version(struct json_object *root, struct leat_error *err)
{
    int64_t version;

    if (!leat_json_get_integer(root, spelled(root, "Version"), &version))
        return leat_error_set(err, LEAT_E_FORMAT, "its answer has no Version");
    if (version != 1)
        return leat_error_set(err, LEAT_E_FORMAT, "its answer has Version %lld: only 1 is known",
                              (long long)version);
    return 0;
}

/* What the document holds; the slices live as long as its tree. */
struct values {
    struct leat_slice id, secret, token;
    int64_t expires_us;
};

static int
read_expiration(struct json_object *root, bool is_optional, int64_t *ret_us, struct leat_error *err)
{
    struct leat_slice text = {0};

    *ret_us = 0;
    if (!get_text(root, "Expiration", &text) && !is_missing(root, "Expiration"))
        return leat_error_set(err, LEAT_E_FORMAT, "its answer's Expiration is no time");
    if (text.size == 0)
        return is_optional ? 0 : leat_error_set(err, LEAT_E_FORMAT, "its answer has no Expiration");
    if (!leat_parse_time(text, ret_us))
        return leat_error_set(err, LEAT_E_FORMAT, "its answer's Expiration is no time");
    return 0;
}

/* A program or a container may give keys that are not of a session. */
static int
read_token(struct json_object *root, enum leat_credentials_document document,
           struct leat_slice *ret_token, struct leat_error *err)
{
    const char *key = document == LEAT_CREDENTIALS_OF_PROCESS ? "SessionToken" : "Token";
    bool is_text = get_text(root, key, ret_token);

    if (!is_text)
        ret_token->size = 0;
    if ((!is_text && !is_missing(root, key)) ||
        (ret_token->size == 0 && document == LEAT_CREDENTIALS_OF_INSTANCE))
        return leat_error_set(err, LEAT_E_FORMAT, "its answer has no %s", key);
    return 0;
}

static int
read_keys(struct json_object *root, struct values *values, struct leat_error *err)
{
    if (!get_text(root, "AccessKeyId", &values->id) || values->id.size == 0)
        return leat_error_set(err, LEAT_E_FORMAT, "its answer has no AccessKeyId");
    if (!get_text(root, "SecretAccessKey", &values->secret) || values->secret.size == 0)
        return leat_error_set(err, LEAT_E_FORMAT, "its answer has no SecretAccessKey");
    if (!leat_credentials_is_clean(values->id) || !leat_credentials_is_clean(values->secret) ||
        !leat_credentials_is_clean(values->token))
        return leat_error_set(
            err, LEAT_E_FORMAT,
            "a key or a token in its answer has a character that does not belong");
    return 0;
}

static int
read_document(struct json_object *root, enum leat_credentials_document document,
              struct leat_credentials *ret_credentials, struct leat_error *err)
{
    bool is_process = document == LEAT_CREDENTIALS_OF_PROCESS, may_last;
    struct values values = {0};
    int result = is_process ? read_version(root, err) : read_code(root, err);

    if (result == 0)
        result = read_token(root, document, &values.token, err);
    /* A session has an end. */
    may_last = is_process || (document == LEAT_CREDENTIALS_OF_CONTAINER && values.token.size == 0);
    if (result == 0)
        result = read_expiration(root, may_last, &values.expires_us, err);
    if (result == 0)
        result = read_keys(root, &values, err);
    if (result < 0)
        return result;
    leat_credentials_set(ret_credentials, values.id, values.secret, values.token);
    ret_credentials->expires_us = values.expires_us;
    return 0;
}

int
leat_credentials_json_parse(struct leat_slice text, enum leat_credentials_document document,
                            struct leat_credentials *ret_credentials, struct leat_error *err)
{
    struct json_object *root = NULL;
    int result;

    if (leat_json_parse_within(text, TREE_BYTES, &root, NULL) < 0)
        return leat_error_set(err, LEAT_E_FORMAT, "its answer is no JSON");
    if (!json_object_is_type(root, json_type_object))
        result = leat_error_set(err, LEAT_E_FORMAT, "its answer is JSON, but no object");
    else
        result = read_document(root, document, ret_credentials, err);
    json_object_put(root);
    return result;
}
