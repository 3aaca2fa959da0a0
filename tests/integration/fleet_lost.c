/*
 * What leaves a stream, with a real worker: shards and records that were not read in time are said, counted and in the ledger; rows
 * of shards that were read to their ends go when nobody waits for them any more.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/fleet.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

static const char *const arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                        "leases.expiry=1500ms", NULL};

static struct test_fleet fleet;
static struct test_worker workers[1];

static int64_t
soon(void)
{
    return leat_clock_monotonic_us() + PATIENCE_US;
}

static void
ck_reaches(const char *sql, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, sql, wanted, soon()))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, sql), (long long)wanted,
                 sql);
}

static void
split_the_first(void)
{
    struct leat_error err;

    ck_assert_msg(leat_local_kinesis_split(fleet.kinesis, TEST_FLEET_STREAM, "shardId-000000000000",
                                           &err) == 0,
                  "%s", err.text);
}

static void
start_worker(int index)
{
    workers[index] = test_fleet_spawn(&fleet, "w1", arguments);
}

static void
teardown(void)
{
    test_worker_kill(&workers[0], SIGKILL);
    test_worker_wait(&workers[0], NULL);
    test_fleet_end(&fleet);
}

/* ---- what retention took --------------------------------------------------------------------------------- */

#define HOUR_US (3600 * LEAT_SECOND_US)

static void
begin_quietly(int shards)
{
    struct test_fleet_options options = {.shards = (unsigned)shards};
    char name[40];

    snprintf(name, sizeof name, "lost_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet,
                         "processors: [{ name: print, plugin: print, target: { plugin: postgres } "
                         "}]\n");
}

static void
put_word(const char *word, int count)
{
    for (int i = 0; i < count; i++) {
        char key[16];

        snprintf(key, sizeof key, "key-%d", i);
        test_fleet_put(&fleet, leat_slice_from(key), leat_slice_from(word));
    }
}

static void
end_worker(int index)
{
    int status;

    test_worker_kill(&workers[index], SIGTERM);
    status = test_worker_wait(&workers[index], NULL);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

static void
ck_says(const char *text)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;

    if (test_worker_says(&workers[0], text, soon()))
        return;
    test_worker_log(&workers[0], &log);
    ck_abort_msg("not said: %s\n%s", text, leat_buf_text(&log));
}

static void
trim(const char *shard, int64_t before_us)
{
    struct leat_error err;

    ck_assert_int_eq(
        leat_local_kinesis_trim(fleet.kinesis, TEST_FLEET_STREAM, shard, before_us, &err), 0);
}

#define LETTERS "SELECT count(*) FROM leat.failures WHERE reason = 'lost'"

/* Nobody was there for longer than the retention: the shard is gone with what was not read of it. */
static void
lose_a_shard(void)
{
    begin_quietly(1);
    start_worker(0);
    put_word("A", 20);
    ck_reaches("SELECT count(*) FROM records", 20);
    end_worker(0);
    put_word("B", 20);
    split_the_first();
    put_word("C", 20);
    trim("shardId-000000000000", INT64_MAX);
}

START_TEST(a_shard_that_is_gone_is_no_secret)
{
    lose_a_shard();
    start_worker(0);
    ck_says("records are lost");
    ck_reaches("SELECT count(*) FROM records", 40);
    ck_reaches(LETTERS, 1);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'ended'", 1);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM records WHERE data = 'C'"),
                     20);
    end_worker(0);
    start_worker(0);
    put_word("D", 20);
    ck_reaches("SELECT count(*) FROM records", 60);
    ck_assert_int_eq(test_fleet_number(&fleet, LETTERS), 1);
}
END_TEST

START_TEST(a_shard_that_is_gone_stops)
{
    static const char *const stop[] = {"--set", "reading.on_lost=stop", NULL};

    lose_a_shard();
    workers[0] = test_fleet_spawn(&fleet, "w1", stop);
    ck_says("a shard is blocked");
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM records"), 20);
    ck_assert_int_eq(test_fleet_number(&fleet, LETTERS), 0);
    end_worker(0);
    start_worker(0); /* with the default it goes on */
    ck_reaches("SELECT count(*) FROM records", 40);
    ck_reaches(LETTERS, 1);
}
END_TEST

/* The shard goes on, the record at the checkpoint has gone: surely more with it (0), or nobody knows (1). */
START_TEST(an_expired_checkpoint_is_no_secret)
{
    bool is_sure = _i == 0;
    int count = 1500; /* more than one answer: the first one is not at the tip */

    begin_quietly(1);
    start_worker(0);
    put_word("A", 20);
    ck_reaches("SELECT count(*) FROM records", 20);
    end_worker(0);
    put_word("B", 20);
    trim("shardId-000000000000", INT64_MAX);
    put_word("C", count);
    if (is_sure)
        leat_local_kinesis_shift_clock(fleet.kinesis, 23 * HOUR_US);
    start_worker(0);
    ck_says(is_sure ? "records are lost" : "a checkpoint has expired");
    ck_reaches("SELECT count(*) FROM records WHERE data = 'C'", count);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM records"), 20 + count);
    ck_reaches(LETTERS, is_sure);
    /* And what is there still is no alarm. */
    end_worker(0);
    put_word("D", 20);
    start_worker(0);
    ck_reaches("SELECT count(*) FROM records", 40 + count);
    ck_assert_int_eq(test_fleet_number(&fleet, LETTERS), is_sure);
}
END_TEST

/* ---- rows that nobody needs ---------------------------------------------------------------------------- */

/* Shards that were read to their ends leave the stream: their leases go, after the grace, and nothing else does. */
START_TEST(what_nobody_needs_goes)
{
    static const char *const short_grace[] = {"--set", "leases.keep_ended=1s", NULL};

    begin_quietly(1);
    workers[0] = test_fleet_spawn(&fleet, "w1", short_grace);
    put_word("A", 20);
    split_the_first();
    put_word("B", 20);
    ck_reaches("SELECT count(*) FROM records", 40);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE state = 'ended'", 1);
    test_fleet_sql(&fleet,
                   "INSERT INTO leat.workers (application, worker_id, incarnation, state, "
                   "heartbeat_at, expires_at, died_at) VALUES ('fleet', 'old', 1, 'dead', "
                   "now() - interval '2 h', now() - interval '2 h', now() - interval '2 h'), "
                   "('fleet', 'dead', 2, 'dead', now(), now(), now())");
    trim("shardId-000000000000", INT64_MAX);
    end_worker(0);
    for (int i = 0; i < 2;
         i++) { /* each lists once at its start: known to be gone, and after its grace */
        workers[0] = test_fleet_spawn(&fleet, "w1", short_grace);
        ck_reaches("SELECT count(*) FROM leat.leases WHERE gone_at IS NOT NULL OR (SELECT count(*) "
                   "FROM leat.leases) = 2",
                   1);
        usleep(1200000);
        if (i == 0) {
            test_fleet_sql(&fleet, "UPDATE leat.streams SET synced_at = NULL");
            end_worker(0);
        }
    }
    ck_reaches("SELECT (count(*) = 2)::int FROM leat.leases", 1);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.start_shards"), 0);
    /* Workers are purged behind the leases, in the same round. */
    ck_reaches("SELECT (count(*) = 1)::int FROM leat.workers WHERE worker_id IN ('old', 'dead')",
               1);
    put_word("C", 20);
    ck_reaches("SELECT count(*) FROM records", 60);
    ck_says("leases of shards that have left the stream are removed");
    end_worker(0);
    workers[0] = test_fleet_spawn(&fleet, "w1", short_grace);
    put_word("D", 20);
    ck_reaches("SELECT count(*) FROM records", 80);
    ck_assert_int_eq(test_fleet_number(&fleet, LETTERS), 0);
    /* Once no lease has it any more its progress goes, too; its children's stays, and they are taken again without it. */
    test_fleet_sql(&fleet, "UPDATE leat.streams SET synced_at = NULL");
    end_worker(0);
    workers[0] = test_fleet_spawn(&fleet, "w1", short_grace);
    ck_reaches("SELECT (count(*) = 2)::int FROM leat.progress", 1);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.progress WHERE shard = "
                                               "'shardId-000000000000'"),
                     0);
    put_word("E", 20);
    ck_reaches("SELECT count(*) FROM records", 100);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("fleet_lost");
    TCase *lost = tcase_create("lost");
    int failed;

    test_postgres_url();
    tcase_set_timeout(lost, 240);
    tcase_add_checked_fixture(lost, NULL, teardown);
    tcase_add_test(lost, a_shard_that_is_gone_is_no_secret);
    tcase_add_test(lost, a_shard_that_is_gone_stops);
    tcase_add_loop_test(lost, an_expired_checkpoint_is_no_secret, 0, 2);
    tcase_add_test(lost, what_nobody_needs_goes);
    suite_add_tcase(suite, lost);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
