#include "chaos/producer.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define PAUSE_US 5000

static void
put(const struct chaos_producer *producer, const char *key, const char *text, int size,
    char sequence[LEAT_LOCAL_SEQUENCE_BYTES])
{
    struct leat_error err;

    if (leat_local_kinesis_put(producer->world->fleet.kinesis, TEST_FLEET_STREAM,
                               leat_slice_from(key), leat_slice_from(""),
                               leat_slice_make(text, (size_t)size), sequence, &err) != 0) {
        fprintf(stderr, "chaos: could not put: %s\n", err.text);
        exit(1);
    }
}

static void
put_poison(struct chaos_producer *producer, const char *key, int64_t record)
{
    char text[64];
    int size = snprintf(text, sizeof text, "poison %lld", (long long)record);

    LEAT_GROW(producer->poison, producer->poison_count, producer->poison_capacity);
    put(producer, key, text, size, producer->poison[producer->poison_count++]);
}

static void
put_one(struct chaos_producer *producer, struct leat_random *random, int64_t record)
{
    int device = (int)leat_random_below(random, CHAOS_KEYS);
    char key[16], text[160];
    int64_t number;
    int size;

    snprintf(key, sizeof key, "k%d", device);
    if (record % CHAOS_POISON_EACH == CHAOS_POISON_EACH / 2) {
        put_poison(producer, key, record);
        return;
    }
    number = ++producer->put[device];
    size = snprintf(text, sizeof text,
                    "{\"device_id\":%d,\"time\":\"2022-01-01 00:%02d:%02d\","
                    "\"measurement\":\"chaos\",\"value\":%lld}",
                    device, (int)(number / 1000 % 60), (int)(number % 60), (long long)number);
    put(producer, key, text, size, NULL);
}

static void
run(void *context)
{
    struct chaos_producer *producer = context;
    int64_t begun_us = leat_clock_monotonic_us();
    struct leat_random random;

    leat_random_seed(&random, producer->seed);
    while (producer->records < producer->wanted && !producer->is_stopping) {
        int64_t rate = producer->rate;
        int64_t due = (leat_clock_monotonic_us() - begun_us) * rate / LEAT_SECOND_US;

        if (rate > 0 && producer->records >= due) {
            usleep(PAUSE_US);
            continue;
        }
        put_one(producer, &random, producer->records);
        producer->records++;
    }
}

void
chaos_producer_start(struct chaos_producer *producer)
{
    struct leat_error err;

    if (leat_thread_start(&producer->thread, "producer", run, producer, &err) != 0) {
        fprintf(stderr, "chaos: %s\n", err.text);
        exit(1);
    }
}

void
chaos_producer_wait(struct chaos_producer *producer)
{
    producer->rate = 0;
    leat_thread_join(&producer->thread);
}

void
chaos_producer_release(struct chaos_producer *producer)
{
    free(producer->poison);
}
