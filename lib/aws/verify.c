/*
 * Signature version 4 the other way round, for lib/local's servers: a request as received is judged as AWS judges it, so
 * that the clients' signing is proved by somebody who did not sign. Foreign bytes: nothing here asserts on them.
 *
 * Only the headers that SignedHeaders lists are canonicalised; host and x-amz-date must be among them, and so must a session
 * token if there is one.
 */
#include <stdlib.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "aws/sign_internal.h"
#include "base/memory.h"
#include "base/units.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define MAXIMUM_HEADERS 256

static bool
is_name(struct leat_slice a, const char *name)
{
    return a.size == strlen(name) && strncasecmp((const char *)a.data, name, a.size) == 0;
}

static const struct leat_sign_header *
find_header(const struct leat_sign_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (is_name(request->headers[i].name, name))
            return &request->headers[i];
    }
    return NULL;
}

struct authorization {
    struct leat_slice key, day, region, service, names, signature;
};

/* The value of "key=" in "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…". */
static bool
find_part(struct leat_slice text, const char *key, struct leat_slice *ret_value)
{
    size_t key_size = strlen(key);

    for (size_t i = 0; i + key_size < text.size; i++) {
        size_t end;

        if ((i > 0 && text.data[i - 1] != ' ' && text.data[i - 1] != ',') ||
            memcmp(text.data + i, key, key_size) != 0 || text.data[i + key_size] != '=')
            continue;
        i += key_size + 1;
        for (end = i; end < text.size && text.data[end] != ',' && text.data[end] != ' '; end++)
            ;
        *ret_value = leat_slice_make(text.data + i, end - i);
        return ret_value->size > 0;
    }
    return false;
}

/* Takes what stands behind the last '/' of text off it. */
static bool
cut_last(struct leat_slice *text, struct leat_slice *ret_part)
{
    for (size_t i = text->size; i > 0; i--) {
        if (text->data[i - 1] == '/') {
            *ret_part = leat_slice_make(text->data + i, text->size - i);
            text->size = i - 1;
            return true;
        }
    }
    return false;
}

static bool
parse_authorization(struct leat_slice value, struct authorization *ret_parts)
{
    struct leat_slice credential, terminator;

    if (value.size <= strlen(ALGORITHM) ||
        memcmp(value.data, ALGORITHM " ", strlen(ALGORITHM) + 1) != 0)
        return false;
    value = leat_slice_make(value.data + strlen(ALGORITHM), value.size - strlen(ALGORITHM));
    return find_part(value, "Credential", &credential) &&
           find_part(value, "SignedHeaders", &ret_parts->names) &&
           find_part(value, "Signature", &ret_parts->signature) &&
           ret_parts->signature.size == 64 && cut_last(&credential, &terminator) &&
           leat_slice_is(terminator, "aws4_request") &&
           cut_last(&credential, &ret_parts->service) &&
           cut_last(&credential, &ret_parts->region) && cut_last(&credential, &ret_parts->day) &&
           ret_parts->day.size == 8 && ((ret_parts->key = credential).size > 0);
}

bool
leat_sign_access_key(const struct leat_sign_request *request, struct leat_slice *ret_key)
{
    const struct leat_sign_header *header = find_header(request, "authorization");
    struct authorization parts;

    if (header == NULL || !parse_authorization(header->value, &parts))
        return false;
    *ret_key = parts.key;
    return true;
}

static bool
is_signed(struct leat_slice names, struct leat_slice name)
{
    for (size_t begin = 0; begin < names.size;) {
        const unsigned char *end = memchr(names.data + begin, ';', names.size - begin);
        size_t size = (end != NULL ? (size_t)(end - names.data) : names.size) - begin;

        if (size == name.size &&
            strncasecmp((const char *)names.data + begin, (const char *)name.data, size) == 0)
            return true;
        begin += size + 1;
    }
    return false;
}

/* YYYYMMDDTHHMMSSZ */
static bool
parse_date(struct leat_slice text, int64_t *ret_us)
{
    int digits[14];
    size_t count = 0;

    if (text.size != 16 || text.data[8] != 'T' || text.data[15] != 'Z')
        return false;
    for (size_t i = 0; i < 15; i++) {
        if (i == 8)
            continue;
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        digits[count++] = text.data[i] - '0';
    }
    *ret_us =
        ((leat_time_from_civil(digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3],
                               digits[4] * 10 + digits[5], digits[6] * 10 + digits[7]) *
              24 +
          digits[8] * 10 + digits[9]) *
             60 +
         digits[10] * 10 + digits[11]) *
            60 * 1000000 +
        (int64_t)(digits[12] * 10 + digits[13]) * 1000000;
    return true;
}

static enum leat_sign_verdict
check_scope(const struct leat_sign_request *request, const struct leat_sign_check *check,
            const struct authorization *parts, struct leat_slice *ret_date)
{
    const struct leat_sign_header *date = find_header(request, "x-amz-date");
    const struct leat_sign_header *token = find_header(request, "x-amz-security-token");
    const char *known = check->credentials->session_token;
    int64_t date_us, skew_us;

    if (date == NULL || !parse_date(date->value, &date_us) ||
        !is_signed(parts->names, leat_slice_from("host")) ||
        !is_signed(parts->names, leat_slice_from("x-amz-date")) ||
        find_header(request, "host") == NULL)
        return LEAT_SIGN_MALFORMED;
    if (!leat_slice_is(parts->key, check->credentials->access_key_id))
        return LEAT_SIGN_UNKNOWN_KEY;
    if ((token != NULL) != (known != NULL) ||
        (token != NULL && (!leat_slice_is(token->value, known) ||
                           !is_signed(parts->names, leat_slice_from("x-amz-security-token")))))
        return LEAT_SIGN_BAD_TOKEN;
    if (!leat_slice_equals(parts->service, check->service) ||
        (check->region.size > 0 && !leat_slice_equals(parts->region, check->region)) ||
        memcmp(parts->day.data, date->value.data, 8) != 0)
        return LEAT_SIGN_WRONG_SCOPE;
    skew_us = check->now_us - date_us;
    if (skew_us > check->maximum_skew_us || -skew_us > check->maximum_skew_us)
        return LEAT_SIGN_SKEWED;
    *ret_date = date->value;
    return LEAT_SIGN_OK;
}

/* What was signed as the body's hash: the header where there is one (S3 always), else the body's own. */
static enum leat_sign_verdict
check_body(const struct leat_sign_request *request, const struct leat_sign_check *check,
           const struct authorization *parts, struct leat_slice *ret_hash)
{
    const struct leat_sign_header *header = find_header(request, "x-amz-content-sha256");

    if (header == NULL) {
        if (leat_slice_is(check->service, "s3"))
            return LEAT_SIGN_MALFORMED;
        *ret_hash = check->body_hash;
        return LEAT_SIGN_OK;
    }
    if (!is_signed(parts->names, header->name))
        return LEAT_SIGN_MALFORMED;
    *ret_hash = header->value;
    if (check->body_hash.size > 0 && !leat_slice_is(header->value, "UNSIGNED-PAYLOAD") &&
        !(header->value.size == check->body_hash.size &&
          strncasecmp((const char *)header->value.data, (const char *)check->body_hash.data,
                      header->value.size) == 0))
        return LEAT_SIGN_WRONG_BODY;
    return LEAT_SIGN_OK;
}

enum leat_sign_verdict
leat_sign_verify(const struct leat_sign_request *request, const struct leat_sign_check *check)
{
    const struct leat_sign_header *header = find_header(request, "authorization");
    LEAT_AUTO_BUF canonical = LEAT_BUF_INIT;
    LEAT_AUTO_BUF names = LEAT_BUF_INIT;
    LEAT_AUTO_FREE struct leat_sign_header *headers = NULL;
    struct leat_sign_request listed = *request;
    struct leat_sign_material material = {.secret = check->credentials->secret_access_key};
    struct authorization parts;
    struct leat_slice date;
    enum leat_sign_verdict verdict;
    char signature[LEAT_SHA256_HEX_BYTES];

    if (header == NULL)
        return LEAT_SIGN_MISSING;
    if (!parse_authorization(header->value, &parts) || request->header_count > MAXIMUM_HEADERS)
        return LEAT_SIGN_MALFORMED;
    verdict = check_scope(request, check, &parts, &date);
    if (verdict == LEAT_SIGN_OK)
        verdict = check_body(request, check, &parts, &listed.payload_hash);
    if (verdict != LEAT_SIGN_OK)
        return verdict;
    headers = LEAT_NEW_ARRAY(struct leat_sign_header, request->header_count);
    listed.headers = headers;
    listed.header_count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (is_signed(parts.names, request->headers[i].name))
            headers[listed.header_count++] = request->headers[i];
    }
    leat_sign_canonical_parts(&listed, leat_slice_is(check->service, "s3"), &canonical, &names);
    /* A name that was listed but not sent, or not sorted, shows here. */
    if (!leat_slice_equals(leat_buf_slice(&names), parts.names))
        return LEAT_SIGN_MISMATCH;
    material.date = (const char *)date.data;
    material.region = parts.region;
    material.service = parts.service;
    leat_sign_signature(&material, leat_buf_slice(&canonical), signature);
    return CRYPTO_memcmp(signature, parts.signature.data, 64) == 0 ? LEAT_SIGN_OK
                                                                   : LEAT_SIGN_MISMATCH;
}

const char *
leat_sign_verdict_text(enum leat_sign_verdict verdict)
{
    static const char *const texts[] = {
        [LEAT_SIGN_OK] = "ok",
        [LEAT_SIGN_MISSING] = "the request is not signed",
        [LEAT_SIGN_MALFORMED] = "the authorization header is incomplete",
        [LEAT_SIGN_UNKNOWN_KEY] = "the access key is not known",
        [LEAT_SIGN_BAD_TOKEN] = "the session token is missing or another one",
        [LEAT_SIGN_WRONG_SCOPE] = "the credential's day, region or service is another one",
        [LEAT_SIGN_SKEWED] = "the request's time is too far from the server's",
        [LEAT_SIGN_WRONG_BODY] = "x-amz-content-sha256 is not the body's",
        [LEAT_SIGN_MISMATCH] = "the signature does not match",
    };

    return (size_t)verdict < LEAT_COUNT_OF(texts) ? texts[verdict] : "unknown";
}
