/*
 * A worker's start with a role, against the same with static keys: from exec to the first GetRecords, by turns. Whoever gives out
 * credentials takes a round trip's time for each answer, so the difference counts the round trips. JSON lines.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "local/roles.h"
#include "support/fleet.h"

#define ROUNDS 9
#define ROUND_TRIP_US (50 * 1000)
#define NOISE_US (15 * 1000) /* of one process' start beside another's */

/* Where credentials come from: its variables, the calls that a start needs, and their names at the server. */
struct source {
    const char *name;
    void (*point_at)(const char *endpoint, const char *token_file);
    const char *const *calls;
    size_t call_count;
    size_t allowed_round_trips;
};

static struct test_fleet fleet;
static struct leat_local_roles *roles;

static void
static_keys(const char *endpoint, const char *token_file)
{
    setenv("AWS_ACCESS_KEY_ID", "leat", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "leat", 1);
}

static void
web_identity(const char *endpoint, const char *token_file)
{
    setenv("AWS_ROLE_ARN", LEAT_LOCAL_ROLE_ARN, 1);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token_file, 1);
    setenv("AWS_ENDPOINT_URL_STS", endpoint, 1);
}

static void
container(const char *endpoint, const char *token_file)
{
    char url[128];

    snprintf(url, sizeof url, "%s" LEAT_LOCAL_CONTAINER_PATH, endpoint);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
}

static void
instance(const char *endpoint, const char *token_file)
{
    setenv("AWS_EC2_METADATA_DISABLED", "false", 1);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint, 1);
}

static const char *const of_sts[] = {"AssumeRoleWithWebIdentity"};
static const char *const of_container[] = {"Container"};
static const char *const of_instance[] = {"MetadataToken", "MetadataRole", "MetadataCredentials"};

static const struct source sources[] = {
    {"static keys", static_keys, NULL, 0, 0},
    {"web identity", web_identity, of_sts, 1, 1},
    {"container", container, of_container, 1, 1},
    /* One more, for the place that newer instances have. */
    {"instance", instance, of_instance, 3, 4},
};
#define SOURCES LEAT_COUNT_OF(sources)

static void
forget_all(void)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
        "AWS_ROLE_ARN",      "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_PROFILE",       "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++)
        unsetenv(names[i]);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static int64_t
time_of_start(const struct source *source, int round)
{
    struct test_worker worker;
    int64_t took_us;
    char id[32];

    snprintf(id, sizeof id, "w%d-%td", round, source - sources);
    took_us = test_fleet_spawn_and_read(&fleet, id, &worker);
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, NULL);
    return took_us;
}

static uint64_t
calls_of(const struct source *source)
{
    uint64_t calls = 0;

    for (size_t i = 0; i < source->call_count; i++)
        calls += leat_local_roles_calls(roles, source->calls[i]);
    return calls;
}

static bool
report(const struct source *source, int64_t times[ROUNDS], int64_t keys_us)
{
    int64_t median_us, more_us;
    uint64_t calls = calls_of(source);
    bool is_good;

    qsort(times, ROUNDS, sizeof *times, compare);
    median_us = times[ROUNDS / 2];
    more_us = median_us - keys_us;
    is_good = more_us <= (int64_t)source->allowed_round_trips * ROUND_TRIP_US + NOISE_US &&
              calls == source->call_count * ROUNDS;
    printf("{\"bench\": \"start_role\", \"source\": \"%s\", \"rounds\": %d, "
           "\"first_read_median_ms\": %.0f, \"more_than_static_ms\": %.0f, \"round_trip_ms\": %d, "
           "\"calls_a_start\": %.2f, \"bar_ms\": %zu, \"ok\": %s}\n",
           source->name, ROUNDS, (double)median_us / 1e3, (double)more_us / 1e3,
           ROUND_TRIP_US / 1000, (double)calls / ROUNDS,
           source->allowed_round_trips * ROUND_TRIP_US / 1000 + NOISE_US / 1000,
           is_good ? "true" : "false");
    return is_good;
}

static void
start_servers(char *token_file, size_t size)
{
    static struct leat_local_issuer issuer;
    struct test_fleet_options options = {.shards = 4, .issuer = &issuer};
    const struct leat_local_roles_options of_roles = {.web_identity_token = "a.token"};
    const struct leat_local_roles_fault delay = {.kind = LEAT_LOCAL_ROLES_DELAY,
                                                 .delay_us = ROUND_TRIP_US};
    struct leat_error err;
    FILE *file;

    roles = leat_local_roles_new(&of_roles, &err);
    if (roles == NULL) {
        fprintf(stderr, "start_role: %s\n", err.text);
        exit(1);
    }
    leat_local_roles_fault(roles, &delay);
    issuer = leat_local_roles_issuer(roles);
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, "processors: [{ name: rollup, plugin: rollup, target: { plugin: "
                                 "postgres } }]\n");
    snprintf(token_file, size, "%s/token", fleet.directory);
    file = fopen(token_file, "w");
    if (file == NULL || fputs("a.token", file) < 0 || fclose(file) != 0) {
        fprintf(stderr, "start_role: could not write %s\n", token_file);
        exit(1);
    }
}

int
main(void)
{
    int64_t times[SOURCES][ROUNDS], keys_us;
    bool is_good = true;
    char token_file[128];

    start_servers(token_file, sizeof token_file);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < SOURCES; i++) {
            forget_all();
            sources[i].point_at(leat_local_roles_endpoint(roles), token_file);
            times[i][round] = time_of_start(&sources[i], round);
        }
    }
    qsort(times[0], ROUNDS, sizeof **times, compare);
    keys_us = times[0][ROUNDS / 2];
    for (size_t i = 0; i < SOURCES; i++)
        is_good = report(&sources[i], times[i], keys_us) && is_good;
    test_fleet_end(&fleet);
    leat_local_roles_free(roles);
    return is_good ? 0 : 1;
}
