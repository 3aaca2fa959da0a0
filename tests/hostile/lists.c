/* ListShards, ListStreams and DescribeStreamSummary: lists without an end, in circles, deep, huge; names that cannot be. */
#include "base/clock.h"
#include "base/memory.h"
#include "tests/hostile/kinds.h"

#define FOREVER_US (600 * LEAT_SECOND_US)
#define SHARD(id)                                                                                  \
    "{\"ShardId\":\"" id "\",\"HashKeyRange\":{\"StartingHashKey\":\"0\","                         \
    "\"EndingHashKey\":\"340282366920938463463374607431768211455\"},"                              \
    "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\"}}"
#define REAL "shardId-000000000000"

static bool
silent(struct hostile_call *call)
{
    return hostile_wait(call, FOREVER_US);
}

/* A new token and a new shard on each page. */
static bool
endless_shards(struct hostile_call *call)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text, "{\"Shards\":[{\"ShardId\":\"shardId-%u\"}],\"NextToken\":\"evil-%u\"}",
                    call->number, call->number);
    return hostile_json(call, leat_buf_text(&text));
}

static bool
slow_endless_shards(struct hostile_call *call)
{
    return hostile_wait(call, LEAT_SECOND_US) && endless_shards(call);
}

/* Large pages of shards, without an end. */
static bool
many_shards(struct hostile_call *call)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_add_text(&text, "{\"Shards\":[");
    for (unsigned i = 0; i < 2000; i++)
        leat_buf_printf(&text, "%s{\"ShardId\":\"shardId-%u-%u\"}", i > 0 ? "," : "", call->number,
                        i);
    leat_buf_printf(&text, "],\"NextToken\":\"evil-%u\"}", call->number);
    return hostile_json(call, leat_buf_text(&text));
}

static bool
circle(struct hostile_call *call)
{
    static const char *const tokens[] = {"evil-a", "evil-b", "evil-c"};
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text, "{\"Shards\":[" SHARD(REAL) "],\"NextToken\":\"%s\"}",
                    tokens[call->number % 3]);
    return hostile_json(call, leat_buf_text(&text));
}

/* The list is good; its token has 100,000 letters. */
static bool
long_token(struct hostile_call *call)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    if (memmem(call->body.data, call->body.size, "NextToken", 9) != NULL)
        return hostile_json(call, "{\"Shards\":[" SHARD(REAL) "]}");
    leat_buf_add_text(&text, "{\"Shards\":[],\"NextToken\":\"" EVIL);
    for (int i = 0; i < 100000; i++)
        leat_buf_add_byte(&text, 't');
    leat_buf_add_text(&text, "\"}");
    return hostile_json(call, leat_buf_text(&text));
}

static bool
endless_streams(struct hostile_call *call)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text, "{\"StreamNames\":[\"x%u\"],\"HasMoreStreams\":true}", call->number);
    return hostile_json(call, leat_buf_text(&text));
}

static bool
endless_large(struct hostile_call *call)
{
    LEAT_AUTO_BUF block = LEAT_BUF_INIT;
    bool is_open = hostile_text(call, "HTTP/1.1 200 OK\r\n\r\n{\"Shards\":[");

    while (block.size < 60000)
        leat_buf_add_text(&block, "[],");
    while (is_open)
        is_open = hostile_send(call, block.data, block.size);
    return false;
}

/* Streams are looked up again twice a second. */
#define LATE                                                                                       \
    .is_late = true, .rest = "memory: { budget: 32MiB }\nleases: { sync_interval: 500ms }\n"       \
                             "processors: [{ name: print, plugin: print, target: { plugin: "       \
                             "postgres } }]\n"
#define PATTERN .streams = "events, \"ev*l\"", LATE
#define SHARDS(name, body, ...)                                                                    \
    {                                                                                              \
        name, "ListShards", NULL, 0, NULL, body, __VA_ARGS__                                       \
    }
#define STREAMS(name, body, ...)                                                                   \
    {                                                                                              \
        name, "ListStreams", NULL, 0, NULL, body, PATTERN, __VA_ARGS__                             \
    }
#define DESCRIBE(name, body, ...)                                                                  \
    {                                                                                              \
        name, "DescribeStreamSummary", NULL, 0, NULL, body, LATE, __VA_ARGS__                      \
    }
#define SUMMARY(arn, created)                                                                      \
    "{\"StreamDescriptionSummary\":{\"StreamName\":\"evil\",\"StreamARN\":" arn                    \
    ",\"StreamStatus\":\"ACTIVE\",\"StreamCreationTimestamp\":" created "}}"
static const struct hostile_kind kinds[] = {
    {"list-silent", "ListShards", silent, .says = "no answer from"},
    {"list-endless", "ListShards", endless_shards, .says = "the list does not end"},
    {"list-many", "ListShards", many_shards, .says = "the list does not end"},
    {"list-endless-slow", "ListShards", slow_endless_shards},
    {"list-circle", "ListShards", circle, .says = "the list does not end"},
    {"list-long-token", "ListShards", long_token},
    {"list-endless-body", "ListShards", endless_large, .says = "larger than"},
    SHARDS("list-token-too-long", "{\"Shards\":[],\"NextToken\":\"$\"}", "t", 1100000,
           .says = "a token of 1100000 bytes"),
    SHARDS("list-same-token", "{\"Shards\":[],\"NextToken\":\"evil\"}",
           .says = "the list does not end"),
    SHARDS("list-of-brackets", "{\"Shards\":[$[]]}", "[],", 1000000, .says = "values would take"),
    SHARDS("list-of-objects", "{\"Shards\":[${}]}", "{},", 1000000, .says = "values would take"),
    SHARDS("list-deep", "{\"Shards\":$", "[", 1000000, .says = "nested deeper"),
    SHARDS("list-an-array", "[$1]", "1,", 10000, .says = "an answer that is no object"),
    SHARDS("list-a-number", "7", .says = "an answer that is no object"),
    SHARDS("list-cut", "{\"Shards\":[{\"ShardId\":\"sh", .says = "ends in the middle"),
    SHARDS("list-without-shards", "{\"Sherds\":[]}", .says = "lacks Shards"),
    SHARDS("list-shards-a-text", "{\"Shards\":\"all\"}", .says = "lacks Shards"),
    SHARDS("list-shard-of-a-long-name", "{\"Shards\":[{\"ShardId\":\"$\"}]}", "s", 5000,
           .says = "no id that can be stored"),
    SHARDS("list-long-hash-key",
           "{\"Shards\":[{\"ShardId\":\"s\",\"HashKeyRange\":{\"StartingHashKey\":\"$\"}}]}", "9",
           5000, .says = "a hash key or a sequence number that is none"),
    SHARDS("list-html", "<html>$</html>", "Sign in. ", 1000, .says = "does not parse"),
    {"list-error-500", "ListShards", NULL, 500, "", "", .says = "HTTP status 500"},
    {"list-throttled", "ListShards", NULL, 400, NULL, "{\"__type\":\"LimitExceededException\"}",
     .says = "LimitExceeded"},
    {"list-expired-page", "ListShards", NULL, 400, NULL,
     "{\"__type\":\"ExpiredNextTokenException\"}", .says = "ExpiredNextToken"},
    {"streams-endless", "ListStreams", endless_streams, PATTERN, .says = "the list does not end"},
    STREAMS("streams-again", "{\"StreamNames\":[\"a\",\"b\"],\"HasMoreStreams\":true}",
            .says = "the list does not end"),
    STREAMS("streams-more-of-none", "{\"StreamNames\":[],\"HasMoreStreams\":true}",
            .says = "there are more streams, and names none"),
    {"streams-of-a-long-name", "ListStreams", NULL, 0, NULL,
     "{\"StreamNames\":[\"$\"],\"HasMoreStreams\":false}", "n", 5000, PATTERN,
     .says = "a stream's name of 5000 bytes"},
    STREAMS("streams-name-with-zero",
            "{\"StreamNames\":[\"ev\\u0000il\"],\"HasMoreStreams\":false}",
            .says = "a stream's name that is none"),
    {"streams-of-brackets", "ListStreams", NULL, 0, NULL, "{\"StreamNames\":[$[]]}", "[],", 1000000,
     PATTERN, .says = "values would take"},
    {"streams-silent", "ListStreams", silent, PATTERN, .says = "no answer from"},
    {"describe-silent", "DescribeStreamSummary", silent, LATE, .says = "no answer from"},
    {"describe-long-arn", "DescribeStreamSummary", NULL, 0, NULL, SUMMARY("\"$\"", "1"), "a", 5000,
     LATE, .says = "a StreamARN of 5000 bytes"},
    DESCRIBE("describe-arn-with-zero", SUMMARY("\"arn\\u0000x\"", "1"), .says = "lacks StreamARN"),
    DESCRIBE("describe-created-1e300", SUMMARY("\"arn:x\"", "1e300"),
             .says = "StreamCreationTimestamp"),
    DESCRIBE("describe-nothing", "{}", .says = "lacks StreamARN"),
};
const struct hostile_kinds hostile_lists = {kinds, LEAT_COUNT_OF(kinds)};
