/*
 * A storm over real workers: two private Postgres servers behind proxies, the stream server here, and from one seed a schedule of
 * faults, one after another, while numbered records are put. Then everything stops failing, all must drain, and the target must
 * hold every record once and in order. Prints one JSON line; what went wrong, the seed and where the logs are to standard error.
 *
 *   chaos SEED [FAULTS] [RECORDS] [WORKERS] [GAP_MS]
 *
 * The same seed makes the same faults at the same moments of the storm. What processes make of them is theirs: a fault that
 * makes no sense at its moment (nobody lives to be killed) is left out, does not count, and the next one comes.
 *
 * CHAOS_POOLER=1 puts a PgBouncer before each database.
 * CHAOS_WITHOUT=fence takes the fence away: a storm of some length must fail then. That is the test of this test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "chaos/oracle.h"
#include "chaos/orphans.h"
#include "support/numbers.h"

#define SHARDS 8
#define LOOK_US 10000
#define RECORD_BYTES 512 /* at most, in the stream server */
#define PROCESSORS                                                                                 \
    "dead_letters: { stream: " CHAOS_LETTERS " }\n"                                                \
    "processors:\n"                                                                                \
    "  - { name: order, plugin: %s/chaos/order.so, batch: { records: 2000 }, target: { plugin: "   \
    "postgres, url: \"%s\" } }\n"                                                                  \
    "  - { name: rollup, plugin: rollup, batch: { records: 2000 }, target: { plugin: postgres, "   \
    "url: \"%s\" } }\n"

struct storm {
    struct chaos_world world;
    struct chaos_workers workers;
    struct chaos_producer producer;
    struct chaos_orphans orphans;
    uint64_t seed;
    unsigned faults_wanted, faults, skipped, by_kind[CHAOS_KINDS];
    int64_t begun_us, gap_us, ended_us;
    FILE *diary;
    bool is_drained, is_ended;
    struct chaos_verdict verdict;
};

static struct storm storm;

/* ---- begin ----------------------------------------------------------------------------------------- */

static void
run_script(const struct chaos_database *database, const char *sql)
{
    struct leat_pg_connection *connection = chaos_connect(database);
    struct leat_error err = {0};

    if (connection == NULL || leat_pg_script(connection, sql, &err) != 0) {
        fprintf(stderr, "chaos: %s: %s\n", sql, err.text);
        exit(1);
    }
    leat_pg_close(connection);
}

static void
configure(struct chaos_world *world)
{
    LEAT_AUTO_BUF processors = LEAT_BUF_INIT;
    const char *build = getenv("LEAT_BUILD");
    char target[120], *ddl;

    chaos_worker_url(&world->databases[CHAOS_LEASES], world->fleet.url, sizeof world->fleet.url);
    chaos_worker_url(&world->databases[CHAOS_TARGET], target, sizeof target);
    leat_buf_printf(&processors, PROCESSORS, build != NULL ? build : "build/test", target, target);
    test_fleet_reconfigure(&world->fleet, leat_buf_text(&processors));
    free(test_fleet_shell(&world->fleet, "$LEAT db migrate -c $DIR/leat.yaml"));
    ddl = test_fleet_shell(&world->fleet, "$LEAT db ddl -c $DIR/leat.yaml");
    run_script(&world->databases[CHAOS_TARGET], ddl);
    run_script(&world->databases[CHAOS_TARGET],
               "ALTER TABLE chaos_runs ADD COLUMN committed bigserial");
    free(ddl);
}

/* As if commits were not fenced: everything else stays. */
static void
break_what_is_asked(const struct chaos_database *target)
{
    const char *what = getenv("CHAOS_WITHOUT");

    if (what == NULL || *what == '\0')
        return;
    if (strcmp(what, "fence") != 0) {
        fprintf(stderr, "chaos: cannot do without \"%s\": fence\n", what);
        exit(2);
    }
    run_script(target,
               "CREATE OR REPLACE FUNCTION leat.fence(p_application text, p_processor text, "
               "p_tenant text, p_streams text[], p_shards text[], p_counters bigint[], "
               "p_commit_seqs bigint[], p_owner bigint) RETURNS void LANGUAGE plpgsql "
               "VOLATILE AS $$ BEGIN END $$");
}

static void say(const char *format, ...) LEAT_PRINTF(1, 2);

static void
say(const char *format, ...)
{
    va_list arguments;

    fprintf(storm.diary, "%8.3f ",
            (double)(leat_clock_monotonic_us() - storm.begun_us) / (double)LEAT_SECOND_US);
    va_start(arguments, format);
    vfprintf(storm.diary, format, arguments);
    va_end(arguments);
    fputc('\n', storm.diary);
    fflush(storm.diary);
}

static void
begin(int64_t records, unsigned workers)
{
    LEAT_AUTO_BUF diary = LEAT_BUF_INIT;
    int64_t storm_us = (int64_t)storm.faults_wanted * storm.gap_us;

    chaos_world_start(&storm.world, SHARDS, (size_t)records * RECORD_BYTES + ((size_t)256 << 20));
    configure(&storm.world);
    break_what_is_asked(&storm.world.databases[CHAOS_TARGET]);
    leat_buf_printf(&diary, "%s/storm.log", storm.world.fleet.directory);
    storm.diary = fopen(leat_buf_text(&diary), "w");
    storm.begun_us = leat_clock_monotonic_us();
    if (storm.diary == NULL)
        exit(1);
    chaos_workers_start(&storm.workers, &storm.world, workers, storm.seed);
    storm.producer = (struct chaos_producer){.world = &storm.world,
                                             .wanted = records,
                                             .seed = storm.seed,
                                             .rate = records * LEAT_SECOND_US / (storm_us + 1) + 1};
    chaos_producer_start(&storm.producer);
    storm.orphans.world = &storm.world;
    storm.orphans.workers = &storm.workers;
    chaos_orphans_start(&storm.orphans);
}

/* ---- the storm ------------------------------------------------------------------------------------- */

static void
settle(void *context)
{
    (void)context;
    chaos_workers_settle(&storm.workers, leat_clock_monotonic_us());
    chaos_world_settle(&storm.world, leat_clock_monotonic_us());
}

static bool
do_fault(const struct chaos_fault *fault)
{
    char what[120] = "";
    bool is_done = fault->kind <= CHAOS_START
                       ? chaos_workers_fault(&storm.workers, fault, what, sizeof what)
                       : chaos_world_fault(&storm.world, fault, what, sizeof what);

    say("%u %s%s %s, lasts %.2f s", fault->number, chaos_kind_names[fault->kind],
        is_done ? "" : " (left out)", what, (double)fault->lasts_us / (double)LEAT_SECOND_US);
    return is_done;
}

static void
rage(void)
{
    struct chaos_schedule schedule;
    struct chaos_fault fault;
    int64_t at_us = leat_clock_monotonic_us() + LEAT_SECOND_US;
    /* Those left out take their time, too. */
    int64_t deadline_us = at_us + 3 * (int64_t)storm.faults_wanted * storm.gap_us;

    chaos_schedule_init(&schedule, storm.seed, storm.gap_us, storm.world.expiry_us);
    while (storm.faults < storm.faults_wanted && at_us < deadline_us) {
        chaos_schedule_next(&schedule, &fault);
        at_us += fault.gap_us;
        while (leat_clock_monotonic_us() < at_us) {
            settle(NULL);
            usleep(LOOK_US);
        }
        if (do_fault(&fault)) {
            storm.faults++;
            storm.by_kind[fault.kind]++;
        } else {
            storm.skipped++;
        }
    }
}

static void
calm_and_judge(void)
{
    say("the storm is over");
    chaos_world_settle(&storm.world, INT64_MAX);
    chaos_workers_calm(&storm.workers);
    chaos_producer_wait(&storm.producer);
    say("all records are put");
    storm.is_drained = chaos_drain(&storm.world, storm.producer.records, settle, NULL);
    storm.ended_us = leat_clock_monotonic_us();
    say(storm.is_drained ? "drained" : "NOT drained");
    storm.verdict.unended = storm.is_drained ? chaos_unended(&storm.world, settle, NULL) : 0;
    chaos_orphans_stop(&storm.orphans);
    storm.is_ended = chaos_workers_end(&storm.workers, 60 * LEAT_SECOND_US);
}

/* ---- the report ------------------------------------------------------------------------------------ */

static int64_t
orphan_bound_us(void)
{
    return 2 * storm.world.expiry_us + 3 * LEAT_SECOND_US;
}

static bool
is_good(int64_t unended)
{
    struct leat_local_kinesis_counts counts;

    leat_local_kinesis_counts(storm.world.fleet.kinesis, &counts);
    if (counts.records_trimmed > 0)
        fprintf(stderr, "chaos: the stream was too small, records were trimmed\n");
    return storm.verdict.is_good && storm.is_drained && storm.is_ended && unended == 0 &&
           counts.records_trimmed == 0 && storm.faults == storm.faults_wanted &&
           storm.workers.trouble[0] == '\0' && storm.orphans.longest_us <= orphan_bound_us();
}

static void
print_counts(void)
{
    unsigned fired[CHAOS_POINTS], names = 0, sum = 0;
    const char *separator = "";

    printf("\"faults_by_kind\": {");
    for (int k = 0; k < CHAOS_KINDS; k++) {
        printf("%s\"%s\": %u", separator, chaos_kind_names[k], storm.by_kind[k]);
        separator = ", ";
    }
    chaos_workers_fired(&storm.workers, fired);
    printf("}, \"points\": {");
    separator = "";
    for (size_t p = 0; p < chaos_point_count; p++) {
        printf("%s\"%s\": [%u, %u]", separator, chaos_points[p], storm.workers.armed[p], fired[p]);
        separator = ", ";
        names += fired[p] > 0;
        sum += fired[p];
    }
    printf("}, \"points_fired\": %u, \"point_names_fired\": %u, ", sum, names);
}

static void
print_line(bool is_good, int64_t unended)
{
    const struct chaos_verdict *verdict = &storm.verdict;

    printf("{\"chaos\": \"storm\", \"seed\": %llu, \"records\": %lld, \"committed\": %lld, "
           "\"faults\": %u, \"left_out\": %u, ",
           (unsigned long long)storm.seed, (long long)storm.producer.records,
           (long long)(verdict->tally.committed + verdict->letters / 2), storm.faults,
           storm.skipped);
    print_counts();
    printf("\"workers_started\": %u, \"workers_gave_up\": %u, \"shards\": %u, \"runs\": %lld, "
           "\"letters\": %lld, \"longest_orphan_s\": %.2f, \"orphan_bound_s\": %.0f, \"lost\": "
           "%lld, \"doubled\": %lld, \"out_of_order\": %lld, \"unknown\": %lld, \"wrong_keys\": "
           "%lld, \"state_breaks\": %lld, \"wrong_letters\": %lld, \"unended_leases\": %lld, "
           "\"drained\": %s, \"seconds\": %.1f, \"ok\": %s}\n",
           storm.workers.starts, storm.workers.ends_unasked, storm.world.shards_made,
           (long long)verdict->runs, (long long)verdict->letters,
           (double)storm.orphans.longest_us / 1e6, (double)orphan_bound_us() / 1e6,
           (long long)verdict->tally.lost, (long long)verdict->tally.doubled,
           (long long)verdict->tally.out_of_order, (long long)verdict->tally.unknown,
           (long long)verdict->wrong_keys, (long long)verdict->breaks,
           (long long)verdict->wrong_letters, (long long)unended,
           storm.is_drained ? "true" : "false", (double)(storm.ended_us - storm.begun_us) / 1e6,
           is_good ? "true" : "false");
    fflush(stdout);
}

static void
print_summary(bool is_good)
{
    const char *directory = storm.world.fleet.directory;

    fprintf(
        stderr,
        "chaos: seed %llu: %u faults, %u starts of workers, %lld records in %.0f s; the longest "
        "orphan: %.2f s (%s)\n",
        (unsigned long long)storm.seed, storm.faults, storm.workers.starts,
        (long long)storm.producer.records, (double)(storm.ended_us - storm.begun_us) / 1e6,
        (double)storm.orphans.longest_us / 1e6, storm.orphans.longest_what);
    if (is_good)
        return;
    if (storm.verdict.example[0] != '\0')
        fprintf(stderr, "chaos: wrong, for example: %s\n", storm.verdict.example);
    if (storm.workers.trouble[0] != '\0')
        fprintf(stderr, "chaos: %s\n", storm.workers.trouble);
    fprintf(
        stderr,
        "chaos: FAILED. Diary %s/storm.log, points %s/points.log, workers' logs, both databases "
        "and dump.txt beside them.\n"
        "chaos: again: make chaos SEED=%llu N=%u RECORDS=%lld WORKERS=%u GAP_MS=%lld\n",
        directory, directory, (unsigned long long)storm.seed, storm.faults_wanted,
        (long long)storm.producer.wanted, storm.workers.wanted,
        (long long)(storm.gap_us / LEAT_MS_US));
}

static void
dump(enum chaos_database_role role, const char *sql)
{
    struct leat_pg_connection *connection = chaos_connect(&storm.world.databases[role]);
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    PQprintOpt options = {.header = 1, .align = 1, .fieldSep = (char *)"|"};
    PGresult *result;
    FILE *out;

    leat_buf_printf(&path, "%s/dump.txt", storm.world.fleet.directory);
    out = fopen(leat_buf_text(&path), "a");
    if (connection != NULL && out != NULL) {
        result = PQexec(connection->conn, sql);
        PQprint(out, result, &options);
        PQclear(result);
    }
    if (out != NULL)
        fclose(out);
    leat_pg_close(connection);
}

static void
dump_all(void)
{
    dump(CHAOS_LEASES, "SELECT worker_id, incarnation, state, heartbeat_at, expires_at, pid FROM "
                       "leat.workers ORDER BY started_at");
    dump(CHAOS_LEASES, "SELECT shard, state, lease_owner, next_owner, lease_counter, parents, "
                       "children, ended_by FROM leat.leases ORDER BY 1");
    dump(CHAOS_TARGET, "SELECT processor, shard, lease_owner, lease_counter, commit_seq, takes, "
                       "checkpoint, length(saved_state) AS state FROM leat.progress ORDER BY 2, 1");
}

static const char *
argument(int argc, char **argv, int place)
{
    return argc > place ? argv[place] : NULL;
}

int
main(int argc, char **argv)
{
    unsigned workers;
    int64_t records, unended;
    bool is_fine;

    storm.seed = test_number("SEED", argument(argc, argv, 1),
                             (uint64_t)leat_random_identity() % 1000000, 0, UINT64_MAX);
    storm.faults_wanted = (unsigned)test_number("N", argument(argc, argv, 2), 40, 1, 100000);
    records = (int64_t)test_number("RECORDS", argument(argc, argv, 3),
                                   (uint64_t)storm.faults_wanted * 5000, 1, 100000000);
    workers = (unsigned)test_number("WORKERS", argument(argc, argv, 4), 4, 1, CHAOS_SLOTS - 2);
    storm.gap_us = (int64_t)test_number("GAP_MS", argument(argc, argv, 5), 1500, 50, 600000) *
                   LEAT_MS_US;
    fprintf(stderr, "chaos: seed %llu\n", (unsigned long long)storm.seed);
    begin(records, workers);
    storm.workers.wanted = workers;
    rage();
    calm_and_judge();
    unended = storm.verdict.unended;
    chaos_judge(&storm.world, &storm.producer, &storm.verdict);
    is_fine = is_good(unended);
    print_line(is_fine, unended);
    storm.workers.wanted = workers;
    print_summary(is_fine);
    if (!is_fine) {
        dump_all();
        setenv("LEAT_TEST_KEEP", "1", 1);
    }
    fclose(storm.diary);
    chaos_world_end(&storm.world);
    chaos_producer_release(&storm.producer);
    return is_fine ? 0 : 1;
}
