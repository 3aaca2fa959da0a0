/* What operators see and do, as processes: leases, workers, shards, processors, over rows that SQL made. */
#include <fcntl.h>
#include <json-c/json.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "lease/rows_operator.h"
#include "postgres/migrate.h"
#include "support/patience.h"
#include "support/postgres.h"
#include "support/program.h"

#include <check.h>

static struct program_run run;
static char url[200];

/* ---- support ------------------------------------------------------------------------------------- */

#define LEAT(...) leat((const char *const[]){__VA_ARGS__, NULL})

static void
leat(const char *const *arguments)
{
    program_run_release(&run);
    program_run(&run, NULL, arguments);
}

static void
ck_done(void)
{
    ck_assert_msg(run.code == 0, "%d: %s", run.code, leat_buf_text(&run.err));
}

static void
ck_refused(int code, const char *says)
{
    ck_assert_msg(run.code == code && strstr(leat_buf_text(&run.err), says) != NULL,
                  "%d, not %d with \"%s\": %s", run.code, code, says, leat_buf_text(&run.err));
}

static void
ck_says(const char *says)
{
    ck_assert_msg(strstr(leat_buf_text(&run.err), says) != NULL, "no \"%s\" in: %s", says,
                  leat_buf_text(&run.err));
}

/* Of a line of JSON: the value as it is written. */
static char *
value(size_t line, const char *key)
{
    static char kept[4][512];
    static size_t next;
    struct json_object *row = program_run_json(&run, line);
    struct json_object *found = leat_json_get(row, key);
    char *text = kept[next++ % 4];

    snprintf(text, sizeof kept[0], "%s", found != NULL ? json_object_get_string(found) : "null");
    json_object_put(row);
    return text;
}

static void
ck_value(size_t line, const char *key, const char *wanted)
{
    const char *found = value(line, key);

    ck_assert_msg(strcmp(found, wanted) == 0, "line %zu, %s: %s, not %s", line, key, found, wanted);
}

/* ---- rows that SQL made --------------------------------------------------------------------------- */

static struct leat_pg_connection *
connect_there(void)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "test"};
    struct leat_pg_connection *connection;
    struct leat_error err;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    return connection;
}

static void
sql(const char *text)
{
    struct leat_pg_connection *connection = connect_there();
    struct leat_error err;

    ck_assert_msg(leat_pg_script(connection, text, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static void
setup_rows(void)
{
    struct leat_pg_connection *connection;
    struct leat_error err;
    char name[40];
    int applied;

    snprintf(name, sizeof name, "operator_%d", (int)getpid());
    test_postgres_database(name, url, sizeof url);
    setenv("LEAT_DATABASE__URL", url, 1);
    connection = connect_there();
    ck_assert_msg(leat_schema_migrate(connection, "lease", &applied, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "target", &applied, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
    sql("INSERT INTO leat.applications (application, assignment_version) VALUES ('weather', 5), "
        "('winter', 0);"
        "INSERT INTO leat.workers (application, worker_id, incarnation, state, heartbeat_at, "
        "expires_at, runs) VALUES ('weather', 'w1', 11, 'alive', clock_timestamp() - interval '1 "
        "h',"
        " clock_timestamp() + interval '1 h', '{\"streams\": {\"s\": true}, \"processors\": "
        "{\"rollup\": null}}'),"
        " ('weather', 'w2', 12, 'alive', clock_timestamp() - interval '1 h', clock_timestamp() + "
        "interval '1 h', '{\"streams\": {\"s\": true}, \"processors\": {\"rollup\": null}}'),"
        " ('weather', 'gone', 13, 'dead', clock_timestamp(), clock_timestamp(), NULL),"
        " ('winter', 'w9', 19, 'alive', clock_timestamp(), clock_timestamp() - interval '9 s', "
        "NULL);"
        "INSERT INTO leat.streams (application, stream_id, name, arn, retention_ms) VALUES "
        "('weather', 'arn:s@1', 's', 'arn:s', 86400000), ('weather', 'arn:t@1', 't', 'arn:t', 0);"
        "INSERT INTO leat.processors (application, processor, target_id) VALUES "
        "('weather', 'rollup', 'postgres:'), ('weather', 'copy', 'postgres:');"
        "UPDATE leat.processors SET streams = '{s}';"
        "INSERT INTO leat.leases (application, stream_id, shard, state, lease_owner, next_owner, "
        "lease_counter, last_worker_id, handoff_at, parents, ended_by) VALUES "
        "('weather', 'arn:s@1', 'shardId-000000000000', 'ended', NULL, NULL, 3, 'w1', NULL, '{}', "
        "'{rollup,copy}'),"
        "('weather', 'arn:s@1', 'shardId-000000000001', 'active', 11, NULL, 4, 'w1', NULL, "
        "'{shardId-000000000000}', '{}'),"
        "('weather', 'arn:s@1', 'shardId-000000000002', 'active', 11, 12, 5, 'w1', "
        "clock_timestamp(), '{shardId-000000000000}', '{copy}'),"
        "('weather', 'arn:t@1', 'shardId-000000000000', 'active', NULL, NULL, 0, NULL, NULL, '{}', "
        "'{}');"
        "INSERT INTO leat.reports VALUES ('weather', 'w1', 11, clock_timestamp() - interval '7 s', "
        "'{\"rollup\": {\"arn:s@1\": {\"shardId-000000000001\": [2500, \"running\", \"\"], "
        "\"shardId-000000000002\": [null, \"blocked\", \"see the log\"]}}}');"
        "INSERT INTO leat.progress (application, processor, stream_id, shard, lease_counter, "
        "lease_owner, checkpoint, commit_seq, saved_state, takes) VALUES ('weather', 'rollup', "
        "'arn:s@1', 'shardId-000000000001', 4, 11, '4900', 77, '\\x010203', 3);");
}

static void
teardown_rows(void)
{
    program_run_release(&run);
    unsetenv("LEAT_DATABASE__URL");
}

START_TEST(leases_tell_lag_and_loss)
{
    double age;

    LEAT("leases", "--application", "weather", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 4);
    ck_value(0, "state", "ended");
    ck_value(0, "ended_by", "[ \"rollup\", \"copy\" ]");
    ck_value(1, "state", "active");
    ck_value(1, "lag_seconds", "2.5");
    ck_value(1, "lost_in_seconds", "86397.5");
    age = strtod(value(1, "lag_age_seconds"), NULL);
    ck_assert(age >= 7 && age < 600);
    ck_value(2, "state", "handoff");
    ck_value(2, "next_owner", "w2");
    ck_value(2, "lag_seconds", "null"); /* nobody knows */
    ck_value(2, "lost_in_seconds", "null");
    ck_value(3, "state", "unowned");
    LEAT("leases", "--application", "weather", "-o", "wide", "--stream", "s", "--shard", "1");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 2);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.out), "STREAM ID"));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.out), "arn:s@1"));
    LEAT("leases", "--application", "weather", "--state", "unowned", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 1);
    ck_value(0, "stream", "t");
    LEAT("leases", "--application", "weather", "--worker", "w2", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 1); /* on its way to him */
    /* A plain table shows no age, so it shows nothing old; the others show both. */
    sql("UPDATE leat.reports SET reported_at = clock_timestamp() - interval '1 minute'");
    LEAT("leases", "--application", "weather");
    ck_assert_ptr_null(strstr(leat_buf_text(&run.out), "2.5"));
    LEAT("leases", "--application", "weather", "-o", "json", "--state", "active");
    ck_value(0, "lag_seconds", "2.5");
    ck_assert(strtod(value(0, "lag_age_seconds"), NULL) >= 60);
}
END_TEST

START_TEST(shards_join_progress)
{
    LEAT("shards", "--application", "weather", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 6);
    LEAT("shards", "--application", "weather", "--processor", "rollup", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 3);
    ck_value(0, "state", "ended");
    ck_value(0, "checkpoint", "null");
    ck_value(1, "state", "running");
    ck_value(1, "checkpoint", "4900");
    ck_value(1, "commit_seq", "77");
    ck_value(1, "takes", "3");
    ck_value(1, "saved_state_bytes", "3");
    ck_value(1, "owner", "w1");
    ck_value(1, "parents", "[ \"shardId-000000000000\" ]");
    ck_value(2, "state", "blocked");
    ck_value(2, "reason", "see the log");
    LEAT("shards", "--application", "weather", "--state", "blocked", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 1);
    LEAT("shards", "--application", "weather", "--processor", "copy", "-o", "json");
    ck_value(1, "state", "not_run"); /* by the owner's configuration */
    ck_value(2, "state", "ended");
    sql("UPDATE leat.workers SET stuck = '[{\"processor\": \"rollup\", \"stream_id\": \"arn:s@1\", "
        "\"shard\": \"shardId-000000000001\", \"since\": 1, \"why\": \"no commit for 9 s\"}]' "
        "WHERE "
        "worker_id = 'w1'; UPDATE leat.processors SET state = 'paused' WHERE processor = 'copy'");
    LEAT("shards", "--application", "weather", "--shard", "1", "-o", "json");
    ck_value(0, "state", "paused");
    ck_value(1, "state", "stuck");
    ck_value(1, "reason", "no commit for 9 s");
}
END_TEST

START_TEST(processors_and_workers_are_told)
{
    LEAT("processors", "--application", "weather", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 2);
    ck_value(0, "processor", "copy");
    ck_value(0, "workers", "0");
    ck_value(1, "workers", "2");
    ck_value(1, "shards", "3");
    ck_value(1, "ended", "1");
    ck_value(1, "blocked", "1");
    ck_value(1, "unavailable", "0");
    ck_value(1, "retrying", "0");
    ck_value(1, "lag_seconds", "null"); /* of one of its shards nobody knows it */
    ck_value(1, "lost_in_seconds", "86397.5");
    ck_value(1, "streams", "[ \"s\" ]");
    ck_assert_uint_eq(strlen(value(1, "registered_at")), strlen("2026-11-26T11:11:58.095Z"));
    ck_assert_int_eq(value(1, "registered_at")[10], 'T');
    LEAT("workers", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 4);
    ck_value(0, "state", "dead");
    ck_value(1, "leases", "2");
    ck_value(1, "lag_seconds", "2.5");
    ck_value(3, "state", "silent");
    LEAT("workers", "--state", "silent", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 1);
}
END_TEST

static void
ck_bad_usage(void)
{
    LEAT("leases", "histroy");
    ck_refused(2, "Did you mean \"history\"");
    LEAT("leases", "--state", "onowned");
    ck_refused(2, "did you mean \"unowned\"");
    LEAT("leases", "--fence");
    ck_refused(2, "takes no --fence");
    LEAT("leases", "--watch=soon");
    ck_refused(2, "--watch wants");
    LEAT("leases", "history", "--since", "never");
    ck_refused(2, "--since wants");
    LEAT("leases", "history", "--limit", "0");
    ck_refused(2, "--limit wants");
    LEAT("leases", "-o", "yaml");
    ck_refused(2, "table, wide or json");
    LEAT("leases", "release");
    ck_refused(2, "say which");
    LEAT("leases", "release", "--stream", "s");
    ck_refused(2, "say which");
    LEAT("leases", "release", "--worker", "w1", "--shard", "1");
    ck_refused(2, "say which");
    LEAT("workers", "drain");
    ck_refused(2, "usage: leat workers drain ID");
    LEAT("processors", "stop", "rollup");
    ck_refused(2, "pause, resume, retire or retarget");
    LEAT("shards", "--nonsense");
    ck_refused(2, "nonsense");
}

START_TEST(wrong_words_are_told)
{
    ck_bad_usage();
    LEAT("leases", "--application", "wether");
    ck_refused(1, "did you mean \"weather\"?; there are: weather, winter");
    LEAT("workers", "drain", "w1");
    ck_refused(2, "which application? Say --application NAME; there are: weather, winter");
    LEAT("workers", "drain", "w3", "--application", "weather");
    ck_refused(1, "there is no worker \"w3\", did you mean \"w1\"");
    LEAT("workers", "drain", "gone", "--application", "weather");
    ck_refused(1, "is dead: there is nothing to drain");
    LEAT("workers", "drain", "w1", "--undo", "--application", "weather");
    ck_refused(1, "is alive: there is nothing to undo");
    LEAT("processors", "pause", "rolup", "--application", "weather");
    ck_refused(1, "did you mean \"rollup\"?; there are: copy, rollup");
    LEAT("processors", "retire", "rollup", "--application", "weather");
    ck_refused(1, "in the configuration of w1, w2");
    LEAT("leases", "release", "--worker", "w4", "--application", "weather");
    ck_refused(1, "there is no worker \"w4\"");
    LEAT("leases", "release", "--stream", "s", "--shard", "7", "--application", "weather");
    ck_refused(1, "no lease of a shard \"shardId-000000000007\"");
    LEAT("leases", "release", "--stream", "s", "--shard", "0", "--application", "weather");
    ck_refused(1, "it is ended");
    LEAT("leases", "release", "--stream", "t", "--shard", "0", "--application", "weather");
    ck_refused(1, "it is unowned");
    LEAT("leases", "release", "--stream", "s", "--shard", "2", "--application", "weather");
    ck_refused(1, "under way already");
    LEAT("leases", "history", "--shard", "77", "--application", "weather");
    ck_refused(1, "there is no shard \"shardId-000000000077\"");
    LEAT("leases", "--database", "", "--application", "weather");
    ck_refused(2, "--database is empty");
    LEAT("shards", "-c", "", "--application", "weather");
    ck_refused(2, "no configuration given");
    LEAT("workers", "--database", "host=/nowhere dbname=x connect_timeout=1");
    ck_assert_int_eq(run.code, 3);
}
END_TEST

static int64_t
number_there(const char *text)
{
    struct leat_pg_connection *connection = connect_there();
    PGresult *result = PQexec(connection->conn, text);
    int64_t number;

    ck_assert_msg(PQntuples(result) == 1, "%s: %s", text, PQerrorMessage(connection->conn));
    number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    leat_pg_close(connection);
    return number;
}

#define VERSION                                                                                    \
    number_there("SELECT assignment_version FROM leat.applications WHERE application = 'weather'")

START_TEST(words_move_rows_and_the_version)
{
    int64_t version = VERSION;

    LEAT("workers", "drain", "w1", "--application", "weather", "--dry-run");
    ck_done();
    LEAT("leases", "release", "--worker", "w1", "--application", "weather", "--dry-run", "--fence");
    ck_done();
    LEAT("processors", "pause", "rollup", "--application", "weather", "--dry-run");
    ck_done();
    ck_assert_int_eq(VERSION, version); /* a dry run changes nothing */
    ck_assert_int_eq(number_there("SELECT count(*) FROM leat.lease_moves"), 0);
    LEAT("workers", "drain", "w1", "--application", "weather");
    ck_done();
    ck_says("2 leases to hand over");
    ck_assert_int_eq(VERSION, version + 1);
    LEAT("workers", "--worker", "w1", "-o", "json");
    ck_value(0, "state", "drained");
    LEAT("workers", "drain", "w1", "--application", "weather", "--undo");
    ck_done();
    ck_assert_int_eq(number_there("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1' AND "
                                  "state = 'alive' AND drained_at IS NULL"),
                     1);
    LEAT("processors", "pause", "rollup", "--application", "weather");
    ck_done();
    LEAT("processors", "pause", "rollup", "--application", "weather");
    ck_done();
    ck_says("is paused already");
    LEAT("processors", "retire", "rollup", "--application", "weather", "--force");
    ck_done();
    ck_says("w1, w2 stop running it");
    LEAT("processors", "resume", "rollup", "--application", "weather");
    ck_refused(1, "is retired");
    ck_assert_int_eq(VERSION, version + 4);
    LEAT("leases", "release", "--worker", "w1", "--application", "weather");
    ck_done();
    ck_assert_int_eq(number_there("SELECT count(*) FROM leat.leases WHERE lease_owner = 11 AND "
                                  "next_owner = 12 AND handoff_at IS NOT NULL AND lease_counter IN "
                                  "(4, 5)"),
                     2);
    LEAT("leases", "release", "--worker", "w1", "--application", "weather", "--fence");
    ck_done();
    ck_assert_int_eq(number_there("SELECT count(*) FROM leat.leases WHERE lease_owner IS NULL AND "
                                  "state = 'active' AND lease_counter IN (5, 6)"),
                     2);
    ck_assert_int_eq(VERSION, version + 6);
    LEAT("leases", "history", "--application", "weather", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 2);
    ck_value(0, "why", "operator");
    ck_value(0, "from", "w1");
    ck_value(0, "to", "null");
    LEAT("leases", "release", "--worker", "w1", "--application", "weather");
    ck_done();
    ck_says("holds no leases");
}
END_TEST

/* He sees what others asked for last. */
START_TEST(a_role_that_may_only_read)
{
    LEAT_AUTO_BUF viewer = LEAT_BUF_INIT;

    sql("DROP ROLE IF EXISTS viewer; CREATE ROLE viewer LOGIN; GRANT USAGE ON SCHEMA leat TO "
        "viewer; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA leat TO viewer");
    leat_buf_printf(&viewer, "%s user=viewer", url);
    LEAT("leases", "--application", "weather", "-o", "json", "--database", leat_buf_text(&viewer));
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 4);
    ck_value(1, "lag_seconds", "2.5");
    LEAT("workers", "drain", "w1", "--application", "weather", "--database",
         leat_buf_text(&viewer));
    ck_refused(1, "permission denied");
    sql("DROP OWNED BY viewer; DROP ROLE viewer");
}
END_TEST

/* A pass was faster: the row stays as it is. */
START_TEST(the_world_moved)
{
    struct leat_pg_connection *connection = connect_there();
    struct leat_rows_context context = {.application = "weather", .worker_id = ""};
    struct leat_operator_filter filter = {.worker_id = "w1"};

    for (int is_fence = 0; is_fence < 2; is_fence++) {
        struct leat_operator_leases leases;
        struct leat_error err;
        size_t moved = 99;
        int64_t version = VERSION;

        leat_operator_leases_init(&leases);
        ck_assert_int_eq(leat_rows_operator_leases(connection, &context, &filter, &leases, &err),
                         0);
        ck_assert_uint_eq(leases.count, 2);
        sql("UPDATE leat.leases SET lease_counter = lease_counter + 2 WHERE lease_owner = 11");
        ck_assert_int_eq(
            leat_rows_operator_release(connection, &context, &leases, is_fence != 0, &moved, &err),
            0);
        ck_assert_uint_eq(moved, 0);
        ck_assert_int_eq(VERSION, version);
        leat_operator_leases_release(&leases);
    }
    ck_assert_int_eq(number_there("SELECT count(*) FROM leat.leases WHERE lease_owner = 11"), 2);
    leat_pg_close(connection);
}
END_TEST

/* An end that was committed before an operator put progress back, and is told after: he has raised the counter, it is none. */
START_TEST(a_late_end_is_none)
{
    struct leat_pg_connection *connection = connect_there();
    struct leat_rows_context context = {.application = "weather", .worker_id = ""};
    struct leat_lease_key key = {leat_slice_from("arn:s@1"),
                                 leat_slice_from("shardId-000000000002")};
    const char *const shards[] = {"shardId-000000000002"};
    struct leat_rewound rewound = {.processor = "rollup",
                                   .stream_id = "arn:s@1",
                                   .shards = shards,
                                   .shard_count = 1,
                                   .is_first = true};
    struct leat_error err;

    ck_assert_int_eq(leat_rows_rewound(connection, &context, &rewound, &err), 0);
    ck_assert_uint_eq(rewound.raised, 1);
    for (int64_t counter = 5; counter < 7; counter++) {
        struct leat_rows_end end = {
            .key = key, .processor = leat_slice_from("rollup"), .lease_counter = counter};

        ck_assert_int_eq(leat_rows_processors_ended(connection, &context, &end, 1, &err), 0);
        /* The other processor has ended it: this one is the last. */
        ck_assert_int_eq(end.is_ended, counter == 6);
        ck_assert_int_eq(number_there("SELECT count(*) FROM leat.leases WHERE state = 'ended'"),
                         counter == 6 ? 2 : 1);
    }
    /* And put back again: opened, and ended by the other one alone. */
    ck_assert_int_eq(leat_rows_rewound(connection, &context, &rewound, &err), 0);
    ck_assert_uint_eq(rewound.reopened, 1);
    ck_assert_int_eq(number_there("SELECT count(*) FROM leat.leases WHERE shard = "
                                  "'shardId-000000000002' AND ended_by = '{copy}' AND state = "
                                  "'active' AND lease_owner IS NULL"),
                     1);
    leat_pg_close(connection);
}
END_TEST

/* ---- watching ------------------------------------------------------------------------------------- */

static size_t
count_of(const char *text, const char *what)
{
    size_t count = 0;

    while ((text = strstr(text, what)) != NULL) {
        text++;
        count++;
    }
    return count;
}

#define HOME "\033[H"

/* What a process on a terminal of 10 lines wrote until it ended, by Ctrl-C when it had drawn twice; *ret_code: its exit code. */
static void
watch_on_terminal(const char *const *arguments, struct leat_buf *out, int *ret_code)
{
    struct winsize size = {.ws_row = 6, .ws_col = 50};
    struct termios before, after;
    int64_t interrupt_us = leat_clock_monotonic_us() + PATIENCE_US;
    int master, slave, status;
    pid_t pid;

    ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &size), 0);
    tcgetattr(slave, &before);
    pid = fork();
    if (pid == 0) {
        close(master);
        login_tty(slave);
        execv(getenv("LEAT"), (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    fcntl(master, F_SETFL, O_NONBLOCK);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        char piece[4096];
        ssize_t count = read(master, piece, sizeof piece);

        if (count > 0)
            leat_buf_add(out, piece, (size_t)count);
        else
            usleep(5000);
        if (interrupt_us != INT64_MAX &&
            (count_of(leat_buf_text(out), HOME) >= 2 || leat_clock_monotonic_us() > interrupt_us)) {
            interrupt_us = INT64_MAX;
            ck_assert_int_eq(write(master, "\003", 1), 1);
        }
    }
    for (char piece[4096];;) {
        ssize_t count = read(master, piece, sizeof piece);

        if (count <= 0)
            break;
        leat_buf_add(out, piece, (size_t)count);
    }
    tcgetattr(slave, &after);
    ck_assert_int_eq(before.c_lflag, after.c_lflag);
    close(master);
    close(slave);
    *ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
set_program(void)
{
    char path[512];

    snprintf(path, sizeof path, "%s/leat", getenv("LEAT_BUILD"));
    setenv("LEAT", path, 1);
}

START_TEST(watching_on_a_terminal)
{
    static const char end[] = "\033[?25h\033[?1049l";
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    const char *text;
    int code;

    set_program();
    watch_on_terminal((const char *const[]){"leat", "leases", "--watch=1", NULL}, &out, &code);
    text = leat_buf_text(&out);
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(strncmp(text, "\033[?1049h", 8), 0);
    ck_assert_uint_ge(out.size, strlen(end));
    ck_assert_str_eq(text + out.size - strlen(end), end);
    ck_assert_uint_ge(count_of(text, HOME), 2);
    ck_assert_ptr_nonnull(strstr(text, "more: --stream")); /* what does not fit is counted */
}
END_TEST

START_TEST(watching_on_a_pipe)
{
    LEAT_AUTO_BUF shown = LEAT_BUF_INIT;
    char line[4096];
    FILE *in;
    pid_t pid;

    set_program();
    in = popen("echo $$; exec $LEAT leases --watch=1 -o json --application weather --shard 1", "r");
    ck_assert_ptr_nonnull(in);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, in));
    pid = (pid_t)strtol(line, NULL, 10);
    ck_assert_int_gt(pid, 1);
    /* Interrupted when it has shown two, be that soon or late. */
    while (fgets(line, sizeof line, in) != NULL) {
        leat_buf_add_text(&shown, line);
        if (count_of(leat_buf_text(&shown), "{\"application\"") == 2)
            kill(pid, SIGINT);
    }
    ck_assert_int_eq(pclose(in), 0);
    ck_assert_uint_ge(count_of(leat_buf_text(&shown), "{\"application\""), 2);
    ck_assert_ptr_null(strchr(leat_buf_text(&shown), '\033'));
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("commands_leases");
    TCase *rows = tcase_create("rows");
    int failed;

    test_postgres_url();
    tcase_set_timeout(rows, 120);
    tcase_add_checked_fixture(rows, setup_rows, teardown_rows);
    tcase_add_test(rows, leases_tell_lag_and_loss);
    tcase_add_test(rows, shards_join_progress);
    tcase_add_test(rows, processors_and_workers_are_told);
    tcase_add_test(rows, wrong_words_are_told);
    tcase_add_test(rows, words_move_rows_and_the_version);
    tcase_add_test(rows, a_role_that_may_only_read);
    tcase_add_test(rows, the_world_moved);
    tcase_add_test(rows, a_late_end_is_none);
    tcase_add_test(rows, watching_on_a_terminal);
    tcase_add_test(rows, watching_on_a_pipe);
    suite_add_tcase(suite, rows);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
