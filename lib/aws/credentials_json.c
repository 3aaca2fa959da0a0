/* The three documents differ in three keys. Nothing of them is shown but a code that says why there are none. */
#include "aws/credentials_json.h"

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

static int
read_code(struct json_object *root, struct leat_error *err)
{
    struct leat_slice code;

    if (!leat_json_get_text(root, "Code", &code) || leat_slice_is(code, "Success"))
        return 0;
    return leat_error_set(err, LEAT_E_DENIED, "it answers with code \"%.*s\" and no credentials",
                          is_word(code) ? (int)code.size : 1,
                          is_word(code) ? (char *)code.data : "?");
}

static int
read_version(struct json_object *root, struct leat_error *err)
{
    int64_t version;

    if (!leat_json_get_integer(root, "Version", &version))
        return leat_error_set(err, LEAT_E_FORMAT, "its answer has no Version");
    if (version != 1)
        return leat_error_set(err, LEAT_E_FORMAT, "its answer has Version %lld: only 1 is known",
                              (long long)version);
    return 0;
}

static int
read_expiration(struct json_object *root, bool is_optional, int64_t *ret_us, struct leat_error *err)
{
    struct leat_slice text;

    *ret_us = 0;
    if (leat_json_get(root, "Expiration") != NULL && !leat_json_get_text(root, "Expiration", &text))
        return leat_error_set(err, LEAT_E_FORMAT, "its answer's Expiration is no time");
    if (!leat_json_get_text(root, "Expiration", &text) || text.size == 0)
        return is_optional ? 0 : leat_error_set(err, LEAT_E_FORMAT, "its answer has no Expiration");
    if (!leat_parse_time(text, ret_us))
        return leat_error_set(err, LEAT_E_FORMAT, "its answer's Expiration is no time");
    return 0;
}

static int
read_keys(struct json_object *root, bool is_process, struct leat_credentials *credentials,
          struct leat_error *err)
{
    const char *token_key = is_process ? "SessionToken" : "Token";
    static const char *const needed[] = {"AccessKeyId", "SecretAccessKey"};
    struct leat_slice values[2], token = {0};

    for (size_t i = 0; i < 2; i++) {
        if (!leat_json_get_text(root, needed[i], &values[i]) || values[i].size == 0)
            return leat_error_set(err, LEAT_E_FORMAT, "its answer has no %s", needed[i]);
    }
    if (!leat_json_get_text(root, token_key, &token))
        token.size = 0;
    /* A program may give keys that never end. */
    if (token.size == 0 && (!is_process || leat_json_get(root, token_key) != NULL))
        return leat_error_set(err, LEAT_E_FORMAT, "its answer has no %s", token_key);
    if (!leat_credentials_is_clean(values[0]) || !leat_credentials_is_clean(values[1]) ||
        !leat_credentials_is_clean(token))
        return leat_error_set(
            err, LEAT_E_FORMAT,
            "a key or a token in its answer has a character that does not belong");
    leat_credentials_set(credentials, values[0], values[1], token);
    return 0;
}

static int
read_document(struct json_object *root, enum leat_credentials_document document,
              struct leat_credentials *ret_credentials, struct leat_error *err)
{
    bool is_process = document == LEAT_CREDENTIALS_OF_PROCESS;
    int64_t expires_us = 0;
    int result = is_process ? read_version(root, err) : read_code(root, err);

    if (result == 0)
        result = read_expiration(root, is_process, &expires_us, err);
    if (result == 0)
        result = read_keys(root, is_process, ret_credentials, err);
    if (result == 0)
        ret_credentials->expires_us = expires_us;
    return result;
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
