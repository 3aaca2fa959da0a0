/* GetRecords and GetShardIterator: answers that are well sent and mean harm. */
#include "base/memory.h"
#include "tests/hostile/kinds.h"

#define CBOR "Content-Type: application/x-amz-cbor-1.1\r\n"
#define NEXT ",\"NextShardIterator\":\"evil-2\",\"MillisBehindLatest\":0}"
#define RECORD(sequence)                                                                           \
    "{\"Data\":\"YQ==\",\"PartitionKey\":\"k\",\"SequenceNumber\":\"" sequence "\"}"

/* The same record for ever, numbers that go back. */
static bool
backwards(struct hostile_call *call)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text,
                    "{\"Records\":[{\"Data\":\"YQ==\",\"PartitionKey\":\"k\","
                    "\"SequenceNumber\":\"%u\"}]" NEXT,
                    1000000 - call->number);
    return hostile_json(call, leat_buf_text(&text));
}

static bool
cbor(struct hostile_call *call, const char *bytes, size_t size)
{
    return hostile_reply(call, 200, CBOR, leat_slice_make(bytes, size));
}
#define CBOR_BYTES(bytes) cbor(call, bytes, sizeof(bytes) - 1)

static bool
cbor_lying_bytes(struct hostile_call *call)
{
    return CBOR_BYTES("\xa1\x67Records\x81\xa1\x64"
                      "Data\x5b\x10\x00\x00\x00\x00\x00\x00\x00zz");
}

static bool
cbor_lying_map(struct hostile_call *call)
{
    return CBOR_BYTES("\xbb\x7f\xff\xff\xff\xff\xff\xff\xff\x67Records\x80");
}

static bool
cbor_lying_array(struct hostile_call *call)
{
    return CBOR_BYTES("\xa1\x67Records\x9b\x00\x00\x00\x00\x7f\xff\xff\xff\xa0");
}

static bool
cbor_endless(struct hostile_call *call)
{
    return CBOR_BYTES("\xbf\x67Records\x9f\xbf");
}

static bool
cbor_deep(struct hostile_call *call)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_add(&text, "\xa1\x61x", 3);
    for (int i = 0; i < 200000; i++)
        leat_buf_add_byte(&text, 0x81);
    return hostile_reply(call, 200, CBOR, leat_buf_slice(&text));
}

static bool
cbor_pieces(struct hostile_call *call)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_add(&text,
                 "\xa1\x67Records\x81\xa1\x64"
                 "Data\x5f",
                 17);
    for (int i = 0; i < 300000; i++)
        leat_buf_add(&text, "\x41z", 2);
    return hostile_reply(call, 200, CBOR, leat_buf_slice(&text));
}

#define READS(name, body, ...)                                                                     \
    {                                                                                              \
        name, "GetRecords", NULL, 0, NULL, body, __VA_ARGS__                                       \
    }
#define ITERATOR(name, body, ...)                                                                  \
    {                                                                                              \
        name, "GetShardIterator", NULL, 0, NULL, body, __VA_ARGS__                                 \
    }
static const struct hostile_kind kinds[] = {
    READS("empty-object", "{}", .says = "no well-formed"),
    READS("an-array", "[]", .says = "no well-formed"),
    READS("html", "<html><body>$</body></html>", "Sign in. ", 1000, .says = "no well-formed"),
    READS("deep", "{\"x\":$1", "[", 500000, .says = "no well-formed"),
    READS("truncated", "{\"Records\":[{\"Data\":\"YQ", .says = "no well-formed"),
    READS("twice-the-records", "{\"Records\":[],\"Records\":[]" NEXT, .says = "no well-formed"),
    READS("records-a-number", "{\"Records\":5" NEXT, .says = "no well-formed"),
    READS("many-records", "{\"Records\":[$" RECORD("2") "]" NEXT, RECORD("1") ",", 20000,
          .says = "no well-formed|out of order"),
    READS("long-iterator", "{\"Records\":[],\"NextShardIterator\":\"$\",\"MillisBehindLatest\":0}",
          "i", 900000, .says = "a NextShardIterator of 900000 bytes"),
    READS("iterator-with-zero",
          "{\"Records\":[],\"NextShardIterator\":\"evil\\u0000x\",\"MillisBehindLatest\":0}",
          .says = "a NextShardIterator of"),
    READS("long-sequence", "{\"Records\":[" RECORD("$") "]" NEXT, "7", 10000,
          .says = "a SequenceNumber of 10000 bytes"),
    READS("sequence-of-letters", "{\"Records\":[" RECORD("abc") "]" NEXT,
          .says = "a SequenceNumber of 3 bytes"),
    READS("no-sequence", "{\"Records\":[{\"Data\":\"YQ==\"}]" NEXT,
          .says = "a SequenceNumber of 0"),
    READS("out-of-order", "{\"Records\":[" RECORD("5") "," RECORD("3") "]" NEXT,
          .says = "out of order"),
    READS("equal-numbers", "{\"Records\":[" RECORD("5") "," RECORD("5") "]" NEXT,
          .says = "out of order"),
    {"backwards", "GetRecords", backwards, .evil_rows = 1},
    READS("the-same-for-ever", "{\"Records\":[" RECORD("5") "]" NEXT, .evil_rows = 1),
    READS("negative-lag",
          "{\"Records\":[],\"NextShardIterator\":\"evil-2\",\"MillisBehindLatest\":-5}"),
    READS("lag-of-2^63", "{\"Records\":[],\"NextShardIterator\":\"evil-2\","
                         "\"MillisBehindLatest\":9223372036854775808}"),
    READS("lag-of-1e999",
          "{\"Records\":[],\"NextShardIterator\":\"evil-2\",\"MillisBehindLatest\":1e999}",
          .says = "no well-formed"),
    READS("lag-a-text",
          "{\"Records\":[],\"NextShardIterator\":\"evil-2\",\"MillisBehindLatest\":\"x\"}",
          .says = "no well-formed"),
    {"clock-of-2099", "GetRecords", NULL, 0,
     "Date: Thu, 01 Jan 2099 00:00:00 GMT\r\nContent-Type: application/x-amz-json-1.1\r\n",
     "{\"Records\":[]" NEXT},
    {"clock-of-1969", "GetRecords", NULL, 0,
     "Date: Thu, 01 Jan 1969 00:00:00 GMT\r\nContent-Type: application/x-amz-json-1.1\r\n",
     "{\"Records\":[]" NEXT},
    READS("arrival-of-1e300",
          "{\"Records\":[{\"Data\":\"YQ==\",\"PartitionKey\":\"k\",\"SequenceNumber\":\"1\","
          "\"ApproximateArrivalTimestamp\":1e300}]" NEXT,
          .says = "no well-formed"),
    READS("bad-base64",
          "{\"Records\":[{\"Data\":\"****\",\"PartitionKey\":\"k\",\"SequenceNumber\":\"1\"}]" NEXT,
          .says = "no well-formed"),
    READS("key-of-no-utf8",
          "{\"Records\":[{\"Data\":\"YQ==\",\"PartitionKey\":\"\xff\xfe\",\"SequenceNumber\":\"1\"}"
          "]" NEXT,
          .evil_rows = 1),
    READS("key-with-zero",
          "{\"Records\":[{\"Data\":\"YQ==\",\"PartitionKey\":\"a\\u0000b\",\"SequenceNumber\":\"1\""
          "}]" NEXT,
          .evil_rows = 1),
    READS("key-of-a-megabyte",
          "{\"Records\":[{\"Data\":\"YQ==\",\"PartitionKey\":\"$\",\"SequenceNumber\":\"1\"}]" NEXT,
          "k", 700000, .evil_rows = 1),
    READS("children-without-end",
          "{\"Records\":[],\"MillisBehindLatest\":0,\"ChildShards\":[$null]}",
          "{\"ShardId\":\"s\",\"ParentShards\":[]},", 20000, .says = "no well-formed"),
    READS("child-of-a-long-name",
          "{\"Records\":[],\"MillisBehindLatest\":0,\"ChildShards\":[{\"ShardId\":\"$\","
          "\"ParentShards\":[]}]}",
          "s", 200000, .says = "a child shard whose id (200000 bytes)"),
    {"cbor-lying-bytes", "GetRecords", cbor_lying_bytes, .says = "no well-formed"},
    {"cbor-lying-map", "GetRecords", cbor_lying_map, .says = "no well-formed"},
    {"cbor-lying-array", "GetRecords", cbor_lying_array, .says = "no well-formed"},
    {"cbor-endless", "GetRecords", cbor_endless, .says = "no well-formed"},
    {"cbor-deep", "GetRecords", cbor_deep, .says = "no well-formed"},
    {"cbor-pieces", "GetRecords", cbor_pieces, .says = "no well-formed"},
    {"json-called-cbor", "GetRecords", NULL, 0, CBOR, "{\"Records\":[]" NEXT,
     .says = "no well-formed"},
    ITERATOR("shard-iterator-long", "{\"ShardIterator\":\"$\"}", "i", 3000,
             .says = "no ShardIterator of 1 to"),
    ITERATOR("shard-iterator-empty", "{\"ShardIterator\":\"\"}",
             .says = "no ShardIterator of 1 to"),
    ITERATOR("shard-iterator-a-tree", "{\"ShardIterator\":{\"a\":[$1]}}", "[],", 5000,
             .says = "no ShardIterator of 1 to"),
    ITERATOR("shard-iterator-large", "{\"ShardIterator\":\"$\"}", "i", 30000,
             .says = "larger than"),
};
const struct hostile_kinds hostile_reads = {kinds, LEAT_COUNT_OF(kinds)};
