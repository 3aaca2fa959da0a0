/* Take, fence, commit and resolve against a real Postgres: two owners of one shard, and what must never get in. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "postgres/committer.h"
#include "postgres/migrate.h"
#include "support/patience.h"
#include "support/postgres.h"

static const struct leat_column columns[] = {
    {"device", LEAT_INT64, LEAT_KEY},
    {"count", LEAT_INT64, LEAT_COUNT},
    {"total", LEAT_DECIMAL, LEAT_SUM},
    {"most", LEAT_DECIMAL, LEAT_MAX},
    {"last_time", LEAT_TIMESTAMP, LEAT_MAX},
    {"last_value", LEAT_TEXT, LEAT_LAST, .order_by = "last_time"},
    {"note", LEAT_TEXT, LEAT_SET},
    LEAT_END,
};
static const struct leat_table tables[] = {{"minutes", columns}, LEAT_END};

static char url[200];
static int databases;
static struct leat_error err;

static struct leat_pg_connection *
connect_plain(void)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "test"};
    struct leat_pg_connection *connection;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    return connection;
}

static void
setup(void)
{
    struct leat_pg_connection *connection;
    LEAT_AUTO_BUF ddl = LEAT_BUF_INIT;
    char name[40];
    int applied = 0;

    snprintf(name, sizeof name, "commit_%d_%d", (int)getpid(), ++databases);
    test_postgres_database(name, url, sizeof url);
    connection = connect_plain();
    ck_assert_msg(leat_schema_migrate(connection, "target", &applied, &err) == 0, "%s", err.text);
    ck_assert_int_ge(applied, 1);
    ck_assert_int_eq(leat_schema_migrate(connection, "target", &applied, &err), 0);
    ck_assert_int_eq(applied, 0);
    ck_assert_int_eq(leat_schema_check(connection, "target", &err), 0);
    leat_pg_create_sql(NULL, &tables[0], &ddl);
    ck_assert_msg(leat_pg_script(connection, leat_buf_text(&ddl), &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static struct leat_pg_committer *
committer(void)
{
    struct leat_pg_committer_options options = {
        .connection = {.url = url, .application_name = "leat test"},
        .application = "app",
        .tables = tables,
    };

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
wish(int64_t incarnation, const char *shard, int64_t counter)
{
    return (struct leat_take){.key = key(shard),
                              .lease_counter = counter,
                              .incarnation = incarnation,
                              .initial = leat_slice_from("TRIM_HORIZON")};
}

static struct leat_take
take(struct leat_pg_committer *who, int64_t incarnation, const char *shard, int64_t counter)
{
    struct leat_take wanted = wish(incarnation, shard, counter);

    ck_assert_msg(leat_pg_take(who, &wanted, 1, &err) == 0, "%s", err.text);
    return wanted;
}

static struct leat_value row[7];

static struct leat_flush_shard
part(const char *shard, int64_t counter, int64_t commit_seq, const char *checkpoint)
{
    return (struct leat_flush_shard){.key = key(shard),
                                     .lease_counter = counter,
                                     .commit_seq = commit_seq,
                                     .checkpoint = leat_slice_from(checkpoint),
                                     .sub_sequence = -1};
}

static bool shard_without_rows;
static const struct leat_flush_end *ends;

static enum leat_commit_outcome
commit(struct leat_pg_committer *who, int64_t incarnation, const struct leat_flush_shard *shards,
       size_t count, struct leat_commit_result *results)
{
    struct leat_flush_rows rows = {&tables[0], 0, LEAT_OP_MERGE, 1, 7, row};
    struct leat_flush flush = {.size = sizeof flush,
                               .incarnation = incarnation,
                               .shard_count = count,
                               .shards = shards,
                               .group_count = shard_without_rows ? 0 : 1,
                               .groups = &rows,
                               .ends = ends};

    ck_assert_msg(leat_pg_commit(who, &flush, results, &err) == 0, "%s", err.text);
    return results[0].outcome;
}

static void
set_row(int64_t device, const char *total, int64_t time_us, const char *value)
{
    row[0] = leat_int64(device);
    row[1] = leat_int64(1);
    row[2] = row[3] = leat_decimal(leat_slice_from(total));
    row[4] = leat_timestamp_us(time_us);
    row[5] = leat_text(leat_slice_from(value));
    row[6] = leat_absent();
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

START_TEST(test_commits_rows_and_progress_together)
{
    struct leat_pg_committer *a = committer();
    struct leat_take taken = take(a, 11, "s0", 1);
    struct leat_flush_shard shard = part("s0", 1, taken.progress.commit_seq, "42");
    struct leat_commit_result results[1];

    ck_assert_int_eq(taken.outcome, LEAT_TAKEN);
    ck_assert(leat_slice_is(taken.progress.checkpoint, "TRIM_HORIZON"));
    set_row(7, "1.25", 1000000, "b");
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    shard.commit_seq++;
    shard.checkpoint = leat_slice_from("43");
    set_row(7, "-3.5", 1000000, "a");
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    expect("SELECT (count, total, most, last_value)::text FROM minutes", "(2,-2.25,1.25,b)");
    expect("SELECT (checkpoint, takes, commit_seq)::text FROM leat.progress", "(43,0,3)");
    leat_pg_committer_free(a);
}
END_TEST

START_TEST(test_a_stale_commit_number_is_fenced)
{
    struct leat_pg_committer *a = committer();
    struct leat_take taken = take(a, 11, "s0", 1);
    struct leat_flush_shard shard = part("s0", 1, taken.progress.commit_seq, "42");
    struct leat_commit_result results[1];

    set_row(7, "1", 1, "x");
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    shard.checkpoint = leat_slice_from("99");
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMIT_FENCED);
    expect("SELECT count::text FROM minutes", "1");
    expect("SELECT checkpoint FROM leat.progress", "42");
    leat_pg_committer_free(a);
}
END_TEST

START_TEST(test_a_zombie_cannot_commit_after_a_take)
{
    struct leat_pg_committer *a = committer(), *b = committer();
    struct leat_take first = take(a, 11, "s0", 1), second = take(b, 22, "s0", 2);
    struct leat_flush_shard old = part("s0", 1, first.progress.commit_seq, "42");
    struct leat_flush_shard new = part("s0", 2, second.progress.commit_seq, "42");
    struct leat_commit_result results[1];

    ck_assert_int_eq(second.outcome, LEAT_TAKEN);
    ck_assert_int_eq(second.progress.takes, 0);
    set_row(7, "1", 1, "x");
    ck_assert_int_eq(commit(a, 11, &old, 1, results), LEAT_COMMIT_FENCED);
    ck_assert_int_eq(commit(b, 22, &new, 1, results), LEAT_COMMITTED);
    ck_assert_int_eq(take(a, 11, "s0", 1).outcome, LEAT_TAKE_AHEAD);
    expect("SELECT count::text FROM minutes", "1");
    leat_pg_committer_free(a);
    leat_pg_committer_free(b);
}
END_TEST

START_TEST(test_only_the_stale_shard_is_left_out)
{
    struct leat_pg_committer *a = committer(), *b = committer();
    struct leat_flush_shard shards[2] = {part("s0", 1, 1, "42"), part("s1", 1, 1, "50")};
    struct leat_commit_result results[2];

    take(a, 11, "s0", 1);
    take(a, 11, "s1", 1);
    take(b, 22, "s1", 2);
    set_row(7, "1", 1, "x");
    commit(a, 11, shards, 2, results);
    ck_assert_int_eq(results[0].outcome, LEAT_COMMIT_AGAIN);
    ck_assert_int_eq(results[1].outcome, LEAT_COMMIT_FENCED);
    ck_assert_int_eq(commit(a, 11, shards, 1, results), LEAT_COMMITTED);
    expect("SELECT count::text FROM minutes", "1");
    leat_pg_committer_free(a);
    leat_pg_committer_free(b);
}
END_TEST

START_TEST(test_a_child_waits_for_its_parents)
{
    struct leat_pg_committer *a = committer();
    struct leat_slice parents[1] = {leat_slice_from("s0")};
    struct leat_take child = {.key = key("s1"),
                              .lease_counter = 1,
                              .incarnation = 11,
                              .initial = leat_slice_from("TRIM_HORIZON"),
                              .parents = parents,
                              .parent_count = 1};
    struct leat_flush_shard shard = part("s0", 1, 1, "SHARD_END");
    struct leat_commit_result results[1];

    take(a, 11, "s0", 1);
    ck_assert_int_eq(leat_pg_take(a, &child, 1, &err), 0);
    ck_assert_int_eq(child.outcome, LEAT_TAKE_WAITING);
    set_row(1, "1", 1, "x");
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    ck_assert_int_eq(leat_pg_take(a, &child, 1, &err), 0);
    ck_assert_int_eq(child.outcome, LEAT_TAKEN);
    leat_pg_committer_free(a);
}
END_TEST

static enum leat_reopen_outcome
reopen(struct leat_pg_committer *who, int64_t counter, int64_t commit_seq)
{
    struct leat_progress_reopen of = {
        .size = sizeof of, .key = key("s0"), .lease_counter = counter, .commit_seq = commit_seq};

    ck_assert_msg(leat_pg_progress_reopen(who, &of, &err) == 0, "%s", err.text);
    ck_assert(of.outcome != LEAT_REOPENED || leat_slice_is(of.checkpoint, "42"));
    return of.outcome;
}

/* An end keeps where it came from, for this very end alone; what goes back is fenced by the row as it was read. */
START_TEST(test_an_end_that_was_none_goes_back_to_where_it_was)
{
    static const struct leat_flush_end kept = {{(const unsigned char *)"42", 2}, 3};
    struct leat_pg_committer *a = committer();
    struct leat_flush_shard shard = part("s0", 1, 1, "SHARD_END");
    struct leat_commit_result results[1];
    struct leat_take taken;

    take(a, 11, "s0", 1);
    set_row(1, "1", 1, "x");
    ends = &kept;
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    ends = NULL;
    ck_assert_int_eq(reopen(a, 2, 2), LEAT_REOPEN_MOVED);
    /* Takes of an ended shard leave it as it is. */
    taken = take(a, 12, "s0", 2);
    ck_assert(leat_slice_is(taken.progress.checkpoint, "SHARD_END"));
    ck_assert_int_eq(reopen(a, 1, 2), LEAT_REOPEN_MOVED);
    ck_assert_int_eq(reopen(a, 2, 4), LEAT_REOPENED);
    /* Whoever had it before is fenced, and so is who would put it back twice. */
    shard = part("s0", 2, 4, "50");
    ck_assert_int_eq(commit(a, 12, &shard, 1, results), LEAT_COMMIT_FENCED);
    ck_assert_int_eq(reopen(a, 2, 5), LEAT_REOPEN_MOVED);
    taken = take(a, 12, "s0", 3);
    ck_assert(leat_slice_is(taken.progress.checkpoint, "42"));
    ck_assert_int_eq(taken.progress.sub_sequence, 3);
    /* It ends again, told by a host that keeps nothing: the position of the first end is not this one's. */
    shard = part("s0", 3, 7, "SHARD_END");
    ck_assert_int_eq(commit(a, 12, &shard, 1, results), LEAT_COMMITTED);
    ck_assert_int_eq(reopen(a, 3, 8), LEAT_REOPEN_UNKNOWN);
    leat_pg_committer_free(a);
}
END_TEST

/* A leat of before moves progress away from its end, and ends the shard again, knowing nothing of the position. */
START_TEST(test_an_older_leat_leaves_no_position_that_is_not_its_own)
{
    static const struct leat_flush_end kept = {{(const unsigned char *)"42", 2}, 3};
    struct leat_pg_committer *a = committer();
    struct leat_flush_shard shard = part("s0", 1, 1, "SHARD_END");
    struct leat_commit_result results[1];

    take(a, 11, "s0", 1);
    set_row(1, "1", 1, "x");
    ends = &kept;
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    ends = NULL;
    expect("UPDATE leat.progress SET checkpoint = '43' RETURNING end_checkpoint IS NULL", "t");
    expect("UPDATE leat.progress SET checkpoint = 'SHARD_END' RETURNING checkpoint", "SHARD_END");
    ck_assert_int_eq(reopen(a, 1, 2), LEAT_REOPEN_UNKNOWN);
    leat_pg_committer_free(a);
}
END_TEST

/* s0 (ended) is the parent of s1 (not begun), s2 has ended too and is nobody's parent, s3 is not at its end. */
START_TEST(test_progress_goes_when_nobody_waits)
{
    struct leat_pg_committer *a = committer();
    struct leat_slice parents[1] = {leat_slice_from("s0")}, children[1] = {leat_slice_from("s1")};
    struct leat_slice known[3] = {children[0], leat_slice_from("s9"), leat_slice_from("s2")};
    struct leat_progress_forget forget = {.size = sizeof forget,
                                          .application = leat_slice_from("app"),
                                          .processor = leat_slice_from("rollup"),
                                          .tenant = leat_slice_from(""),
                                          .stream_id = leat_slice_from("stream"),
                                          .known = known,
                                          .known_count = 3,
                                          .parents = parents,
                                          .children = children,
                                          .pair_count = 1,
                                          .most = 10};
    struct leat_flush_shard both[2] = {part("s0", 1, 1, "SHARD_END"),
                                       part("s2", 1, 1, "SHARD_END")};
    struct leat_commit_result results[2];
    struct leat_take child = {.key = key("s1"),
                              .lease_counter = 1,
                              .incarnation = 11,
                              .initial = leat_slice_from("TRIM_HORIZON"),
                              .parents = parents,
                              .parent_count = 1};
    size_t removed = 7;

    take(a, 11, "s0", 1);
    take(a, 11, "s2", 1);
    take(a, 11, "s3", 1);
    set_row(1, "1", 1, "x");
    ck_assert_int_eq(commit(a, 11, both, 2, results), LEAT_COMMITTED);
    /* s0 is waited for, s2 is known, s3 goes on. */
    ck_assert(leat_pg_progress_forget(a, &forget, &removed, &err) == 0 && removed == 0);
    /* A list that is older than s2 says nothing of it. */
    for (forget.known_count = 0; forget.known_count < 2; forget.known_count++)
        ck_assert(leat_pg_progress_forget(a, &forget, &removed, &err) == 0 && removed == 0);
    ck_assert_int_eq(leat_pg_progress_forget(a, &forget, &removed, &err), 0);
    ck_assert_uint_eq(removed, 1);
    /* The child begins: from then on its parent's row can go, and the child can be taken again without it. */
    ck_assert_int_eq(leat_pg_take(a, &child, 1, &err), 0);
    ck_assert_int_eq(child.outcome, LEAT_TAKEN);
    ck_assert_int_eq(leat_pg_progress_forget(a, &forget, &removed, &err), 0);
    ck_assert_uint_eq(removed, 1);
    expect("SELECT string_agg(shard, ' ' ORDER BY shard) FROM leat.progress", "s1 s3");
    child.outcome = LEAT_TAKE_FAILED;
    ck_assert_int_eq(leat_pg_take(a, &child, 1, &err), 0);
    ck_assert_int_eq(child.outcome, LEAT_TAKEN);
    leat_pg_committer_free(a);
}
END_TEST

START_TEST(test_a_locked_row_is_freed)
{
    struct leat_pg_committer *a = committer(), *b = committer();
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "leat test"};
    struct leat_pg_connection *frozen;
    int64_t begun_us;

    take(a, 11, "s0", 1);
    /* A worker that was stopped between its rows and its COMMIT. */
    ck_assert_int_eq(leat_pg_connect(&options, &frozen, &err), 0);
    ck_assert_int_eq(
        leat_pg_script(frozen, "BEGIN; UPDATE leat.progress SET commit_seq = commit_seq + 1", &err),
        0);
    begun_us = leat_clock_monotonic_us();
    ck_assert_int_eq(take(b, 22, "s0", 2).outcome, LEAT_TAKEN);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
    ck_assert_int_ne(leat_pg_script(frozen, "COMMIT", &err), 0);
    leat_pg_close(frozen);
    leat_pg_committer_free(a);
    leat_pg_committer_free(b);
}
END_TEST

static struct leat_pg_connection *
connect_as_leat(void)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "leat test"};
    struct leat_pg_connection *connection;

    ck_assert_int_eq(leat_pg_connect(&options, &connection, &err), 0);
    return connection;
}

#define FIRST_INSERT(shard)                                                                        \
    "INSERT INTO leat.progress (application, processor, tenant, stream_id, shard, lease_counter, " \
    "lease_owner, checkpoint, commit_seq, takes) VALUES ('app', 'rollup', '', 'stream', '" shard   \
    "', 1, 11, 'TRIM_HORIZON', 1, 1)"

/* A worker that was stopped between its first INSERT of a row and the COMMIT: nobody can see that row, all wait for it. One
   that waits in front of us did nothing wrong, and is left alone. */
START_TEST(test_a_first_insert_is_freed)
{
    struct leat_pg_committer *b = committer();
    struct leat_pg_connection *frozen = connect_as_leat(), *waiting = connect_as_leat();
    int64_t begun_us;

    ck_assert_int_eq(leat_pg_script(frozen, "BEGIN; " FIRST_INSERT("s0"), &err), 0);
    ck_assert_int_eq(leat_pg_script(waiting, "BEGIN", &err), 0);
    ck_assert_int_eq(
        leat_pg_send(waiting, FIRST_INSERT("s0") " ON CONFLICT DO NOTHING", NULL, &err), 0);
    begun_us = leat_clock_monotonic_us();
    ck_assert_int_eq(take(b, 22, "s0", 2).outcome, LEAT_TAKEN);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
    ck_assert_int_ne(leat_pg_script(frozen, "COMMIT", &err), 0);
    ck_assert(leat_pg_wait(waiting, leat_clock_monotonic_us() + PATIENCE_US));
    while (PQclear(PQgetResult(waiting->conn)), PQisBusy(waiting->conn) == 1)
        ;
    ck_assert_msg(!leat_pg_is_broken(waiting), "who only waited was ended");
    leat_pg_close(frozen);
    leat_pg_close(waiting);
    leat_pg_committer_free(b);
}
END_TEST

/* The same within a take of many: those that nobody holds are taken, whatever becomes of the one. */
START_TEST(test_a_first_insert_holds_up_nobody_else)
{
    struct leat_pg_committer *b = committer();
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "somebody else"};
    struct leat_pg_connection *other;
    struct leat_take takes[] = {wish(22, "s0", 2), wish(22, "s1", 2), wish(22, "s2", 2)};

    /* Not leat's: not ours to end. */
    ck_assert_int_eq(leat_pg_connect(&options, &other, &err), 0);
    ck_assert_int_eq(leat_pg_script(other, "BEGIN; " FIRST_INSERT("s1"), &err), 0);
    ck_assert_msg(leat_pg_take(b, takes, 3, &err) == 0, "%s", err.text);
    ck_assert_int_eq(takes[0].outcome, LEAT_TAKEN);
    ck_assert_int_eq(takes[1].outcome, LEAT_TAKE_LOCKED);
    ck_assert_int_eq(takes[2].outcome, LEAT_TAKEN);
    ck_assert_int_eq(leat_pg_script(other, "COMMIT", &err), 0);
    ck_assert_int_eq(leat_pg_take(b, &takes[1], 1, &err), 0);
    ck_assert_int_eq(takes[1].outcome, LEAT_TAKEN);
    leat_pg_close(other);
    leat_pg_committer_free(b);
}
END_TEST

START_TEST(test_refused_rows_and_missing_tables_are_told_apart)
{
    struct leat_pg_committer *a = committer();
    struct leat_flush_shard shard = part("s0", 1, 1, "42");
    struct leat_pg_connection *connection = connect_plain();
    struct leat_commit_result results[1];

    take(a, 11, "s0", 1);
    ck_assert_int_eq(
        leat_pg_script(connection, "ALTER TABLE minutes ADD CHECK (total < 100)", &err), 0);
    set_row(7, "100", 1, "x");
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMIT_DATA);
    ck_assert_str_eq(results[0].sqlstate, "23514");
    ck_assert_int_eq(leat_pg_script(connection, "DROP TABLE minutes", &err), 0);
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMIT_REFUSED);
    ck_assert_str_eq(results[0].sqlstate, "42P01");
    /* In leat's own tables it is no row's fault. */
    ck_assert_int_eq(leat_pg_script(connection,
                                    "ALTER TABLE leat.progress ADD CHECK (checkpoint <> '42')",
                                    &err),
                     0);
    shard_without_rows = true;
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMIT_CONFIGURATION);
    shard_without_rows = false;
    expect("SELECT (checkpoint, commit_seq)::text FROM leat.progress", "(TRIM_HORIZON,1)");
    leat_pg_close(connection);
    leat_pg_committer_free(a);
}
END_TEST

/* A stopped backend on a Unix socket takes no more than the socket holds: nothing waits for it for ever. */
START_TEST(test_a_backend_that_takes_nothing_more_is_given_up)
{
    struct leat_pg_committer_options options = {
        .connection = {.url = url,
                       .application_name = "leat stopped",
                       .answer_timeout_us = LEAT_SECOND_US},
        .application = "app",
        .tables = tables,
    };
    struct leat_pg_committer *a = leat_pg_committer_new(&options);
    struct leat_pg_connection *connection = connect_plain();
    size_t size = (size_t)6 << 20;
    char *large = leat_alloc(size);
    struct leat_flush_shard shard = part("s0", 1, 1, "42");
    struct leat_commit_result results[1];
    enum leat_commit_outcome outcome;
    int64_t begun_us, until_us;
    PGresult *result;
    pid_t pid;

    memset(large, 'x', size);
    take(a, 11, "s0", 1);
    result = PQexec(connection->conn,
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'leat stopped' AND "
                    "datname = current_database()");
    ck_assert_int_eq(PQntuples(result), 1);
    pid = (pid_t)strtol(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    set_row(7, "1", 1, "x");
    row[6] = leat_text(leat_slice_make(large, size));
    begun_us = leat_clock_monotonic_us();
    outcome = commit(a, 11, &shard, 1, results);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
    ck_assert(outcome == LEAT_COMMIT_TRANSIENT || outcome == LEAT_COMMIT_UNKNOWN);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    until_us = leat_clock_monotonic_us() + PATIENCE_US;
    while ((outcome = commit(a, 11, &shard, 1, results)) == LEAT_COMMIT_TRANSIENT &&
           leat_clock_monotonic_us() < until_us)
        usleep(50000);
    ck_assert_int_eq(outcome, LEAT_COMMITTED);
    expect("SELECT count(*)::text FROM minutes WHERE length(note) = 6 << 20", "1");
    free(large);
    leat_pg_close(connection);
    leat_pg_committer_free(a);
}
END_TEST

/* What a trial says, and that nothing of it stays. */
START_TEST(test_rows_that_are_only_tried)
{
    struct leat_pg_committer *a = committer();
    struct leat_pg_connection *connection = connect_plain();
    struct leat_flush_rows rows = {&tables[0], 0, LEAT_OP_MERGE, 1, 7, row};
    struct leat_value good[7];
    struct leat_flush_rows known = {&tables[0], 0, LEAT_OP_MERGE, 1, 7, good};
    struct leat_trial trial = {sizeof trial, &known, 1, &rows, 1};
    enum leat_trial_outcome outcome;

    ck_assert_int_eq(
        leat_pg_script(connection, "ALTER TABLE minutes ADD CHECK (total < 100)", &err), 0);
    set_row(7, "1", 1, "x");
    memcpy(good, row, sizeof good);
    ck_assert_int_eq(leat_pg_try_rows(a, &trial, &outcome, &err), 0);
    ck_assert_int_eq(outcome, LEAT_TRIAL_TAKEN);
    set_row(8, "100", 1, "x");
    ck_assert_int_eq(leat_pg_try_rows(a, &trial, &outcome, &err), 0);
    ck_assert_int_eq(outcome, LEAT_TRIAL_REFUSED);
    ck_assert_int_eq(leat_pg_script(connection, "DROP TABLE minutes", &err), 0);
    ck_assert_int_eq(leat_pg_try_rows(a, &trial, &outcome, &err), 0);
    ck_assert_int_eq(outcome, LEAT_TRIAL_KNOWN_REFUSED);
    ck_assert_int_eq(leat_pg_script(connection, "CREATE TABLE minutes (LIKE leat.target)", &err),
                     0);
    expect("SELECT count(*)::text FROM minutes", "0");
    leat_pg_close(connection);
    leat_pg_committer_free(a);
}
END_TEST

START_TEST(test_resolve_never_guesses)
{
    struct leat_pg_committer *a = committer();
    struct leat_flush_shard shard = part("s0", 1, 1, "42");
    struct leat_flush flush = {
        .size = sizeof flush, .incarnation = 11, .shard_count = 1, .shards = &shard};
    struct leat_commit_result results[1];

    take(a, 11, "s0", 1);
    ck_assert_int_eq(leat_pg_resolve(a, &flush, results, &err), 0);
    ck_assert_int_eq(results[0].outcome, LEAT_COMMIT_AGAIN);
    set_row(7, "1", 1, "x");
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    ck_assert_int_eq(leat_pg_resolve(a, &flush, results, &err), 0);
    ck_assert_int_eq(results[0].outcome, LEAT_COMMITTED);
    shard.checkpoint = leat_slice_from("41");
    ck_assert_int_eq(leat_pg_resolve(a, &flush, results, &err), 0);
    ck_assert_int_eq(results[0].outcome, LEAT_COMMIT_FENCED);
    leat_pg_committer_free(a);
}
END_TEST

static void
use_letters(struct leat_flush_shard *shard, struct leat_failure *failure)
{
    *failure = (struct leat_failure){
        .dead_letter_id = leat_slice_from("ab"),
        .sequence = leat_slice_from("41"),
        .partition_key = leat_slice_make("\xFF\0k", 3),
        .arrival_us = 1700000000000000,
        .data_bytes = 3,
        .attempts = 1,
        .reason = leat_slice_from("failed"),
        .text = leat_slice_from("not an event"),
        .sqlstate = leat_slice_from(""),
        .archive_url = leat_slice_from("file:///a"),
        .dead_letter_position = leat_slice_from(""),
    };
    shard->failures = failure;
    shard->failure_count = 1;
}

START_TEST(test_the_ledger_is_in_the_commit)
{
    struct leat_pg_committer *a = committer();
    struct leat_flush_shard shard = part("s0", 1, 1, "42");
    struct leat_commit_result results[1];
    struct leat_failure failure;

    take(a, 11, "s0", 1);
    use_letters(&shard, &failure);
    set_row(7, "1", 1, "x");
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    shard.commit_seq = 2;
    ck_assert_int_eq(commit(a, 11, &shard, 1, results), LEAT_COMMITTED);
    expect("SELECT (reason, times, state, encode(partition_key, 'hex'))::text FROM leat.failures",
           "(failed,2,open,ff006b)");
    leat_pg_committer_free(a);
}
END_TEST

/* ---- two committers and one key ----------------------------------------------------------------- */

#define RACES 150

struct racer {
    struct leat_pg_committer *committer;
    const char *shard;
    int64_t incarnation, commit_seq;
    size_t committed, refused;
    char text[LEAT_ERROR_TEXT_BYTES];
};

static void *
replace_again_and_again(void *context)
{
    struct racer *racer = context;
    struct leat_value values[7] = {
        leat_int64(7), leat_int64(1), leat_decimal(leat_slice_from("1")),      leat_absent(),
        leat_null(),   leat_absent(), leat_text(leat_slice_from(racer->shard))};
    struct leat_flush_rows groups[2] = {{&tables[0], 0, LEAT_OP_DELETE, 1, 7, values},
                                        {&tables[0], 0, LEAT_OP_REPLACE, 1, 7, values}};
    struct leat_flush_shard shard = part(racer->shard, 1, racer->commit_seq, "42");
    struct leat_commit_result result;
    struct leat_error own;

    for (size_t i = 0; i < RACES;) {
        bool is_first = i % 3 == 0;
        struct leat_flush flush = {.size = sizeof flush,
                                   .incarnation = racer->incarnation,
                                   .shard_count = 1,
                                   .shards = &shard,
                                   .group_count = 1,
                                   .groups = is_first ? &groups[0] : &groups[1]};

        if (leat_pg_commit(racer->committer, &flush, &result, &own) != 0)
            break;
        if (result.outcome == LEAT_COMMIT_TRANSIENT)
            continue;
        i++;
        if (result.outcome == LEAT_COMMITTED) {
            shard.commit_seq++;
            racer->committed++;
        } else {
            racer->refused++;
            snprintf(racer->text, sizeof racer->text, "%s", result.text);
        }
    }
    return NULL;
}

/* Two shards, two committers: they delete and replace one key, and neither is refused for what the other does. */
START_TEST(test_replaces_do_not_collide)
{
    struct racer racers[2] = {{.shard = "s0", .incarnation = 11},
                              {.shard = "s1", .incarnation = 22}};
    pthread_t threads[2];

    for (int i = 0; i < 2; i++) {
        racers[i].committer = committer();
        racers[i].commit_seq = take(racers[i].committer, racers[i].incarnation, racers[i].shard, 1)
                                   .progress.commit_seq;
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, replace_again_and_again, &racers[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_msg(racers[i].refused == 0, "%s", racers[i].text);
        ck_assert_uint_eq(racers[i].committed, RACES);
        leat_pg_committer_free(racers[i].committer);
    }
}
END_TEST

/* ---- keys that nobody could foresee to be equal --------------------------------------------------- */

static void
run_plain(const char *sql)
{
    struct leat_pg_connection *connection = connect_plain();

    ck_assert_msg(leat_pg_script(connection, sql, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

/* Two rows whose keys a trigger makes one: a flush that is not made for that is refused, and the forms say so from then on. */
START_TEST(test_keys_that_turn_out_to_be_equal)
{
    struct leat_pg_committer *a = committer();
    struct leat_take taken = take(a, 11, "s0", 1);
    struct leat_flush_shard shard = part("s0", 1, taken.progress.commit_seq, "42");
    struct leat_form columns_of[7] = {0};
    struct leat_table_forms forms = {.size = sizeof forms, .columns = columns_of};
    struct leat_value values[14];
    struct leat_flush_rows rows = {&tables[0], 0, LEAT_OP_MERGE, 2, 7, values};
    struct leat_flush flush = {.size = sizeof flush,
                               .incarnation = 11,
                               .shard_count = 1,
                               .shards = &shard,
                               .group_count = 1,
                               .groups = &rows};
    const bool yes = true;
    struct leat_commit_result result;

    leat_pg_forms(a, 0, &forms);
    ck_assert(forms.is_known && !forms.may_equal);
    run_plain("CREATE FUNCTION fold() RETURNS trigger LANGUAGE plpgsql AS "
              "'BEGIN new.device := new.device / 10; RETURN new; END'; "
              "CREATE TRIGGER fold BEFORE INSERT ON minutes FOR EACH ROW EXECUTE FUNCTION fold()");
    set_row(71, "1", 1, "x");
    memcpy(values, row, sizeof row);
    set_row(72, "2", 2, "y");
    memcpy(values + 7, row, sizeof row);
    ck_assert_int_eq(leat_pg_commit(a, &flush, &result, &err), 0);
    ck_assert_int_eq(result.outcome, LEAT_COMMIT_ANEW);
    ck_assert_str_eq(result.sqlstate, "21000");
    leat_pg_forms(a, 0, &forms);
    ck_assert(forms.may_equal);
    /* Made again for that, it is cut until it goes through, in its order. */
    flush.is_divisible = &yes;
    ck_assert_int_eq(leat_pg_commit(a, &flush, &result, &err), 0);
    ck_assert_msg(result.outcome == LEAT_COMMITTED, "%s", result.text);
    expect("SELECT (device, count, total, last_value)::text FROM minutes", "(7,2,3,y)");
    leat_pg_committer_free(a);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("postgres_commit");
    TCase *tests = tcase_create("commit");
    SRunner *runner;
    int failed;

    test_postgres_url();
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, test_commits_rows_and_progress_together);
    tcase_add_test(tests, test_a_stale_commit_number_is_fenced);
    tcase_add_test(tests, test_a_zombie_cannot_commit_after_a_take);
    tcase_add_test(tests, test_only_the_stale_shard_is_left_out);
    tcase_add_test(tests, test_a_child_waits_for_its_parents);
    tcase_add_test(tests, test_an_end_that_was_none_goes_back_to_where_it_was);
    tcase_add_test(tests, test_an_older_leat_leaves_no_position_that_is_not_its_own);
    tcase_add_test(tests, test_progress_goes_when_nobody_waits);
    tcase_add_test(tests, test_a_locked_row_is_freed);
    tcase_add_test(tests, test_a_first_insert_is_freed);
    tcase_add_test(tests, test_a_first_insert_holds_up_nobody_else);
    tcase_add_test(tests, test_refused_rows_and_missing_tables_are_told_apart);
    tcase_add_test(tests, test_rows_that_are_only_tried);
    tcase_add_test(tests, test_a_backend_that_takes_nothing_more_is_given_up);
    tcase_add_test(tests, test_resolve_never_guesses);
    tcase_add_test(tests, test_the_ledger_is_in_the_commit);
    tcase_add_test(tests, test_replaces_do_not_collide);
    tcase_add_test(tests, test_keys_that_turn_out_to_be_equal);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
