/*
 * ListObjectsV2: keys in the order of bytes, pages, a delimiter that folds keys into common prefixes. The continuation token is
 * the hex of the last entry of the page, so it stays good when objects come and go.
 */
#include "base/encoding.h"
#include "base/memory.h"
#include "base/units.h"
#include "local/s3_inside.h"
#include "local/xml.h"

struct listing {
    struct leat_slice prefix, delimiter, start_after;
    bool is_url;           /* encoding-type=url */
    int64_t maximum;       /* of keys and common prefixes */
    struct leat_buf after; /* the entry that the page begins behind */
    struct leat_buf items, last;
    int64_t count;
    bool is_truncated;
};

static bool
starts_with(struct leat_slice text, struct leat_slice prefix)
{
    return text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0;
}

static void
add_name(const struct listing *listing, struct leat_buf *out, struct leat_slice name)
{
    if (listing->is_url)
        leat_uri_escape(out, name, true);
    else
        leat_local_xml_text(out, name);
}

static void
add_element(const struct listing *listing, struct leat_buf *out, const char *element,
            struct leat_slice name)
{
    leat_buf_printf(out, "<%s>", element);
    add_name(listing, out, name);
    leat_buf_printf(out, "</%s>", element);
}

static void
add_object(struct listing *listing, const struct leat_local_object *object)
{
    struct leat_buf *out = &listing->items;

    leat_buf_add_text(out, "<Contents>");
    add_element(listing, out, "Key", object->key);
    leat_buf_add_text(out, "<LastModified>");
    leat_format_time(out, object->blob->modified_us);
    leat_buf_add_text(out, "</LastModified><ETag>");
    leat_local_xml_text(out, leat_slice_from(object->blob->etag));
    leat_buf_printf(out, "</ETag><Size>%zu</Size><StorageClass>STANDARD</StorageClass></Contents>",
                    object->blob->bytes.size);
}

/* The part of the key up to the first delimiter behind the prefix; false: there is none. */
static bool
common_prefix(const struct listing *listing, struct leat_slice key, struct leat_slice *ret_prefix)
{
    const unsigned char *found;

    if (listing->delimiter.size == 0)
        return false;
    found = memmem(key.data + listing->prefix.size, key.size - listing->prefix.size,
                   listing->delimiter.data, listing->delimiter.size);
    if (found == NULL)
        return false;
    *ret_prefix = leat_slice_make(key.data, (size_t)(found - key.data) + listing->delimiter.size);
    return true;
}

/* The first key that does not begin so. */
static size_t
skip_prefix(const struct leat_local_bucket *bucket, size_t from, struct leat_slice prefix)
{
    while (from < bucket->count && starts_with(bucket->objects[from].key, prefix))
        from++;
    return from;
}

/* Where the page begins: behind the token's entry, which may be a common prefix as a whole, and behind start-after. */
static size_t
first_of_page(const struct listing *listing, const struct leat_local_bucket *bucket)
{
    struct leat_slice after = leat_buf_slice(&listing->after), ends = listing->delimiter;
    bool is_there;
    size_t from = leat_local_bucket_place(bucket, listing->prefix, &is_there), behind;

    if (after.size == 0)
        after = listing->start_after;
    if (after.size == 0)
        return from;
    behind = leat_local_bucket_place(bucket, after, &is_there);
    behind += is_there;
    if (listing->after.size > 0 && ends.size > 0 &&
        after.size >= listing->prefix.size + ends.size &&
        memcmp(after.data + after.size - ends.size, ends.data, ends.size) == 0)
        behind = skip_prefix(bucket, leat_local_bucket_place(bucket, after, &is_there), after);
    return behind > from ? behind : from;
}

static void
collect(struct listing *listing, const struct leat_local_bucket *bucket)
{
    size_t i = first_of_page(listing, bucket);

    while (i < bucket->count && starts_with(bucket->objects[i].key, listing->prefix)) {
        struct leat_slice entry = bucket->objects[i].key;
        bool is_folded = common_prefix(listing, entry, &entry);

        if (listing->count >= listing->maximum) {
            listing->is_truncated = listing->maximum > 0;
            return;
        }
        if (is_folded) {
            leat_buf_add_text(&listing->items, "<CommonPrefixes>");
            add_element(listing, &listing->items, "Prefix", entry);
            leat_buf_add_text(&listing->items, "</CommonPrefixes>");
        } else {
            add_object(listing, &bucket->objects[i]);
        }
        leat_buf_clear(&listing->last);
        leat_buf_add_slice(&listing->last, entry);
        listing->count++;
        i = is_folded ? skip_prefix(bucket, i, entry) : i + 1;
    }
}

static bool
read_parameters(const struct leat_local_s3 *server, struct leat_local_s3_call *call,
                struct listing *listing)
{
    struct leat_slice encoding = leat_local_s3_parameter(call, "encoding-type", NULL);
    struct leat_slice token, maximum;
    bool has_token, has_maximum;

    token = leat_local_s3_parameter(call, "continuation-token", &has_token);
    maximum = leat_local_s3_parameter(call, "max-keys", &has_maximum);
    listing->prefix = leat_local_s3_parameter(call, "prefix", NULL);
    listing->delimiter = leat_local_s3_parameter(call, "delimiter", NULL);
    listing->start_after = leat_local_s3_parameter(call, "start-after", NULL);
    listing->maximum = server->page_keys;
    listing->is_url = leat_slice_is(encoding, "url");
    if (encoding.size > 0 && !listing->is_url) {
        leat_local_s3_refuse(call, 400, "InvalidArgument", "there is no such encoding-type");
        return false;
    }
    if (has_maximum && (leat_parse_integer(maximum, &listing->maximum, NULL) != 0 ||
                        listing->maximum < 0 || listing->maximum > INT32_MAX)) {
        leat_local_s3_refuse(call, 400, "InvalidArgument", "max-keys is no number from 0 on");
        return false;
    }
    if (listing->maximum > server->page_keys)
        listing->maximum = server->page_keys;
    if (has_token && (token.size == 0 || !leat_hex_decode(&listing->after, token))) {
        leat_local_s3_refuse(call, 400, "InvalidArgument",
                             "The continuation token provided is incorrect");
        return false;
    }
    return true;
}

static void
write_answer(const struct leat_local_s3 *server, const struct leat_local_s3_call *call,
             const struct listing *listing)
{
    struct leat_buf *out = &call->answer->body;
    bool has_token;
    struct leat_slice token = leat_local_s3_parameter(call, "continuation-token", &has_token);

    leat_local_http_header(call->answer, "Content-Type", "application/xml");
    leat_buf_add_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
                           "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    leat_buf_add_text(out, "<Name>");
    leat_local_xml_text(out, call->bucket);
    leat_buf_add_text(out, "</Name>");
    add_element(listing, out, "Prefix", listing->prefix);
    if (listing->delimiter.size > 0)
        add_element(listing, out, "Delimiter", listing->delimiter);
    if (listing->start_after.size > 0)
        add_element(listing, out, "StartAfter", listing->start_after);
    if (listing->is_url)
        leat_buf_add_text(out, "<EncodingType>url</EncodingType>");
    if (has_token)
        leat_buf_printf(out, "<ContinuationToken>%.*s</ContinuationToken>", (int)token.size,
                        (const char *)token.data);
    leat_buf_printf(out, "<KeyCount>%lld</KeyCount><MaxKeys>%lld</MaxKeys>",
                    (long long)listing->count, (long long)listing->maximum);
    leat_buf_printf(out, "<IsTruncated>%s</IsTruncated>", listing->is_truncated ? "true" : "false");
    if (listing->is_truncated) {
        leat_buf_add_text(out, "<NextContinuationToken>");
        leat_hex_encode(out, leat_buf_slice(&listing->last));
        leat_buf_add_text(out, "</NextContinuationToken>");
    }
    leat_buf_add_slice(out, leat_buf_slice(&listing->items));
    leat_buf_add_text(out, "</ListBucketResult>");
}

void
leat_local_s3_list(const struct leat_local_s3 *server, const struct leat_local_bucket *bucket,
                   struct leat_local_s3_call *call)
{
    struct listing listing = {.count = 0};

    leat_buf_init(&listing.after, SIZE_MAX);
    leat_buf_init(&listing.items, SIZE_MAX);
    leat_buf_init(&listing.last, SIZE_MAX);
    if (read_parameters(server, call, &listing)) {
        collect(&listing, bucket);
        write_answer(server, call, &listing);
    }
    leat_buf_release(&listing.after);
    leat_buf_release(&listing.items);
    leat_buf_release(&listing.last);
}
