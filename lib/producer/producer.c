/*
 * The producer's life and its clock: when to send, whose turn it is, what is refused.
 *
 * Everything that waits lives in one arena, which is reset when nothing waits: at the latest each linger, and before it holds
 * more than WAITING_BYTES.
 */
#include "producer/producer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "producer/inside.h"

#define DEFAULT_LINGER_US (100 * LEAT_MS_US)
#define KPL_BYTES ((size_t)50 << 10)
#define JSON_BYTES ((size_t)256 << 10)
#define LARGEST_AGGREGATE_BYTES ((size_t)1 << 20)
#define LARGEST_RECORD_BYTES ((size_t)10 << 20)
#define KEY_BYTES ((size_t)LEAT_PRODUCER_KEY_CHARACTERS * 4)
#define WAITING_BYTES ((size_t)16 << 20)
#define WAITING_RECORDS 50000
#define MAP_AGE_US (30 * LEAT_SECOND_US)
#define LATE_US (100 * LEAT_MS_US) /* what a late caller may catch up with */

bool
leat_aggregation_parse(const char *text, enum leat_aggregation *ret_aggregation)
{
    static const struct {
        const char *name;
        enum leat_aggregation aggregation;
    } words[] = {
        {"none", LEAT_AGGREGATION_NONE},
        {"kpl", LEAT_AGGREGATION_KPL},
        {"gzip-json", LEAT_AGGREGATION_GZIP_JSON},
        {"gzip_json", LEAT_AGGREGATION_GZIP_JSON},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(words); i++) {
        if (strcmp(text, words[i].name) == 0) {
            *ret_aggregation = words[i].aggregation;
            return true;
        }
    }
    return false;
}

static void
apply_defaults(struct leat_producer_options *options)
{
    size_t largest;

    if (options->linger_us <= 0)
        options->linger_us = DEFAULT_LINGER_US;
    if (options->max_record_bytes == 0)
        options->max_record_bytes = LEAT_PRODUCER_RECORD_BYTES;
    if (options->aggregate_bytes == 0)
        options->aggregate_bytes = options->aggregation == LEAT_AGGREGATION_KPL ? KPL_BYTES
                                                                                : JSON_BYTES;
    largest = options->max_record_bytes < LARGEST_AGGREGATE_BYTES ? options->max_record_bytes
                                                                  : LARGEST_AGGREGATE_BYTES;
    if (options->aggregate_bytes > largest - KEY_BYTES)
        options->aggregate_bytes = largest - KEY_BYTES; /* the key counts, too */
}

static int
check_options(const struct leat_producer_options *options, struct leat_error *err)
{
    if (options->stream == NULL || *options->stream == '\0')
        return leat_error_set(err, LEAT_E_INVALID, "cannot put records: no stream is named");
    if (options->max_record_bytes != 0 && (options->max_record_bytes < 2 * KEY_BYTES ||
                                           options->max_record_bytes > LARGEST_RECORD_BYTES))
        return leat_error_set(err, LEAT_E_INVALID,
                              "cannot put records of at most %zu bytes: the limit is from %zu to "
                              "%zu",
                              options->max_record_bytes, 2 * KEY_BYTES, LARGEST_RECORD_BYTES);
    if (options->aggregate_bytes > LARGEST_AGGREGATE_BYTES)
        return leat_error_set(err, LEAT_E_INVALID,
                              "cannot make aggregates of %zu bytes: at most %zu",
                              options->aggregate_bytes, LARGEST_AGGREGATE_BYTES);
    return 0;
}

struct leat_producer *
leat_producer_new(const struct leat_producer_options *options, struct leat_error *err)
{
    struct leat_producer *producer;
    uint64_t seed;

    if (check_options(options, err) < 0)
        return NULL;
    producer = LEAT_NEW(struct leat_producer);
    producer->options = *options;
    apply_defaults(&producer->options);
    producer->stream = leat_strdup(options->stream);
    producer->oldest_us = INT64_MAX;
    leat_random_bytes(&seed, sizeof seed);
    leat_random_seed(&producer->random, seed);
    leat_mutex_init(&producer->lock);
    leat_condition_init(&producer->never);
    leat_arena_init(&producer->arena);
    leat_shard_map_init(&producer->map);
    leat_map_init(&producer->by_key);
    producer->kinesis = leat_kinesis_new(options->aws, LEAT_KINESIS_AUTO, err);
    if (producer->kinesis == NULL || (options->aggregation == LEAT_AGGREGATION_KPL &&
                                      leat_producer_map_refresh(producer, err) < 0)) {
        leat_producer_free(producer);
        return NULL;
    }
    return producer;
}

void
leat_producer_free(struct leat_producer *producer)
{
    if (producer == NULL)
        return;
    leat_producer_groups_release(producer);
    free(producer->by_shard);
    leat_shard_map_release(&producer->map);
    leat_arena_release(&producer->arena);
    leat_condition_release(&producer->never);
    leat_mutex_release(&producer->lock);
    leat_kinesis_free(producer->kinesis);
    free(producer->puts);
    free(producer->sent);
    free(producer->stream);
    free(producer);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static size_t
count_characters(struct leat_slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += (text.data[i] & 0xC0) != 0x80;
    return count;
}

/* As the service writes it: no sign, no zeros in front, below 2^128. */
static bool
is_hash_key(struct leat_slice text)
{
    struct leat_hash_key key;

    return leat_hash_key_parse(text, &key) && (text.size == 1 || text.data[0] != '0');
}

int
leat_producer_check(const struct leat_producer *producer, struct leat_slice partition_key,
                    struct leat_slice explicit_hash_key, struct leat_slice data,
                    struct leat_error *err)
{
    if (!leat_utf8_is_valid(partition_key))
        return leat_error_set(err, LEAT_E_INVALID,
                              "cannot put a record: its partition key is not UTF-8");
    if (count_characters(partition_key) > LEAT_PRODUCER_KEY_CHARACTERS)
        return leat_error_set(err, LEAT_E_INVALID,
                              "cannot put a record: its partition key has %zu characters, at most "
                              "%d are allowed",
                              count_characters(partition_key), LEAT_PRODUCER_KEY_CHARACTERS);
    if (explicit_hash_key.size > 0 && !is_hash_key(explicit_hash_key))
        return leat_error_set(err, LEAT_E_INVALID,
                              "cannot put a record: its explicit hash key is no number from 0 to "
                              "2^128 - 1");
    if (partition_key.size + data.size > producer->options.max_record_bytes)
        return leat_error_set(err, LEAT_E_LIMIT,
                              "cannot put a record of %zu bytes (data and partition key): at most "
                              "%zu are allowed",
                              partition_key.size + data.size, producer->options.max_record_bytes);
    return 0;
}

/* ---- when ---------------------------------------------------------------------------------- */

int64_t
leat_producer_wake_us(const struct leat_producer *producer)
{
    return producer->oldest_us == INT64_MAX ? INT64_MAX
                                            : producer->oldest_us + producer->options.linger_us;
}

int64_t
leat_producer_turn_us(const struct leat_producer *producer)
{
    return (int64_t)producer->turn_us;
}

static void
wait_until(struct leat_producer *producer, int64_t deadline_us)
{
    leat_mutex_lock(&producer->lock);
    while (leat_condition_wait_until(&producer->never, &producer->lock, deadline_us))
        continue;
    leat_mutex_unlock(&producer->lock);
}

/* Keeps the first of two errors. */
static int
first_error(int status, const struct leat_error *first, int later, struct leat_error *err)
{
    if (status < 0 && err != NULL)
        *err = *first;
    return status < 0 ? status : later;
}

int
leat_producer_flush(struct leat_producer *producer, struct leat_error *err)
{
    struct leat_error first;
    int status;

    leat_producer_seal_all(producer);
    status = leat_producer_send(producer, &first);
    /* Strays of a reshard go alone: they cannot stray again, but a listing may have sealed others. */
    while (producer->count > 0) {
        struct leat_error later;
        int next = leat_producer_send(producer, &later);

        if (status == 0 && next < 0) {
            first = later;
            status = next;
        }
    }
    leat_arena_reset(&producer->arena);
    producer->waiting = producer->waiting_bytes = 0;
    producer->oldest_us = INT64_MAX;
    return first_error(status, &first, 0, err);
}

int
leat_producer_poll(struct leat_producer *producer, struct leat_error *err)
{
    return leat_clock_monotonic_us() < leat_producer_wake_us(producer)
               ? 0
               : leat_producer_flush(producer, err);
}

/* The caller's turn: paced evenly, and what waits is not kept waiting by that. */
static int
await_turn(struct leat_producer *producer, struct leat_error *err)
{
    int64_t now_us = leat_clock_monotonic_us();
    struct leat_error first;
    int status = 0;

    if (producer->options.rate <= 0)
        return 0;
    while (now_us < leat_producer_turn_us(producer)) {
        int64_t wake_us = leat_producer_wake_us(producer);
        int64_t turn_us = leat_producer_turn_us(producer);

        wait_until(producer, wake_us < turn_us ? wake_us : turn_us);
        if (status == 0)
            status = leat_producer_poll(producer, &first);
        else
            (void)leat_producer_poll(producer, NULL);
        now_us = leat_clock_monotonic_us();
    }
    if (producer->turn_us < (double)(now_us - LATE_US))
        producer->turn_us = (double)(now_us - LATE_US);
    producer->turn_us += (double)LEAT_SECOND_US / producer->options.rate;
    return first_error(status, &first, 0, err);
}

static void
keep_map_fresh(struct leat_producer *producer, int64_t now_us)
{
    int64_t age_us = producer->has_uncovered ? LEAT_SECOND_US : MAP_AGE_US;

    /* What fails here fails again at the put, which says so. */
    if (producer->options.aggregation == LEAT_AGGREGATION_KPL &&
        now_us - producer->map_at_us >= age_us)
        (void)leat_producer_map_refresh(producer, NULL);
}

int
leat_producer_put(struct leat_producer *producer, struct leat_slice partition_key,
                  struct leat_slice explicit_hash_key, struct leat_slice data,
                  struct leat_error *err)
{
    struct leat_user_put user = {partition_key, explicit_hash_key, data};
    struct leat_error first;
    int64_t now_us;
    int status = leat_producer_check(producer, partition_key, explicit_hash_key, data, err);

    if (status < 0)
        return status;
    status = await_turn(producer, &first);
    now_us = leat_clock_monotonic_us();
    keep_map_fresh(producer, now_us);
    if (producer->oldest_us == INT64_MAX)
        producer->oldest_us = now_us;
    producer->waiting++;
    producer->waiting_bytes += data.size + partition_key.size;
    leat_producer_place(producer, &user);
    if (producer->waiting_bytes >= WAITING_BYTES || producer->waiting >= WAITING_RECORDS ||
        now_us >= leat_producer_wake_us(producer))
        return first_error(status, &first, leat_producer_flush(producer, err), err);
    if (producer->count >= LEAT_KINESIS_PUT_RECORDS ||
        producer->ready_bytes >= LEAT_KINESIS_PUT_BYTES)
        return first_error(status, &first, leat_producer_send(producer, err), err);
    return first_error(status, &first, 0, err);
}

struct leat_producer_counts
leat_producer_counts(const struct leat_producer *producer)
{
    return producer->counts;
}
