/* Records that mean harm: they come from the stream as any other. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "stream/shard.h"
#include "tests/hostile/kinds.h"

#define MIB ((size_t)1 << 20)

/* To shard `index` of `count`. */
static void
put_into(struct test_fleet *fleet, unsigned index, unsigned count, struct leat_slice data)
{
    unsigned __int128 all = ~(unsigned __int128)0;
    unsigned __int128 hash = all / count * index + all / count / 2;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_hash_key_format((struct leat_hash_key){(uint64_t)(hash >> 64), (uint64_t)hash}, &text);
    hostile_put(fleet, "key", leat_buf_text(&text), data);
}

/* ---- KPL ------------------------------------------------------------------------------------- */

static void
seal(struct leat_buf *message, struct leat_buf *out, bool is_right)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    EVP_Digest(message->data, message->size, digest, NULL, EVP_md5(), NULL);
    digest[0] ^= !is_right;
    leat_buf_add(out, "\xF3\x89\x9A\xC2", 4);
    leat_buf_add_slice(out, leat_buf_slice(message));
    leat_buf_add(out, digest, 16);
}

static void
add_many(struct leat_buf *message, const char *bytes, size_t size, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        leat_buf_add(message, bytes, size);
}

static void
put_kpl(struct test_fleet *fleet, struct leat_buf *message, bool is_right)
{
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    seal(message, &data, is_right);
    put_into(fleet, 0, 1, leat_buf_slice(&data));
}

static void
kpl_empty_keys(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    add_many(&message, "\x0a\x00", 2, 520000);
    leat_buf_add(&message, "\x1a\x06\x08\xbf\xde\x1f\x1a\x00", 8); /* index 519,999 */
    seal(&message, &data, true);
    for (unsigned i = 0; i < 100; i++)
        put_into(fleet, i, 100, leat_buf_slice(&data));
}

static void
kpl_bad_index(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;

    leat_buf_add(&message, "\x0a\x01k\x1a\x05\x08\x07\x1a\x01x", 10);
    put_kpl(fleet, &message, true);
}

static void
kpl_huge_index(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;

    leat_buf_add(&message, "\x0a\x01k\x1a\x0e\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x01x",
                 19);
    put_kpl(fleet, &message, true);
}

static void
kpl_bad_md5(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;

    add_many(&message, "\x0a\x00", 2, 500000);
    put_kpl(fleet, &message, false);
}

static void
kpl_many_records(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;

    leat_buf_add(&message, "\x0a\x01k", 3);
    add_many(&message, "\x1a\x04\x08\x00\x1a\x00", 6, 170000);
    put_kpl(fleet, &message, true);
}

static void
kpl_lying_length(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF message = LEAT_BUF_INIT;

    leat_buf_add(&message, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10);
    put_kpl(fleet, &message, true);
}

/* ---- gzip ------------------------------------------------------------------------------------ */

static void
compress_into(struct leat_buf *out, const char *text, size_t size)
{
    z_stream stream = {.next_in = (unsigned char *)text, .avail_in = (unsigned)size};

    LEAT_ASSERT(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    leat_buf_reserve(out, deflateBound(&stream, size));
    stream.next_out = out->data;
    stream.avail_out = (unsigned)out->capacity;
    LEAT_ASSERT(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out->size = (size_t)(stream.next_out - out->data);
    deflateEnd(&stream);
}

/* '[', `piece` so often that it is `size` bytes, `end`. */
static void
put_gzip(struct test_fleet *fleet, unsigned count, size_t size, const char *piece, const char *end)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    leat_buf_add_byte(&text, '[');
    while (text.size < size)
        leat_buf_add_text(&text, piece);
    leat_buf_add_text(&text, end);
    compress_into(&data, (const char *)text.data, text.size);
    for (unsigned i = 0; i < count; i++)
        put_into(fleet, i, count, leat_buf_slice(&data));
}

static void
gzip_bomb(struct test_fleet *fleet)
{
    put_gzip(fleet, 1, 400 * MIB, "                                ", "1]");
}

/* Each within the limit that the budget sets, and no bomb by its ratio: numbers far apart. Ten at once. */
static void
put_large(struct test_fleet *fleet, unsigned shards, size_t size)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;
    struct leat_random random;

    leat_random_seed(&random, 1);
    leat_buf_add_byte(&text, '[');
    while (text.size < size) {
        for (int i = 0; i < 10; i++)
            leat_buf_printf(&text, "%llu",
                            1 + (unsigned long long)leat_random_below(&random, UINT64_MAX));
        for (int i = 0; i < 15000; i++)
            leat_buf_add_byte(&text, ' ');
        leat_buf_add_byte(&text, ',');
    }
    leat_buf_add_text(&text, "1]");
    compress_into(&data, (const char *)text.data, text.size);
    for (unsigned i = 0; i < shards; i++)
        put_into(fleet, i, shards, leat_buf_slice(&data));
}

static void
gzip_ten_large(struct test_fleet *fleet)
{
    put_large(fleet, 10, 27 * MIB);
}

static void
gzip_two_of_50(struct test_fleet *fleet)
{
    put_large(fleet, 2, 50 * MIB);
}

static void
gzip_deep(struct test_fleet *fleet)
{
    put_gzip(fleet, 1, 60000, "[", "");
}

static void
gzip_cut_array(struct test_fleet *fleet)
{
    put_gzip(fleet, 1, 50000, "1,", "{\"a\":");
}

static void
gzip_many_members(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF member = LEAT_BUF_INIT;
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    compress_into(&member, "", 0);
    while (data.size + member.size < 900000)
        leat_buf_add_slice(&data, leat_buf_slice(&member));
    put_into(fleet, 0, 1, leat_buf_slice(&data));
}

static void
gzip_garbage(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    leat_buf_add(&data, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03", 10);
    for (int i = 0; i < 100000; i++)
        leat_buf_add_byte(&data, (unsigned char)(i * 7919 >> 3));
    put_into(fleet, 0, 1, leat_buf_slice(&data));
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* 10,000 records of one key: one number of 130,000 digits, and ones. */
static void
long_decimals(struct test_fleet *fleet)
{
    for (int i = 0; i < 10000; i++)
        put_into(fleet, 0, 1, leat_slice_from(i == 0 ? "1 1e130000" : "1 1"));
}

static void
small_decimals(struct test_fleet *fleet)
{
    for (int i = 0; i < 10000; i++)
        put_into(fleet, 0, 1, leat_slice_from(i == 0 ? "1 1e-16000" : "1 1"));
}

static void
many_long_decimals(struct test_fleet *fleet)
{
    for (int i = 0; i < 2000; i++) {
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        leat_buf_printf(&text, "%d 1e%d", i, 130000 + i % 1000);
        put_into(fleet, 0, 1, leat_buf_slice(&text));
        put_into(fleet, 0, 1, leat_buf_slice(&text));
    }
}

#define BUDGET "memory: { budget: 32MiB }\n"
#define SUMS                                                                                       \
    BUDGET "processors:\n"                                                                         \
           "  - { name: print, plugin: print, streams: [events], target: { plugin: postgres } }\n" \
           "  - { name: sums, plugin: \"${LEAT_BUILD}/badplugins/decimals.so\", streams: [evil], " \
           "target: { "                                                                            \
           "plugin: postgres } }\n"
static const struct hostile_kind kinds[] = {
    {"kpl-empty-keys", .put = kpl_empty_keys, .shards = 100,
     .rest = "memory: { budget: 64MiB }\nprocessors: [{ name: print, plugin: print, target: { "
             "plugin: postgres } }]\n",
     .budget_bytes = 64 << 20, .evil_rows = 1, .says = "outside_hash_range"},
    {"kpl-bad-index", .put = kpl_bad_index, .says = "bad_aggregate_index"},
    {"kpl-huge-index", .put = kpl_huge_index, .says = "bad_aggregate_index"},
    {"kpl-bad-md5", .put = kpl_bad_md5, .evil_rows = 1},
    {"kpl-many-records", .put = kpl_many_records, .says = "expansion_limit"},
    {"kpl-lying-length", .put = kpl_lying_length, .evil_rows = 1},
    {"gzip-bomb", .put = gzip_bomb, .says = "expansion_limit"},
    {"gzip-ten-large", .put = gzip_ten_large, .shards = 10, .evil_rows = 10000},
    {"gzip-two-of-50-mib", .put = gzip_two_of_50, .shards = 2, .evil_rows = 6000,
     .rest = "memory: { budget: 256MiB }\nprocessors: [{ name: print, plugin: print, target: { "
             "plugin: postgres } }]\n",
     .budget_bytes = 256 << 20},
    {"gzip-deep", .put = gzip_deep, .says = "bad_json_array"},
    {"gzip-cut-array", .put = gzip_cut_array, .says = "bad_json_array"},
    {"gzip-many-members", .put = gzip_many_members, .evil_rows = 1},
    {"gzip-garbage", .put = gzip_garbage, .evil_rows = 1},
    {"long-decimals", .put = long_decimals, .rest = SUMS, .evil_rows = 1,
     .counts = "SELECT count(*) FROM sums WHERE value = '1e130000'::numeric + 9999"},
    {"small-decimals", .put = small_decimals, .rest = SUMS, .evil_rows = 1,
     .counts = "SELECT count(*) FROM sums WHERE value = '1e-16000'::numeric + 9999"},
    {"many-long-decimals", .put = many_long_decimals, .rest = SUMS, .evil_rows = 2000,
     .counts = "SELECT count(*) FROM sums WHERE value > '1e130000'::numeric"},
};
const struct hostile_kinds hostile_records = {kinds, LEAT_COUNT_OF(kinds)};
