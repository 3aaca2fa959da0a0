/* The archive and the dead-letter stream, while EVIL has a record that has to go there. */
#include "base/clock.h"
#include "base/memory.h"
#include "tests/hostile/kinds.h"

#define FOREVER_US (600 * LEAT_SECOND_US)

/* A KPL aggregate with a bad index: one letter. */
static void
one_letter(struct test_fleet *fleet)
{
    hostile_put_aggregate(fleet, leat_slice_from("\x0a\x01k\x1a\x05\x08\x07\x1a\x01x"));
}

static bool
silent(struct hostile_call *call)
{
    return hostile_wait(call, FOREVER_US);
}

static bool
endless(struct hostile_call *call)
{
    LEAT_AUTO_BUF block = LEAT_BUF_INIT;
    bool is_open = hostile_text(call, "HTTP/1.1 200 OK\r\nETag: \"x\"\r\n\r\n");

    while (block.size < 60000)
        leat_buf_add_text(&block, "<a/>");
    for (int i = 0; is_open; i++)
        is_open = hostile_send(call, block.data, block.size) &&
                  (i % 16 != 15 || hostile_wait(call, 2 * LEAT_MS_US));
    return false;
}

static bool
reset_at_once(struct hostile_call *call)
{
    return false;
}

#define XML "Content-Type: application/xml\r\n"
#define STORE(name, status, headers, body, ...)                                                    \
    {                                                                                              \
        name, "PutObject", NULL, status, headers, body, .put = one_letter, .is_s3 = true,          \
                                                        __VA_ARGS__                                \
    }
#define DEAD_LETTERS                                                                               \
    "memory: { budget: 32MiB }\nprocessors: [{ name: print, plugin: print, target: { plugin: "     \
    "postgres } }]\ndead_letters: { stream: evil-letters }\n"
#define LETTERS(name, body, ...)                                                                   \
    {                                                                                              \
        name, "PutRecords", NULL, 0, NULL, body, .put = one_letter, .rest = DEAD_LETTERS,          \
                                                 __VA_ARGS__                                       \
    }
static const struct hostile_kind kinds[] = {
    {"store-silent", "PutObject", silent, .put = one_letter, .is_s3 = true,
     .says = "no answer from"},
    {"store-endless", "PutObject", endless, .put = one_letter, .is_s3 = true,
     .says = "s3 PutObject"},
    {"store-closed", "PutObject", reset_at_once, .put = one_letter, .is_s3 = true,
     .says = "lost the connection"},
    STORE("store-204", 204, "", "", .says = "s3 PutObject"),
    STORE("store-206", 206, "ETag: \"x\"\r\n", "", .says = "s3 PutObject"),
    STORE("store-without-etag", 200, "", "", .says = "s3 PutObject"),
    STORE("store-redirect", 307, "Location: http://127.0.0.1:1/\r\n", "",
          .says = "HTTP status 307"),
    STORE("store-403", 403, XML, "<Error><Code>AccessDenied</Code></Error>",
          .says = "AccessDenied"),
    STORE("store-no-bucket", 404, XML, "<Error><Code>NoSuchBucket</Code></Error>",
          .says = "NoSuchBucket"),
    STORE("store-xml-bomb", 500, XML,
          "<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;\">]><Error><Code>&b;</Code></Error>",
          .says = "HTTP status 500"),
    {"store-xml-deep", "PutObject", NULL, 500, XML, "$", "<a>", 5000, .put = one_letter,
     .is_s3 = true, .says = "HTTP status 500"},
    {"store-xml-long", "PutObject", NULL, 503, XML, "<Error><Code>$</Code></Error>", "c", 100000,
     .put = one_letter, .is_s3 = true, .says = "s3 PutObject"},
    {"letters-silent", "PutRecords", silent, .put = one_letter, .rest = DEAD_LETTERS,
     .says = "no answer from"},
    LETTERS("letters-too-few", "{\"FailedRecordCount\":0,\"Records\":[]}",
            .says = "does not list the records"),
    {"letters-too-many", "PutRecords", NULL, 0, NULL, "{\"FailedRecordCount\":0,\"Records\":[${}]}",
     "{\"SequenceNumber\":\"1\",\"ShardId\":\"s\"},", 5000, .put = one_letter, .rest = DEAD_LETTERS,
     .says = "does not list the records"},
    LETTERS("letters-of-numbers", "{\"FailedRecordCount\":0,\"Records\":[5]}",
            .says = "PutRecords of stream"),
    {"letters-long-sequence", "PutRecords", NULL, 0, NULL,
     "{\"FailedRecordCount\":0,\"Records\":[{\"SequenceNumber\":\"$\",\"ShardId\":\"s\"}]}", "7",
     5000, .put = one_letter, .rest = DEAD_LETTERS, .says = "PutRecords of stream"},
    LETTERS("letters-refused-for-ever",
            "{\"FailedRecordCount\":1,\"Records\":[{\"ErrorCode\":\"InternalFailure\"}]}",
            .says = "InternalFailure"),
    LETTERS("letters-throttled-for-ever",
            "{\"FailedRecordCount\":1,\"Records\":[{\"ErrorCode\":"
            "\"ProvisionedThroughputExceededException\"}]}",
            .says = "ProvisionedThroughputExceeded"),
    LETTERS("letters-html", "<html></html>", .says = "does not parse"),
};
const struct hostile_kinds hostile_stores = {kinds, LEAT_COUNT_OF(kinds)};
