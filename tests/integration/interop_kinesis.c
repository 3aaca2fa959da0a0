/*
 * One table of scenarios, by lib/aws's client, against our own Kinesis and against two that others wrote, so that client and
 * server cannot drift together into a reading of our own. Where they differ the service's documentation decides:
 *
 *   quirk                                                     of              the service, and ours
 *   GetShardIterator of a foreign sequence: ResourceNotFound  kinesis-local   InvalidArgument
 *   a garbled iterator: 500, empty                            kinesis-local   InvalidArgument
 *   EndingSequenceNumber of a closed shard: 2^63-1            kinesis-local   behind its last record
 *   absent members are null                                   kinesis-local   absent
 *   SplitShard of a closed shard: ResourceInUse               kinesis-local   InvalidArgument
 *   SplitShard of a closed shard: done, once more             kinesalite      InvalidArgument (kinesalite#109)
 *   SplitShard at start, start + 1 or end: done               kinesis-local   InvalidArgument
 *   CBOR: Data is a text of base64                            kinesis-local   a byte string
 *   CBOR: stores another thing, answers are cut               kinesalite      spoken: not asked for there
 *   no ChildShards at the end of a shard                      kinesalite      told
 *   the end comes one answer after the last record            kinesalite      either
 *   MillisBehindLatest is 0 before the tip                    kinesalite      its age
 *   signatures are not looked at                              both            refused (tests/integration/local_kinesis.c)
 */
#include <check.h>
#include <poll.h>
#include <stdlib.h>

#include "aws/kinesis.h"
#include "base/clock.h"
#include "base/memory.h"
#include "local/kinesis.h"
#include "stream/position.h"
#include "stream/shard.h"
#include "support/patience.h"
#include "support/servers.h"

#define KEY_ID "AKIDINTEROP"
#define SECRET "a/secret+of=interop"

enum quirk {
    FOREIGN_SEQUENCE_NOT_FOUND = 1,
    GARBLED_ITERATOR_FAILS = 2,
    ENDS_AT_2_63 = 4,
    TELLS_NO_CHILDREN = 8,
    NEVER_BEHIND = 16,
    CLOSED_IS_IN_USE = 32,
    SPLITS_WHAT_IS_CLOSED = 64,
    SPLITS_AT_EDGES = 128
};

struct peer {
    const char *name;
    enum leat_kinesis_encoding encoding;
    unsigned quirks;
    const char *endpoint; /* NULL: it is not there */
    bool is_ours;
};

static struct peer peers[] = {
    {"local, CBOR", LEAT_KINESIS_CBOR, 0, NULL, true},
    {"local, JSON", LEAT_KINESIS_JSON, 0, NULL, true},
    {"kinesis-local, JSON", LEAT_KINESIS_JSON,
     FOREIGN_SEQUENCE_NOT_FOUND | GARBLED_ITERATOR_FAILS | ENDS_AT_2_63 | CLOSED_IS_IN_USE |
         SPLITS_AT_EDGES,
     NULL},
    {"kinesis-local, CBOR", LEAT_KINESIS_CBOR,
     FOREIGN_SEQUENCE_NOT_FOUND | GARBLED_ITERATOR_FAILS | ENDS_AT_2_63 | CLOSED_IS_IN_USE |
         SPLITS_AT_EDGES,
     NULL},
    {"kinesalite, JSON", LEAT_KINESIS_JSON,
     TELLS_NO_CHILDREN | NEVER_BEHIND | SPLITS_WHAT_IS_CLOSED, NULL},
};
#define PEERS LEAT_COUNT_OF(peers)

static const struct peer *peer;
static struct leat_aws aws;
static struct leat_kinesis *kinesis;
static struct leat_kinesis_region region;
static struct leat_kinesis_records records;
static char stream[64], iterator[LEAT_KINESIS_ITERATOR_BYTES];
static struct leat_error err;

#define OK(call) ck_assert_msg((call) == 0, "%s: %s", peer->name, err.text)
#define REFUSED(call, code)                                                                        \
    do {                                                                                           \
        int refused_with = (call);                                                                 \
        ck_assert_msg(refused_with == (code), "%s: %d instead of %d: %s", peer->name,              \
                      refused_with, (int)(code), err.text);                                        \
    } while (0)

static bool
has(enum quirk quirk)
{
    return (peer->quirks & quirk) != 0;
}

/* ---- a stream, and its records ---------------------------------------------------------------- */

static bool
grow(struct leat_kinesis_region *to_grow, size_t wanted_bytes)
{
    to_grow->data = leat_realloc(to_grow->data, wanted_bytes, 1);
    to_grow->capacity = wanted_bytes;
    return true;
}

static void
wait_for(const char *status)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    struct leat_kinesis_summary summary;
    int result;

    do {
        result = leat_kinesis_describe_stream_summary(kinesis, stream, &summary, &err);
        if (result == LEAT_E_NOT_FOUND && status == NULL)
            return;
        OK(result);
        if (status != NULL && strcmp(summary.status, status) == 0)
            return;
        poll(NULL, 0, 10);
    } while (leat_clock_monotonic_us() < deadline_us);
    ck_abort_msg("%s: the stream stays %s", peer->name, summary.status);
}

static struct leat_local_kinesis *local;

/* Ours runs in the test's own process: its threads would not survive the fork. */
static void
start_local(struct peer *of)
{
    local = leat_local_kinesis_new(
        &(struct leat_local_kinesis_options){
            .access_key_id = KEY_ID, .secret_access_key = SECRET, .change_us = 10 * LEAT_MS_US},
        &err);
    ck_assert_msg(local != NULL, "%s", err.text);
    of->endpoint = leat_local_kinesis_endpoint(local);
}

/* A client to the peer, and a stream of its own. */
static void
begin(size_t place, const char *name, unsigned shards)
{
    peer = &peers[place];
    if (peer->is_ours)
        start_local(&peers[place]);
    aws = (struct leat_aws){
        .region = "us-east-1",
        .credentials = leat_credentials_static_new(KEY_ID, SECRET, NULL),
        .retry = {.maximum_attempts = 3, .base_us = LEAT_MS_US, .cap_us = 10 * LEAT_MS_US}};
    aws.endpoints[LEAT_SERVICE_KINESIS] = peer->endpoint;
    kinesis = leat_kinesis_new(&aws, peer->encoding, &err);
    ck_assert_msg(kinesis != NULL, "%s", err.text);
    region = (struct leat_kinesis_region){.grow = grow};
    snprintf(stream, sizeof stream, "%s-%s", name,
             peer->encoding == LEAT_KINESIS_CBOR ? "cbor" : "json");
    if (shards > 0) {
        OK(leat_kinesis_create_stream(kinesis, stream, shards, &err));
        wait_for("ACTIVE");
    }
}

static void
end(void)
{
    leat_kinesis_delete_stream(kinesis, stream, &err);
    leat_kinesis_records_release(&records);
    free(region.data);
    leat_kinesis_free(kinesis);
    leat_credentials_provider_free(aws.credentials);
    leat_local_kinesis_free(local);
}

static struct leat_kinesis_put
record_of(const char *key, const void *data, size_t size, const char *hash_key)
{
    return (struct leat_kinesis_put){.data = leat_slice_make(data, size),
                                     .partition_key = leat_slice_from(key),
                                     .explicit_hash_key = leat_slice_from(hash_key)};
}

static struct leat_kinesis_put
put(const char *key, const char *data, const char *hash_key)
{
    struct leat_kinesis_put one = record_of(key, data, strlen(data), hash_key);

    OK(leat_kinesis_put_records(kinesis, stream, &one, 1, &err));
    return one;
}

static int
ask_iterator(const char *shard, enum leat_kinesis_iterator_type type, const char *sequence)
{
    struct leat_kinesis_iterator_request request = {.stream = stream,
                                                    .shard = leat_slice_from(shard),
                                                    .type = type,
                                                    .sequence = leat_slice_from(sequence)};

    return leat_kinesis_get_shard_iterator(kinesis, &request, iterator, &err);
}

static void
read_next(unsigned limit)
{
    OK(leat_kinesis_get_records(kinesis, stream, iterator, limit, &region, &records, &err));
    snprintf(iterator, sizeof iterator, "%.*s", (int)records.next_iterator.size,
             (const char *)records.next_iterator.data);
}

/* Until there are records, or the end. */
static void
read_some(unsigned limit)
{
    for (int i = 0; i < 50; i++) {
        read_next(limit);
        if (records.count > 0 || records.is_end)
            return;
    }
}

struct listed {
    struct leat_shard_list list;
    char ending[8][140];
};

static int
keep_shard(void *context, const struct leat_kinesis_shard *shard)
{
    struct listed *listed = context;
    struct leat_shard_facts facts = {.shard = shard->shard,
                                     .starting_hash_key = shard->starting_hash_key,
                                     .ending_hash_key = shard->ending_hash_key,
                                     .starting_sequence = shard->starting_sequence,
                                     .is_closed = shard->ending_sequence.size > 0};

    ck_assert_uint_lt(listed->list.count, LEAT_COUNT_OF(listed->ending));
    snprintf(listed->ending[listed->list.count], sizeof listed->ending[0], "%.*s",
             (int)shard->ending_sequence.size, (const char *)shard->ending_sequence.data);
    if (shard->parent.size > 0)
        facts.parents[facts.parent_count++] = shard->parent;
    if (shard->adjacent_parent.size > 0)
        facts.parents[facts.parent_count++] = shard->adjacent_parent;
    leat_shard_list_add(&listed->list, &facts);
    return 0;
}

static void
list_shards(struct listed *listed)
{
    leat_shard_list_init(&listed->list);
    OK(leat_kinesis_list_shards(kinesis, stream, keep_shard, listed, &err));
}

static void
shard_name(unsigned shard, char name[24])
{
    snprintf(name, 24, "shardId-%012u", shard);
}

/* ---- scenarios -------------------------------------------------------------------------------- */

static int
find_name(void *context, struct leat_slice name)
{
    *(bool *)context = *(bool *)context || leat_slice_is(name, stream);
    return 0;
}

START_TEST(streams_come_and_go)
{
    struct leat_kinesis_summary summary;
    bool is_listed = false;

    begin((size_t)_i, "streams", 0);
    REFUSED(leat_kinesis_describe_stream_summary(kinesis, stream, &summary, &err),
            LEAT_E_NOT_FOUND);
    OK(leat_kinesis_create_stream(kinesis, stream, 3, &err));
    wait_for("ACTIVE");
    OK(leat_kinesis_describe_stream_summary(kinesis, stream, &summary, &err));
    ck_assert_str_eq(summary.name, stream);
    ck_assert_int_eq(summary.open_shards, 3);
    ck_assert_int_eq(summary.retention_hours, 24);
    ck_assert_ptr_nonnull(strstr(summary.arn, ":stream/streams-"));
    ck_assert_int_lt(llabs(summary.created_us - leat_clock_wall_us()), 30 * LEAT_SECOND_US);
    REFUSED(leat_kinesis_create_stream(kinesis, stream, 3, &err), LEAT_E_CONFLICT);
    REFUSED(leat_kinesis_create_stream(kinesis, "a b", 1, &err), LEAT_E_INVALID);
    OK(leat_kinesis_list_streams(kinesis, find_name, &is_listed, &err));
    ck_assert(is_listed);
    OK(leat_kinesis_delete_stream(kinesis, stream, &err));
    wait_for(NULL);
    REFUSED(leat_kinesis_delete_stream(kinesis, stream, &err), LEAT_E_NOT_FOUND);
    end();
}
END_TEST

START_TEST(shards_cover_all_hash_keys)
{
    struct leat_hash_key next = {0, 0}, start_key, end_key;
    struct listed listed;

    begin((size_t)_i, "shards", 3);
    list_shards(&listed);
    ck_assert_uint_eq(listed.list.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        const struct leat_shard_facts *shard = &listed.list.shards[i];
        char name[24];

        shard_name(i, name);
        ck_assert(leat_slice_is(shard->shard, name));
        ck_assert(!shard->is_closed);
        ck_assert_uint_eq(shard->parent_count, 0);
        ck_assert_uint_eq(shard->starting_sequence.size, 56);
        ck_assert(leat_hash_key_parse(shard->starting_hash_key, &start_key));
        ck_assert(leat_hash_key_parse(shard->ending_hash_key, &end_key));
        ck_assert_int_eq(leat_hash_key_compare(start_key, next), 0);
        next = (struct leat_hash_key){end_key.high + (end_key.low == UINT64_MAX), end_key.low + 1};
    }
    ck_assert(next.high == 0 && next.low == 0);
    leat_shard_list_release(&listed.list);
    end();
}
END_TEST

/* The shard of the list whose range holds the key. */
static const struct leat_shard_facts *
shard_of(const struct leat_shard_list *list, struct leat_slice partition_key)
{
    struct leat_hash_key key, start_key, end_key;

    leat_hash_key_of(partition_key, &key);
    for (size_t i = 0; i < list->count; i++) {
        ck_assert(leat_hash_key_parse(list->shards[i].starting_hash_key, &start_key));
        ck_assert(leat_hash_key_parse(list->shards[i].ending_hash_key, &end_key));
        if (leat_hash_key_compare(start_key, key) <= 0 && leat_hash_key_compare(key, end_key) <= 0)
            return &list->shards[i];
    }
    ck_abort_msg("no shard holds a key");
    return NULL;
}

#define MANY 60

START_TEST(what_is_put_is_read)
{
    static const unsigned char bytes[] = {0, 1, 0xff, '"', '\\', '\n', 0x80, 0xc3};
    static char keys[MANY][32];
    struct leat_kinesis_put puts[MANY];
    struct listed listed;
    size_t found = 0;
    int64_t begun_us = leat_clock_wall_us();

    begin((size_t)_i, "records", 3);
    list_shards(&listed);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], "k%zu \"\xc3\xa9\xe2\x82\xac", i);
        puts[i] = record_of(keys[i], bytes, 1 + i % sizeof bytes, "");
    }
    OK(leat_kinesis_put_records(kinesis, stream, puts, MANY, &err));
    for (size_t i = 0; i < MANY; i++)
        ck_assert(
            leat_slice_is(shard_of(&listed.list, puts[i].partition_key)->shard, puts[i].shard));
    for (unsigned shard = 0; shard < 3; shard++) {
        char name[24], last[130] = "0";
        size_t next = 0;

        shard_name(shard, name);
        OK(ask_iterator(name, LEAT_ITERATOR_TRIM_HORIZON, ""));
        for (read_some(7); records.count > 0; read_next(7)) {
            ck_assert_uint_le(records.count, 7);
            for (size_t i = 0; i < records.count; i++, found++, next++) {
                const struct leat_kinesis_record *record = &records.records[i];

                while (strcmp(puts[next].shard, name) != 0)
                    next++;
                ck_assert_uint_lt(next, MANY);
                ck_assert(leat_slice_equals(record->data, puts[next].data));
                ck_assert(leat_slice_equals(record->partition_key, puts[next].partition_key));
                ck_assert(leat_slice_is(record->sequence, puts[next].sequence));
                ck_assert_int_gt(leat_sequence_order(record->sequence, leat_slice_from(last)), 0);
                snprintf(last, sizeof last, "%s", puts[next].sequence);
                ck_assert_int_lt(llabs(record->arrival_us - begun_us), PATIENCE_US);
            }
        }
        ck_assert_int_eq(records.behind_ms, 0);
        ck_assert(!records.is_end);
    }
    ck_assert_uint_eq(found, MANY);
    leat_shard_list_release(&listed.list);
    end();
}
END_TEST

START_TEST(iterators_of_all_types)
{
    static const char shard[] = "shardId-000000000000";
    struct leat_kinesis_iterator_request at = {
        .stream = stream, .shard = leat_slice_from(shard), .type = LEAT_ITERATOR_AT_TIMESTAMP};
    struct leat_kinesis_put second;

    begin((size_t)_i, "iterators", 1);
    put("a", "1", "");
    poll(NULL, 0, 30);
    at.timestamp_us = leat_clock_wall_us();
    poll(NULL, 0, 10);
    second = put("a", "2", "");
    put("a", "3", "");
    OK(ask_iterator(shard, LEAT_ITERATOR_TRIM_HORIZON, ""));
    read_some(1);
    ck_assert(leat_slice_is(records.records[0].data, "1"));
    if (!has(NEVER_BEHIND))
        ck_assert_int_gt(records.behind_ms, 0);
    OK(ask_iterator(shard, LEAT_ITERATOR_AT_SEQUENCE, second.sequence));
    read_some(1);
    ck_assert(leat_slice_is(records.records[0].data, "2"));
    OK(ask_iterator(shard, LEAT_ITERATOR_AFTER_SEQUENCE, second.sequence));
    read_some(0);
    ck_assert_uint_eq(records.count, 1);
    ck_assert(leat_slice_is(records.records[0].data, "3"));
    OK(leat_kinesis_get_shard_iterator(kinesis, &at, iterator, &err));
    read_some(0);
    ck_assert_uint_eq(records.count, 2);
    ck_assert(leat_slice_is(records.records[0].data, "2"));
    OK(ask_iterator(shard, LEAT_ITERATOR_LATEST, ""));
    read_next(0);
    ck_assert_uint_eq(records.count, 0);
    ck_assert_int_eq(records.behind_ms, 0);
    put("a", "4", "");
    read_some(0);
    ck_assert(leat_slice_is(records.records[0].data, "4"));
    end();
}
END_TEST

START_TEST(what_cannot_be_read_is_refused_by_name)
{
    static const char shard[] = "shardId-000000000000";
    struct leat_kinesis_iterator_request at = {
        .stream = stream, .shard = leat_slice_from(shard), .type = LEAT_ITERATOR_AT_TIMESTAMP};
    int result;

    begin((size_t)_i, "refused", 1);
    put("a", "1", "");
    REFUSED(ask_iterator("shardId-000000000007", LEAT_ITERATOR_LATEST, ""), LEAT_E_NOT_FOUND);
    REFUSED(ask_iterator(shard, LEAT_ITERATOR_AT_SEQUENCE,
                         "49500000000000000000000000000000000000000000000000000001"),
            has(FOREIGN_SEQUENCE_NOT_FOUND) ? LEAT_E_NOT_FOUND : LEAT_E_INVALID);
    at.timestamp_us = leat_clock_wall_us() + 3600 * LEAT_SECOND_US;
    REFUSED(leat_kinesis_get_shard_iterator(kinesis, &at, iterator, &err), LEAT_E_INVALID);
    result =
        leat_kinesis_get_records(kinesis, stream, "AAAAAAAAAAHgarbled", 0, &region, &records, &err);
    REFUSED(result, has(GARBLED_ITERATOR_FAILS) ? LEAT_E_UNAVAILABLE : LEAT_E_INVALID);
    leat_kinesis_delete_stream(kinesis, stream, &err);
    wait_for(NULL);
    REFUSED(ask_iterator(shard, LEAT_ITERATOR_LATEST, ""), LEAT_E_NOT_FOUND);
    end();
}
END_TEST

START_TEST(what_cannot_be_put_is_refused)
{
    static unsigned char block[(1 << 20) + 1];
    static char key[258];
    struct leat_kinesis_put one;

    begin((size_t)_i, "puts", 2);
    one = record_of("k", block, sizeof block, "");
    REFUSED(leat_kinesis_put_records(kinesis, stream, &one, 1, &err), LEAT_E_INVALID);
    one.data.size = (1 << 20) - 1;
    OK(leat_kinesis_put_records(kinesis, stream, &one, 1, &err));
    memset(key, 'k', 257);
    one = record_of(key, "x", 1, "");
    REFUSED(leat_kinesis_put_records(kinesis, stream, &one, 1, &err), LEAT_E_INVALID);
    one = record_of("", "x", 1, "");
    REFUSED(leat_kinesis_put_records(kinesis, stream, &one, 1, &err), LEAT_E_INVALID);
    one = record_of("k", "x", 1, "340282366920938463463374607431768211456");
    REFUSED(leat_kinesis_put_records(kinesis, stream, &one, 1, &err), LEAT_E_INVALID);
    one.explicit_hash_key = leat_slice_from("340282366920938463463374607431768211455");
    OK(leat_kinesis_put_records(kinesis, stream, &one, 1, &err));
    ck_assert_str_eq(one.shard, "shardId-000000000001");
    one.explicit_hash_key = leat_slice_from("0");
    OK(leat_kinesis_put_records(kinesis, stream, &one, 1, &err));
    ck_assert_str_eq(one.shard, "shardId-000000000000");
    leat_kinesis_delete_stream(kinesis, stream, &err);
    wait_for(NULL);
    REFUSED(leat_kinesis_put_records(kinesis, stream, &one, 1, &err), LEAT_E_NOT_FOUND);
    end();
}
END_TEST

START_TEST(large_answers_come_whole)
{
    static unsigned char block[100000];
    struct leat_kinesis_put puts[15];
    size_t seen = 0;

    begin((size_t)_i, "large", 1);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (unsigned char)(i * 31 + i / 257);
    for (size_t i = 0; i < 15; i++)
        puts[i] = record_of("k", block + i, sizeof block - 2 * i, "");
    OK(leat_kinesis_put_records(kinesis, stream, puts, 15, &err));
    OK(ask_iterator("shardId-000000000000", LEAT_ITERATOR_TRIM_HORIZON, ""));
    while (seen < 15) {
        read_some(0);
        ck_assert_uint_gt(records.count, 0);
        for (size_t i = 0; i < records.count; i++)
            ck_assert(leat_slice_equals(records.records[i].data, puts[seen++].data));
    }
    end();
}
END_TEST

/* ---- resharding ------------------------------------------------------------------------------- */

/* From its beginning to its end: how many records; the children are in `records`. */
static size_t
read_to_end(const char *shard)
{
    size_t count = 0;

    OK(ask_iterator(shard, LEAT_ITERATOR_TRIM_HORIZON, ""));
    for (int i = 0; i < 50; i++) {
        read_next(0);
        count += records.count;
        if (records.is_end)
            return count;
    }
    ck_abort_msg("%s: %s has no end", peer->name, shard);
    return 0;
}

static void
check_child(size_t place, const char *name, size_t parents)
{
    if (has(TELLS_NO_CHILDREN))
        return;
    ck_assert_uint_lt(place, records.child_count);
    ck_assert(leat_slice_is(records.children[place].shard, name));
    ck_assert_uint_eq(records.children[place].parent_count, parents);
}

static void
check_split(const struct leat_kinesis_put *before, const struct leat_kinesis_put *after)
{
    struct listed listed;

    list_shards(&listed);
    ck_assert_uint_eq(listed.list.count, 4);
    ck_assert(listed.list.shards[0].is_closed && !listed.list.shards[1].is_closed);
    if (!has(ENDS_AT_2_63))
        ck_assert_int_gt(leat_sequence_order(leat_slice_from(listed.ending[0]),
                                             leat_slice_from(before->sequence)),
                         0);
    for (unsigned i = 2; i < 4; i++) {
        const struct leat_shard_facts *child = &listed.list.shards[i];

        ck_assert(!child->is_closed);
        ck_assert_uint_eq(child->parent_count, 1);
        ck_assert(leat_slice_is(child->parents[0], "shardId-000000000000"));
        ck_assert_int_gt(
            leat_sequence_order(child->starting_sequence, leat_slice_from(before->sequence)), 0);
    }
    ck_assert(leat_slice_is(listed.list.shards[2].ending_hash_key, "999"));
    ck_assert(leat_slice_is(listed.list.shards[3].starting_hash_key, "1000"));
    ck_assert_str_eq(after->shard, "shardId-000000000003");
    ck_assert_int_gt(
        leat_sequence_order(leat_slice_from(after->sequence), leat_slice_from(before->sequence)),
        0);
    leat_shard_list_release(&listed.list);
}

START_TEST(splits_and_merges_end_shards_and_name_children)
{
    static const char s0[] = "shardId-000000000000", s1[] = "shardId-000000000001",
                      s2[] = "shardId-000000000002", s3[] = "shardId-000000000003",
                      s4[] = "shardId-000000000004";
    struct leat_kinesis_put before, after;
    struct listed listed;

    begin((size_t)_i, "reshard", 2);
    put("a", "1", "5");
    before = put("a", "2", "2000");
    ck_assert_str_eq(before.shard, s0);
    OK(leat_kinesis_split_shard(kinesis, stream, s0, "1000", &err));
    wait_for("ACTIVE");
    after = put("a", "3", "2000");
    check_split(&before, &after);
    ck_assert_uint_eq(read_to_end(s0), 2);
    check_child(0, s2, 1);
    check_child(1, s3, 1);
    if (!has(SPLITS_WHAT_IS_CLOSED))
        REFUSED(leat_kinesis_split_shard(kinesis, stream, s0, "1000", &err),
                has(CLOSED_IS_IN_USE) ? LEAT_E_CONFLICT : LEAT_E_INVALID);
    REFUSED(leat_kinesis_split_shard(kinesis, stream, s2, "1000", &err), LEAT_E_INVALID);
    if (!has(SPLITS_AT_EDGES)) {
        REFUSED(leat_kinesis_split_shard(kinesis, stream, s2, "999", &err), LEAT_E_INVALID);
        REFUSED(leat_kinesis_split_shard(kinesis, stream, s2, "1", &err), LEAT_E_INVALID);
        REFUSED(leat_kinesis_split_shard(kinesis, stream, s2, "0", &err), LEAT_E_INVALID);
    }
    REFUSED(leat_kinesis_merge_shards(kinesis, stream, s2, s1, &err), LEAT_E_INVALID);
    REFUSED(leat_kinesis_merge_shards(kinesis, stream, s2, "shardId-000000000009", &err),
            LEAT_E_NOT_FOUND);
    OK(leat_kinesis_merge_shards(kinesis, stream, s3, s1, &err));
    wait_for("ACTIVE");
    ck_assert_uint_eq(read_to_end(s3), 1);
    check_child(0, s4, 2);
    ck_assert_uint_eq(read_to_end(s1), 0);
    check_child(0, s4, 2);
    list_shards(&listed);
    ck_assert_uint_eq(listed.list.count, 5);
    ck_assert_uint_eq(listed.list.shards[4].parent_count, 2);
    ck_assert(leat_slice_is(listed.list.shards[4].parents[0], s3));
    ck_assert(leat_slice_is(listed.list.shards[4].parents[1], s1));
    leat_shard_list_release(&listed.list);
    ck_assert_str_eq(put("a", "4", "340282366920938463463374607431768211455").shard, s4);
    end();
}
END_TEST

/* ---- the servers ------------------------------------------------------------------------------ */

static struct foreign_server foreign[2];

static void
stop_servers(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(foreign); i++)
        foreign_server_stop(&foreign[i]);
}

static void
start_servers(void)
{
    static const enum foreign_kind kinds[] = {FOREIGN_KINESIS_LOCAL, FOREIGN_KINESALITE};

    for (size_t i = 0; i < LEAT_COUNT_OF(foreign); i++)
        foreign_server_start(&foreign[i], kinds[i]);
    if (foreign_server_wait(&foreign[0]))
        peers[2].endpoint = peers[3].endpoint = foreign[0].endpoint;
    if (foreign_server_wait(&foreign[1]))
        peers[4].endpoint = foreign[1].endpoint;
}

int
main(void)
{
    const TTest *const scenarios[] = {streams_come_and_go,
                                      shards_cover_all_hash_keys,
                                      what_is_put_is_read,
                                      iterators_of_all_types,
                                      what_cannot_be_read_is_refused_by_name,
                                      what_cannot_be_put_is_refused,
                                      large_answers_come_whole,
                                      splits_and_merges_end_shards_and_name_children};
    struct interop interop = {0};
    SRunner *runner = srunner_create(NULL);
    int code;

    start_servers();
    for (size_t i = 0; i < PEERS; i++) {
        Suite *suite = suite_create(peers[i].name);
        TCase *tests = tcase_create(peers[i].name);

        for (size_t j = 0;
             j < LEAT_COUNT_OF(scenarios) && (peers[i].endpoint != NULL || peers[i].is_ours); j++)
            tcase_add_loop_test(tests, scenarios[j], (int)i, (int)i + 1);
        suite_add_tcase(suite, tests);
        srunner_add_suite(runner, suite);
    }
    interop_miss(&interop, &foreign[0], 2 * (unsigned)LEAT_COUNT_OF(scenarios));
    interop_miss(&interop, &foreign[1], (unsigned)LEAT_COUNT_OF(scenarios));
    code = interop_run(&interop, runner);
    stop_servers();
    return code;
}
