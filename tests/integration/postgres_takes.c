/*
 * How takes are counted in the progress row, against a real Postgres: when it is told and under the conditions of a commit, many at
 * once, each by itself; and what becomes of the counts of a leat that counted otherwise.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "postgres/committer.h"
#include "postgres/migrate.h"
#include "postgres/schemas.h"
#include "support/postgres.h"

static char url[200];
static int databases;
static struct leat_error err;

static struct leat_pg_connection *
connect_plain(void)
{
    struct leat_pg_options options = {.url = url, .application_name = "test"};
    struct leat_pg_connection *connection;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    return connection;
}

static void
setup(void)
{
    struct leat_pg_connection *connection;
    char name[40];
    int applied = 0;

    snprintf(name, sizeof name, "counts_%d_%d", (int)getpid(), ++databases);
    test_postgres_database(name, url, sizeof url);
    connection = connect_plain();
    ck_assert_msg(leat_schema_migrate(connection, "target", &applied, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static struct leat_pg_committer *
committer(void)
{
    struct leat_pg_committer_options options = {
        .connection = {.url = url, .application_name = "leat test"}, .application = "app"};

    return leat_pg_committer_new(&options);
}

static struct leat_progress_key
key(const char *shard)
{
    return (struct leat_progress_key){leat_slice_from("app"), leat_slice_from("rollup"),
                                      leat_slice_from(""), leat_slice_from("stream"),
                                      leat_slice_from(shard)};
}

static struct leat_take
take(struct leat_pg_committer *who, int64_t incarnation, const char *shard, int64_t counter)
{
    struct leat_take wanted = {.key = key(shard),
                               .lease_counter = counter,
                               .incarnation = incarnation,
                               .initial = leat_slice_from("TRIM_HORIZON")};

    ck_assert_msg(leat_pg_take(who, &wanted, 1, &err) == 0, "%s", err.text);
    ck_assert_int_eq(wanted.outcome, LEAT_TAKEN);
    return wanted;
}

/* Without rows. */
static enum leat_commit_outcome
commit(struct leat_pg_committer *who, const struct leat_take *taken, const char *checkpoint)
{
    struct leat_flush_shard shard = {.key = taken->key,
                                     .lease_counter = taken->lease_counter,
                                     .commit_seq = taken->progress.commit_seq,
                                     .checkpoint = leat_slice_from(checkpoint),
                                     .sub_sequence = -1};
    struct leat_flush flush = {.size = sizeof flush,
                               .incarnation = taken->incarnation,
                               .shard_count = 1,
                               .shards = &shard};
    struct leat_commit_result result;

    ck_assert_msg(leat_pg_commit(who, &flush, &result, &err) == 0, "%s", err.text);
    return result.outcome;
}

static void
expect(const char *sql, const char *wanted)
{
    struct leat_pg_connection *connection = connect_plain();
    PGresult *result = PQexec(connection->conn, sql);

    ck_assert_msg(PQntuples(result) == 1, "%s: %s", sql, PQresultErrorMessage(result));
    ck_assert_str_eq(PQgetvalue(result, 0, 0), wanted);
    PQclear(result);
    leat_pg_close(connection);
}

static struct leat_take_count
count_of(int64_t incarnation, const char *shard, const struct leat_take *taken)
{
    return (struct leat_take_count){.key = key(shard),
                                    .lease_counter = taken->lease_counter,
                                    .incarnation = incarnation,
                                    .commit_seq = taken->progress.commit_seq,
                                    .takes = taken->progress.takes + 1,
                                    .outcome = LEAT_TAKE_COUNT_FAILED};
}

/* A take leaves the number, a count moves it and nothing else, a commit sets it to 0. Sent twice it counts once. */
START_TEST(test_takes_are_counted_when_told)
{
    struct leat_pg_committer *a = committer();
    struct leat_take taken;

    for (int round = 0; round < 3; round++) {
        char wanted[8];

        ck_assert_int_eq(take(a, 11, "s0", 1).progress.takes, round);
        taken = take(a, 11, "s0", 1);
        ck_assert_int_eq(taken.progress.takes, round);
        for (int times = 0; times < 2; times++) {
            struct leat_take_count count = count_of(11, "s0", &taken);

            ck_assert_msg(leat_pg_count_takes(a, &count, 1, &err) == 0, "%s", err.text);
            ck_assert_int_eq(count.outcome, LEAT_TAKE_COUNTED);
        }
        snprintf(wanted, sizeof wanted, "%d", round + 1);
        expect("SELECT takes::text FROM leat.progress", wanted);
    }
    /* A count moves no commit number. */
    ck_assert_int_eq(commit(a, &taken, "42"), LEAT_COMMITTED);
    expect("SELECT takes::text FROM leat.progress", "0");
    leat_pg_committer_free(a);
}
END_TEST

/* Of many: one that is another's, one that another process of ours took again, one that is not there, one that is locked. */
START_TEST(test_counts_are_fenced_one_by_one)
{
    static const char *const shards[] = {"s0", "s1", "s2", "s3", "s4"};
    static const enum leat_take_count_outcome wanted[] = {
        LEAT_TAKE_COUNTED, LEAT_TAKE_COUNT_FENCED, LEAT_TAKE_COUNT_FENCED, LEAT_TAKE_COUNT_FENCED,
        LEAT_TAKE_COUNT_LOCKED};
    struct leat_pg_committer *a = committer(), *b = committer();
    struct leat_take_count counts[5];
    struct leat_pg_connection *other = connect_plain();

    for (int i = 0; i < 5; i++) {
        struct leat_take taken = take(a, 11, shards[4 - i], 1);

        counts[4 - i] = count_of(11, shards[4 - i], &taken);
    }
    take(b, 22, "s1", 2);
    take(a, 11, "s2", 1);
    ck_assert_int_eq(leat_pg_script(other, "DELETE FROM leat.progress WHERE shard = 's3'", &err),
                     0);
    ck_assert_int_eq(
        leat_pg_script(other, "BEGIN; SELECT FROM leat.progress WHERE shard = 's4' FOR UPDATE",
                       &err),
        0);
    ck_assert_msg(leat_pg_count_takes(a, counts, 5, &err) == 0, "%s", err.text);
    for (int i = 0; i < 5; i++)
        ck_assert_msg(counts[i].outcome == wanted[i], "%s: %d", shards[i], (int)counts[i].outcome);
    expect("SELECT string_agg(shard || takes, ' ' ORDER BY shard) FROM leat.progress",
           "s01 s10 s20 s40");
    ck_assert_int_eq(leat_pg_script(other, "COMMIT", &err), 0);
    ck_assert_int_eq(leat_pg_count_takes(a, &counts[4], 1, &err), 0);
    ck_assert_int_eq(counts[4].outcome, LEAT_TAKE_COUNTED);
    leat_pg_close(other);
    leat_pg_committer_free(a);
    leat_pg_committer_free(b);
}
END_TEST

/* The same worker's take, from a connection that was given up, runs behind the next one: what was made since is not committed, also
   where the checkpoint is as before (rows of a tick). */
START_TEST(test_a_late_take_is_no_commit)
{
    struct leat_pg_committer *a = committer(), *late = committer();
    struct leat_take taken;

    take(a, 11, "s0", 1);
    taken = take(a, 11, "s0", 1);
    take(late, 11, "s0", 1);
    ck_assert_int_eq(commit(a, &taken, "TRIM_HORIZON"), LEAT_COMMIT_FENCED);
    taken = take(a, 11, "s0", 1);
    ck_assert_int_eq(commit(a, &taken, "TRIM_HORIZON"), LEAT_COMMITTED);
    leat_pg_committer_free(a);
    leat_pg_committer_free(late);
}
END_TEST

/*
 * A target that failed over has lost commits; one that was sent on the condition of the last number seen hangs in it. After the take
 * that follows that number does not come again, nor one that other lost commits waited for: not at once, not by commits, and not where the
 * row itself was lost. The last round: nothing was lost.
 */
START_TEST(test_numbers_never_come_again)
{
    struct leat_pg_committer *a = committer();
    struct leat_take seen, wanted;
    char set_back[200];

    for (int i = 0; i < 5; i++) {
        seen = take(a, 11, "s0", 1);
        ck_assert_int_eq(commit(a, &seen, "100"), LEAT_COMMITTED);
        seen.progress.commit_seq++;
    }
    if (_i <= 6)
        snprintf(set_back, sizeof set_back,
                 "UPDATE leat.progress SET commit_seq = %lld, checkpoint = '50' RETURNING 'back'",
                 (long long)seen.progress.commit_seq - _i);
    else
        snprintf(set_back, sizeof set_back, "DELETE FROM leat.progress RETURNING 'back'");
    expect(set_back, "back");
    wanted = (struct leat_take){.key = key("s0"),
                                .lease_counter = 1,
                                .incarnation = 11,
                                .initial = leat_slice_from("TRIM_HORIZON"),
                                .progress = {.commit_seq = seen.progress.commit_seq}};
    ck_assert_int_eq(leat_pg_take(a, &wanted, 1, &err), 0);
    ck_assert_int_eq(wanted.outcome, LEAT_TAKEN);
    ck_assert_int_gt(wanted.progress.commit_seq, seen.progress.commit_seq);
    ck_assert_int_eq(wanted.progress.commit_seq >= seen.progress.commit_seq + LEAT_TAKE_LEAP,
                     _i > 0);
    ck_assert_int_eq(commit(a, &seen, "200"), LEAT_COMMIT_FENCED);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(commit(a, &wanted, "60"), LEAT_COMMITTED);
        wanted.progress.commit_seq++;
        ck_assert_int_eq(commit(a, &seen, "200"), LEAT_COMMIT_FENCED);
    }
    leat_pg_committer_free(a);
}
END_TEST

/* What an older leat has counted is forgotten; rows that are in use are left alone, and nobody is waited for. */
START_TEST(test_older_counts_are_forgotten)
{
    struct leat_pg_connection *other = connect_plain(), *own = connect_plain();
    struct leat_pg_committer *a = committer();
    const struct leat_schema *schema = leat_schemas;

    take(a, 11, "s0", 1);
    take(a, 11, "s1", 1);
    ck_assert_int_eq(leat_pg_script(own, "UPDATE leat.progress SET takes = 6", &err), 0);
    ck_assert_int_eq(
        leat_pg_script(other, "BEGIN; SELECT FROM leat.progress WHERE shard = 's1' FOR UPDATE",
                       &err),
        0);
    while (schema->role != NULL && strstr(schema->sql, "SET takes = 0") == NULL)
        schema++;
    ck_assert_ptr_nonnull(schema->role);
    ck_assert_msg(leat_pg_script(own, schema->sql, &err) == 0, "%s", err.text);
    expect("SELECT string_agg(shard || takes, ' ' ORDER BY shard) FROM leat.progress", "s00 s16");
    leat_pg_close(other);
    leat_pg_close(own);
    leat_pg_committer_free(a);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("postgres_takes");
    TCase *tests = tcase_create("takes");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, test_takes_are_counted_when_told);
    tcase_add_test(tests, test_counts_are_fenced_one_by_one);
    tcase_add_test(tests, test_a_late_take_is_no_commit);
    tcase_add_loop_test(tests, test_numbers_never_come_again, 0, 8);
    tcase_add_test(tests, test_older_counts_are_forgotten);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
