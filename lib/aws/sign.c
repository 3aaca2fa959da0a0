/*
 * Signature version 4: canonical request → string to sign → HMAC chain. The same canonical form serves signing and
 * verifying, so that a rule lives in one place.
 *
 * Paths: S3 decodes the sent path and escapes it again (one spelling for each key); other services remove "." and ".."
 * segments and doubled slashes and escape the sent path once more. Queries: decoded, escaped again, sorted by bytes.
 */
#include "aws/sign.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "aws/sign_internal.h"
#include "base/encoding.h"
#include "base/memory.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

void
leat_sha256(struct leat_slice bytes, unsigned char ret_hash[32])
{
    unsigned size = 32;

    LEAT_ASSERT(EVP_Digest(bytes.data, bytes.size, ret_hash, &size, EVP_sha256(), NULL) == 1);
}

static void
hex(const unsigned char hash[32], char ret_hex[LEAT_SHA256_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < 32; i++) {
        ret_hex[2 * i] = digits[hash[i] >> 4];
        ret_hex[2 * i + 1] = digits[hash[i] & 15];
    }
    ret_hex[64] = '\0';
}

void
leat_sha256_hex(struct leat_slice bytes, char ret_hex[LEAT_SHA256_HEX_BYTES])
{
    unsigned char hash[32];

    leat_sha256(bytes, hash);
    hex(hash, ret_hex);
}

static void
hmac(struct leat_slice key, struct leat_slice bytes, unsigned char ret_hash[32])
{
    unsigned size = 32;

    LEAT_ASSERT(HMAC(EVP_sha256(), key.data, (int)key.size, bytes.data, bytes.size, ret_hash,
                     &size) != NULL);
}

/* ---- canonical path ------------------------------------------------------------------------ */

/* "." and ".." and empty segments away; a slash at the end stays. */
static void
path_normalize(struct leat_slice path, struct leat_buf *out)
{
    size_t begin = 0;
    bool has_slash_at_end = path.size > 0 && path.data[path.size - 1] == '/';

    while (begin < path.size) {
        const unsigned char *slash = memchr(path.data + begin, '/', path.size - begin);
        size_t end = slash != NULL ? (size_t)(slash - path.data) : path.size;
        struct leat_slice segment = leat_slice_make(path.data + begin, end - begin);

        if (leat_slice_is(segment, "..")) {
            while (out->size > 0 && out->data[--out->size] != '/')
                ;
        } else if (segment.size > 0 && !leat_slice_is(segment, ".")) {
            leat_buf_add_byte(out, '/');
            leat_buf_add_slice(out, segment);
        }
        begin = end + 1;
    }
    if (out->size == 0 || has_slash_at_end)
        leat_buf_add_byte(out, '/');
}

static void
canonical_path(struct leat_slice path, bool is_s3, struct leat_buf *out)
{
    LEAT_AUTO_BUF plain = LEAT_BUF_INIT;

    if (path.size == 0)
        path = leat_slice_from("/");
    if (!is_s3) {
        path_normalize(path, &plain);
    } else if (!leat_uri_unescape(&plain, path)) {
        leat_buf_clear(&plain);
        leat_buf_add_slice(&plain, path);
    }
    leat_uri_escape(out, leat_buf_slice(&plain), true);
}

/* ---- canonical query ----------------------------------------------------------------------- */

struct pair {
    size_t begin, name_size, value_size; /* in the scratch buf: name, value */
    const struct leat_buf *scratch;
};

static int
pair_compare(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    const unsigned char *a_text = leat_buf_slice(a->scratch).data + a->begin;
    const unsigned char *b_text = leat_buf_slice(b->scratch).data + b->begin;
    int order = leat_slice_compare(leat_slice_make(a_text, a->name_size),
                                   leat_slice_make(b_text, b->name_size));

    if (order != 0)
        return order;
    return leat_slice_compare(leat_slice_make(a_text + a->name_size, a->value_size),
                              leat_slice_make(b_text + b->name_size, b->value_size));
}

/* Decodes and escapes again, so that %7e and ~ are one; what does not decode is escaped as it is. */
static size_t
add_escaped(struct leat_buf *out, struct leat_slice text)
{
    LEAT_AUTO_BUF plain = LEAT_BUF_INIT;
    size_t before = out->size;

    if (!leat_uri_unescape(&plain, text)) {
        leat_buf_clear(&plain);
        leat_buf_add_slice(&plain, text);
    }
    leat_uri_escape(out, leat_buf_slice(&plain), false);
    return out->size - before;
}

static void
canonical_query(struct leat_slice query, struct leat_buf *out)
{
    LEAT_AUTO_BUF scratch = LEAT_BUF_INIT;
    LEAT_AUTO_FREE struct pair *pairs = NULL;
    size_t count = 0, capacity = 0;

    for (size_t begin = 0; begin < query.size;) {
        const unsigned char *amp = memchr(query.data + begin, '&', query.size - begin);
        size_t end = amp != NULL ? (size_t)(amp - query.data) : query.size;
        const unsigned char *equals = memchr(query.data + begin, '=', end - begin);
        size_t name_end = equals != NULL ? (size_t)(equals - query.data) : end;
        size_t value_begin = equals != NULL ? name_end + 1 : end;

        if (end > begin) {
            LEAT_GROW(pairs, count, capacity);
            pairs[count].begin = scratch.size;
            pairs[count].scratch = &scratch;
            pairs[count].name_size =
                add_escaped(&scratch, leat_slice_make(query.data + begin, name_end - begin));
            pairs[count].value_size =
                add_escaped(&scratch, leat_slice_make(query.data + value_begin, end - value_begin));
            count++;
        }
        begin = end + 1;
    }
    leat_sort(pairs, count, sizeof pairs[0], pair_compare);
    for (size_t i = 0; i < count; i++) {
        const unsigned char *text = leat_buf_slice(&scratch).data + pairs[i].begin;

        if (i > 0)
            leat_buf_add_byte(out, '&');
        leat_buf_add(out, text, pairs[i].name_size);
        leat_buf_add_byte(out, '=');
        leat_buf_add(out, text + pairs[i].name_size, pairs[i].value_size);
    }
}

/* ---- canonical headers --------------------------------------------------------------------- */

static int
name_compare(struct leat_slice a, struct leat_slice b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? strncasecmp((const char *)a.data, (const char *)b.data, shorter) : 0;

    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

static int
header_compare(const void *left, const void *right)
{
    const struct leat_sign_header *const *a = left, *const *b = right;
    int order = name_compare((*a)->name, (*b)->name);

    if (order != 0)
        return order;
    return *a < *b ? -1 : *a > *b; /* the same name: as they came (all are of one array) */
}

static void
add_lower(struct leat_buf *out, struct leat_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = name.data[i];

        leat_buf_add_byte(out, c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c);
    }
}

static bool
is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Without blanks at the ends; runs of blanks inside become one space. */
static void
add_trimmed(struct leat_buf *out, struct leat_slice value)
{
    bool has_blank = false, has_text = false;

    for (size_t i = 0; i < value.size; i++) {
        if (is_blank(value.data[i])) {
            has_blank = true;
            continue;
        }
        if (has_blank && has_text)
            leat_buf_add_byte(out, ' ');
        leat_buf_add_byte(out, value.data[i]);
        has_blank = false;
        has_text = true;
    }
}

/* `sorted` by name; the signed names, joined by ';', go to `names`. */
static void
canonical_headers(const struct leat_sign_header **sorted, size_t count, struct leat_buf *out,
                  struct leat_buf *names)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && name_compare(sorted[i]->name, sorted[i - 1]->name) == 0) {
            out->size--; /* the line feed */
            leat_buf_add_byte(out, ',');
        } else {
            if (i > 0)
                leat_buf_add_byte(names, ';');
            add_lower(names, sorted[i]->name);
            add_lower(out, sorted[i]->name);
            leat_buf_add_byte(out, ':');
        }
        add_trimmed(out, sorted[i]->value);
        leat_buf_add_byte(out, '\n');
    }
}

void
leat_sign_canonical_parts(const struct leat_sign_request *request, bool is_s3, struct leat_buf *out,
                          struct leat_buf *names)
{
    const struct leat_sign_header **sorted =
        LEAT_NEW_ARRAY(const struct leat_sign_header *, request->header_count + 1);

    for (size_t i = 0; i < request->header_count; i++)
        sorted[i] = &request->headers[i];
    leat_sort(sorted, request->header_count, sizeof sorted[0], header_compare);
    leat_buf_add_slice(out, request->method);
    leat_buf_add_byte(out, '\n');
    canonical_path(request->path, is_s3, out);
    leat_buf_add_byte(out, '\n');
    canonical_query(request->query, out);
    leat_buf_add_byte(out, '\n');
    canonical_headers(sorted, request->header_count, out, names);
    leat_buf_add_byte(out, '\n');
    leat_buf_add_slice(out, leat_buf_slice(names));
    leat_buf_add_byte(out, '\n');
    leat_buf_add_slice(out, request->payload_hash);
    free(sorted);
}

void
leat_sign_canonical(const struct leat_sign_request *request, bool is_s3, struct leat_buf *out)
{
    LEAT_AUTO_BUF names = LEAT_BUF_INIT;

    leat_sign_canonical_parts(request, is_s3, out, &names);
}

/* ---- signature ----------------------------------------------------------------------------- */

void
leat_sign_signature(const struct leat_sign_material *material, struct leat_slice canonical,
                    char ret_signature[LEAT_SHA256_HEX_BYTES])
{
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    unsigned char hash[32];
    char canonical_hash[LEAT_SHA256_HEX_BYTES];

    leat_sha256_hex(canonical, canonical_hash);
    leat_buf_printf(&text, ALGORITHM "\n%.16s\n%.8s/%.*s/%.*s/aws4_request\n%s", material->date,
                    material->date, (int)material->region.size, (const char *)material->region.data,
                    (int)material->service.size, (const char *)material->service.data,
                    canonical_hash);
    leat_buf_add_text(&key, "AWS4");
    leat_buf_add_text(&key, material->secret);
    hmac(leat_buf_slice(&key), leat_slice_make(material->date, 8), hash);
    hmac(leat_slice_make(hash, 32), material->region, hash);
    hmac(leat_slice_make(hash, 32), material->service, hash);
    hmac(leat_slice_make(hash, 32), leat_slice_from("aws4_request"), hash);
    hmac(leat_slice_make(hash, 32), leat_buf_slice(&text), hash);
    hex(hash, ret_signature);
    OPENSSL_cleanse(key.data, key.size);
    OPENSSL_cleanse(hash, sizeof hash);
}

static void
format_date(int64_t time_us, char ret_date[17])
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    strftime(ret_date, 17, "%Y%m%dT%H%M%SZ", &parts);
}

void
leat_sign_request(const struct leat_sign_request *request,
                  const struct leat_credentials *credentials, const struct leat_sign_scope *scope,
                  char ret_date[17], struct leat_buf *authorization)
{
    LEAT_AUTO_BUF canonical = LEAT_BUF_INIT;
    LEAT_AUTO_BUF names = LEAT_BUF_INIT;
    struct leat_sign_request full = *request;
    struct leat_sign_header *headers =
        LEAT_NEW_ARRAY(struct leat_sign_header, request->header_count + 2);
    struct leat_sign_material material = {.date = ret_date,
                                          .region = scope->region,
                                          .service = scope->service,
                                          .secret = credentials->secret_access_key};
    char signature[LEAT_SHA256_HEX_BYTES];

    format_date(scope->time_us, ret_date);
    if (request->header_count > 0)
        memcpy(headers, request->headers, request->header_count * sizeof headers[0]);
    headers[full.header_count].name = leat_slice_from("x-amz-date");
    headers[full.header_count++].value = leat_slice_from(ret_date);
    if (credentials->session_token != NULL) {
        headers[full.header_count].name = leat_slice_from("x-amz-security-token");
        headers[full.header_count++].value = leat_slice_from(credentials->session_token);
    }
    full.headers = headers;
    leat_sign_canonical_parts(&full, leat_slice_is(scope->service, "s3"), &canonical, &names);
    leat_sign_signature(&material, leat_buf_slice(&canonical), signature);
    leat_buf_printf(authorization,
                    ALGORITHM " Credential=%s/%.8s/%.*s/%.*s/aws4_request, SignedHeaders=%s, "
                              "Signature=%s",
                    credentials->access_key_id, ret_date, (int)scope->region.size,
                    (const char *)scope->region.data, (int)scope->service.size,
                    (const char *)scope->service.data, leat_buf_text(&names), signature);
    /* The token was in there. */
    OPENSSL_cleanse(canonical.data, canonical.size);
    free(headers);
}
