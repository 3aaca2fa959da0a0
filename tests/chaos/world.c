/* Faults of servers and connections. Each has its end: in a storm nothing stays broken. */
#include "chaos/world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/memory.h"

#define FEWEST_SHARDS 4u

_Noreturn static void
give_up(const char *what, const char *why)
{
    fprintf(stderr, "chaos: %s: %s\n", what, why);
    exit(1);
}

/* ---- databases ------------------------------------------------------------------------------------- */

struct leat_pg_connection *
chaos_connect(const struct chaos_database *database)
{
    struct leat_pg_options options = {.search_path = "public",
                                      .url = database->url,
                                      .application_name = "oracle",
                                      .connect_timeout_us = 2 * LEAT_SECOND_US};
    struct leat_pg_connection *connection;
    struct leat_error err;

    return leat_pg_connect(&options, &connection, &err) == 0 ? connection : NULL;
}

static void
restart(struct chaos_database *database, int signal_number, int64_t back_at_us)
{
    struct leat_error err;

    kill(leat_local_postgres_pid(database->postgres), signal_number);
    leat_local_postgres_stop(database->postgres);
    leat_mutex_lock(&database->lock);
    while (!database->is_ending && leat_clock_monotonic_us() < back_at_us)
        leat_condition_wait_until(&database->condition, &database->lock, back_at_us);
    leat_mutex_unlock(&database->lock);
    if (leat_local_postgres_start(database->directory, &database->postgres, &err) != 0)
        give_up("could not start postgres again", err.text);
}

/* The first start is the keeper's, too: the server must not end before it does. */
static void
keep(void *context)
{
    struct chaos_database *database = context;
    struct leat_error err;

    if (leat_local_postgres_start(database->directory, &database->postgres, &err) != 0)
        give_up("could not start postgres", err.text);
    leat_mutex_lock(&database->lock);
    database->is_down = false;
    leat_condition_broadcast(&database->condition);
    while (!database->is_ending) {
        int signal_number = database->signal;
        int64_t back_at_us = database->back_at_us;

        if (signal_number == 0) {
            leat_condition_wait(&database->condition, &database->lock);
            continue;
        }
        leat_mutex_unlock(&database->lock);
        restart(database, signal_number, back_at_us);
        leat_mutex_lock(&database->lock);
        database->signal = 0;
        database->is_down = false;
        leat_condition_broadcast(&database->condition);
    }
    leat_mutex_unlock(&database->lock);
    leat_local_postgres_stop(database->postgres);
}

static void
wait_until_up(struct chaos_database *database)
{
    leat_mutex_lock(&database->lock);
    while (database->is_down)
        leat_condition_wait(&database->condition, &database->lock);
    leat_mutex_unlock(&database->lock);
}

static bool
is_down(struct chaos_database *database)
{
    bool is_down;

    leat_mutex_lock(&database->lock);
    is_down = database->is_down;
    leat_mutex_unlock(&database->lock);
    return is_down;
}

static void
ask_for_restart(struct chaos_database *database, int signal_number, int64_t back_at_us)
{
    leat_mutex_lock(&database->lock);
    database->signal = signal_number;
    database->back_at_us = back_at_us;
    database->is_down = true;
    leat_condition_broadcast(&database->condition);
    leat_mutex_unlock(&database->lock);
}

static bool
is_pooled(void)
{
    const char *wanted = getenv("CHAOS_POOLER");

    return wanted != NULL && *wanted != '\0';
}

/* A real PgBouncer in transaction mode. By default it waits 15 s before it tries a server again that refused, and clients wait for
   it two minutes: here nothing lasts that long. */
static void
start_pooler(struct chaos_database *database)
{
    char server[60];

    if (!test_pooler_is_there())
        give_up("CHAOS_POOLER", "there is no pgbouncer here: make deps-test");
    snprintf(server, sizeof server, "host=127.0.0.1 port=%u", test_proxy_port(database->proxy));
    test_pooler_start(&database->pooler, server, 40,
                      "server_login_retry = 1\nserver_connect_timeout = 3\n"
                      "query_wait_timeout = 5\n");
}

void
chaos_worker_url(const struct chaos_database *database, char *url, size_t size)
{
    snprintf(url, size, "host=127.0.0.1 port=%u user=postgres dbname=leat",
             is_pooled() ? database->pooler.port : test_proxy_port(database->proxy));
}

static void
start_database(struct chaos_database *database, const char *parent, const char *name)
{
    struct leat_pg_connection *connection;
    char socket_path[108];
    struct leat_error err;

    leat_is_unshared();
    snprintf(database->directory, sizeof database->directory, "%.60s/%s", parent, name);
    if (mkdir(database->directory, 0755) != 0)
        give_up(database->directory, strerror(errno));
    leat_mutex_init(&database->lock);
    leat_condition_init(&database->condition);
    database->is_down = true;
    if (leat_thread_start(&database->keeper, "keeper", keep, database, &err) != 0)
        give_up("could not start a thread", err.text);
    wait_until_up(database);
    snprintf(database->url, sizeof database->url, "host=%s user=postgres dbname=postgres",
             database->directory);
    connection = chaos_connect(database);
    if (connection == NULL || leat_pg_script(connection, "CREATE DATABASE leat", &err) != 0)
        give_up("could not make a database", err.text);
    leat_pg_close(connection);
    snprintf(database->url, sizeof database->url, "host=%s user=postgres dbname=leat",
             database->directory);
    snprintf(socket_path, sizeof socket_path, "%s/.s.PGSQL.5432", database->directory);
    database->proxy = test_proxy_start(socket_path);
    if (is_pooled())
        start_pooler(database);
    database->well_since_us = leat_clock_monotonic_us();
}

static void
end_database(struct chaos_database *database)
{
    test_pooler_end(&database->pooler);
    test_proxy_stop(database->proxy);
    leat_mutex_lock(&database->lock);
    database->is_ending = true;
    leat_condition_broadcast(&database->condition);
    leat_mutex_unlock(&database->lock);
    leat_thread_join(&database->keeper);
    leat_condition_release(&database->condition);
    leat_mutex_release(&database->lock);
}

/* One of the workers' backends, by the server's own list. */
static bool
kill_backend(const struct chaos_database *database, unsigned pick)
{
    struct leat_pg_connection *connection = chaos_connect(database);
    PGresult *result;
    int count;

    if (connection == NULL)
        return false;
    result = PQexec(connection->conn, "SELECT pid FROM pg_stat_activity WHERE application_name "
                                      "LIKE 'leat%' ORDER BY backend_start, pid");
    count = PQntuples(result);
    if (count > 0)
        kill((pid_t)strtol(PQgetvalue(result, (int)(pick % (unsigned)count), 0), NULL, 10),
             SIGKILL);
    PQclear(result);
    leat_pg_close(connection);
    return count > 0;
}

static bool
database_fault(struct chaos_database *database, const struct chaos_fault *fault)
{
    int64_t now_us = leat_clock_monotonic_us();

    if (database->until_us != 0)
        return false;
    database->well_since_us = 0;
    database->until_us = now_us + fault->lasts_us;
    switch (fault->kind) {
    case CHAOS_STALL:
        test_proxy_set_mode(database->proxy, TEST_PROXY_STALL);
        return true;
    case CHAOS_SWALLOW:
        test_proxy_set_mode(database->proxy, TEST_PROXY_SWALLOW);
        return true;
    case CHAOS_REFUSE:
        test_proxy_set_mode(database->proxy, TEST_PROXY_REFUSE);
        test_proxy_cut(database->proxy);
        return true;
    case CHAOS_RESTART:
        ask_for_restart(database, SIGINT, database->until_us);
        return true;
    case CHAOS_IMMEDIATE:
        ask_for_restart(database, SIGQUIT, database->until_us);
        return true;
    case CHAOS_BACKEND:
        database->until_us = now_us + LEAT_SECOND_US; /* it recovers */
        if (kill_backend(database, fault->pick))
            return true;
        break;
    default:
        database->until_us = now_us;
        test_proxy_cut(database->proxy);
        return true;
    }
    database->until_us = now_us;
    return false;
}

static void
settle_database(struct chaos_database *database, int64_t now_us)
{
    if (database->until_us == 0 || now_us < database->until_us)
        return;
    test_proxy_set_mode(database->proxy, TEST_PROXY_PASS);
    if (now_us == INT64_MAX)
        wait_until_up(database);
    if (is_down(database))
        return;
    database->until_us = 0;
    database->well_since_us = leat_clock_monotonic_us();
}

/* ---- the stream ------------------------------------------------------------------------------------ */

static const struct leat_local_fault stream_faults[] = {
    {.kind = LEAT_LOCAL_FAULT_THROTTLE, .action = "GetRecords", .per_mille = 500},
    {.kind = LEAT_LOCAL_FAULT_ERROR, .action = "GetRecords", .status = 500, .per_mille = 500},
    {.kind = LEAT_LOCAL_FAULT_EXPIRED_ITERATOR, .action = "GetRecords", .per_mille = 300},
    {.kind = LEAT_LOCAL_FAULT_CUT, .action = "GetRecords", .per_mille = 300},
    {.kind = LEAT_LOCAL_FAULT_SLOW, .action = "GetRecords", .per_mille = 300, .bytes = 500},
    {.kind = LEAT_LOCAL_FAULT_RESET, .per_mille = 400},
    {.kind = LEAT_LOCAL_FAULT_LOST, .per_mille = 300},
    {.kind = LEAT_LOCAL_FAULT_STALE, .per_mille = 300},
    {.kind = LEAT_LOCAL_FAULT_EMPTY, .action = "GetRecords", .per_mille = 500},
    {.kind = LEAT_LOCAL_FAULT_REPEAT, .action = "GetRecords", .per_mille = 300},
    {.kind = LEAT_LOCAL_FAULT_DELAY, .delay_us = 1500 * LEAT_MS_US, .per_mille = 300},
    {.kind = LEAT_LOCAL_FAULT_THROTTLE, .action = "ListShards"},
    {.kind = LEAT_LOCAL_FAULT_ERROR, .action = "GetShardIterator", .status = 500},
    {.kind = LEAT_LOCAL_FAULT_ERROR, .status = 503},
};

static bool
stream_fault(struct chaos_world *world, const struct chaos_fault *fault, char *what, size_t size)
{
    const struct leat_local_fault *wrong =
        &stream_faults[fault->pick % LEAT_COUNT_OF(stream_faults)];

    if (world->stream_until_us != 0)
        return false;
    world->stream_until_us = leat_clock_monotonic_us() + fault->lasts_us;
    leat_local_kinesis_fault(world->fleet.kinesis, wrong);
    snprintf(what, size, "fault %d of %s", (int)wrong->kind,
             wrong->action != NULL ? wrong->action : "every call");
    return true;
}

static void
shard_name(unsigned number, char name[24])
{
    snprintf(name, 24, "shardId-%012u", number);
}

static bool
split(struct chaos_world *world, unsigned pick, char *what, size_t size)
{
    unsigned at = pick % world->open_count;
    char name[24];
    struct leat_error err;

    if (world->open_count >= LEAT_COUNT_OF(world->open) / 3)
        return false;
    shard_name(world->open[at], name);
    snprintf(what, size, "%s", name);
    if (leat_local_kinesis_split(world->fleet.kinesis, TEST_FLEET_STREAM, name, &err) != 0)
        give_up("could not split", err.text);
    memmove(world->open + at + 1, world->open + at,
            (world->open_count - at) * sizeof world->open[0]);
    world->open[at] = world->shards_made++;
    world->open[at + 1] = world->shards_made++;
    world->open_count++;
    return true;
}

static bool
merge(struct chaos_world *world, unsigned pick, char *what, size_t size)
{
    unsigned at = pick % (world->open_count - 1);
    char name[24], neighbour[24];
    struct leat_error err;

    if (world->open_count <= FEWEST_SHARDS)
        return false;
    shard_name(world->open[at], name);
    shard_name(world->open[at + 1], neighbour);
    snprintf(what, size, "%s and %s", name, neighbour);
    if (leat_local_kinesis_merge(world->fleet.kinesis, TEST_FLEET_STREAM, name, neighbour, &err) !=
        0)
        give_up("could not merge", err.text);
    memmove(world->open + at + 1, world->open + at + 2,
            (world->open_count - at - 2) * sizeof world->open[0]);
    world->open[at] = world->shards_made++;
    world->open_count--;
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------------- */

void
chaos_world_start(struct chaos_world *world, unsigned shards, size_t stream_bytes)
{
    struct test_fleet_options options = {
        .shards = shards, .stream_bytes = stream_bytes, .database = ""};
    struct leat_error err;

    *world = (struct chaos_world){.expiry_us = 5 * LEAT_SECOND_US, .shards_made = shards};
    test_fleet_start(&world->fleet, &options);
    for (unsigned i = 0; i < shards; i++)
        world->open[world->open_count++] = i;
    if (leat_local_kinesis_create_stream(world->fleet.kinesis, CHAOS_LETTERS, 1, &err) != 0)
        give_up("could not create a stream", err.text);
    start_database(&world->databases[CHAOS_LEASES], world->fleet.directory, "leases");
    start_database(&world->databases[CHAOS_TARGET], world->fleet.directory, "target");
}

void
chaos_world_end(struct chaos_world *world)
{
    for (int d = 0; d < CHAOS_DATABASES; d++)
        end_database(&world->databases[d]);
    test_fleet_end(&world->fleet);
}

bool
chaos_world_fault(struct chaos_world *world, const struct chaos_fault *fault, char *what,
                  size_t size)
{
    if (fault->kind == CHAOS_STREAM)
        return stream_fault(world, fault, what, size);
    if (fault->kind == CHAOS_SPLIT)
        return split(world, fault->pick, what, size);
    if (fault->kind == CHAOS_MERGE)
        return merge(world, fault->pick, what, size);
    snprintf(what, size, "%s database", fault->database == CHAOS_LEASES ? "lease" : "target");
    return database_fault(&world->databases[fault->database], fault);
}

void
chaos_world_settle(struct chaos_world *world, int64_t now_us)
{
    for (int d = 0; d < CHAOS_DATABASES; d++)
        settle_database(&world->databases[d], now_us);
    if (world->stream_until_us == 0 || now_us < world->stream_until_us)
        return;
    leat_local_kinesis_clear_faults(world->fleet.kinesis);
    world->stream_until_us = 0;
}
