/*
 * What operators see and do, as processes: leases, workers, shards, processors; first over rows that SQL made, then with running
 * workers, whose records must be exact whatever is done to their leases.
 */
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
#include "support/fleet.h"
#include "support/postgres.h"
#include "support/program.h"
#include "support/steady.h"

#include <check.h>

#define SHARDS 6
#define PATIENCE_US (60 * LEAT_SECOND_US)
#define LEASE_US (1500 * LEAT_MS_US)

static struct test_fleet fleet;
static struct test_worker workers[3];
static struct test_steady steady;
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
    struct leat_pg_options options = {.url = url, .application_name = "test"};
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
    ck_value(1, "lag_seconds", "2.5");
    ck_value(1, "lost_in_seconds", "86397.5");
    ck_value(1, "streams", "[ \"s\" ]");
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
    ck_refused(2, "pause, resume or retire");
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

/* ---- watching ------------------------------------------------------------------------------------- */

/* What a process on a terminal of 10 lines wrote until it ended; *ret_code: its exit code. */
static void
watch_on_terminal(const char *const *arguments, struct leat_buf *out, int *ret_code)
{
    struct winsize size = {.ws_row = 6, .ws_col = 50};
    struct termios before, after;
    int64_t interrupt_us = leat_clock_monotonic_us() + 3 * LEAT_SECOND_US;
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
        if (leat_clock_monotonic_us() > interrupt_us) {
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
    ck_assert_uint_ge(count_of(text, "\033[H"), 2);
    ck_assert_ptr_nonnull(strstr(text, "more: --stream")); /* what does not fit is counted */
}
END_TEST

START_TEST(watching_on_a_pipe)
{
    FILE *in;
    char piece[8192] = "";
    size_t size;

    set_program();
    in = popen("timeout -s INT --preserve-status 3 $LEAT leases --watch=1 -o json --application "
               "weather --shard 1",
               "r");
    ck_assert_ptr_nonnull(in);
    size = fread(piece, 1, sizeof piece - 1, in);
    piece[size] = '\0';
    ck_assert_int_eq(pclose(in), 0);
    ck_assert_uint_ge(count_of(piece, "{\"application\""), 2);
    ck_assert_ptr_null(strchr(piece, '\033'));
}
END_TEST

/* ---- running workers ------------------------------------------------------------------------------ */

static void
ck_reaches(const char *text, int64_t wanted)
{
    if (test_fleet_wait_for(&fleet, text, wanted, leat_clock_monotonic_us() + PATIENCE_US))
        return;
    test_fleet_dump(&fleet);
    ck_abort_msg("%lld, not %lld: %s", (long long)test_fleet_number(&fleet, text),
                 (long long)wanted, text);
}

static void
start_worker(int index)
{
    static const char *const arguments[] = {"--set", "leases.heartbeat=300ms", "--set",
                                            "leases.expiry=1500ms", NULL};
    static const char *const ids[] = {"w1", "w2", "w3"};

    workers[index] = test_fleet_spawn(&fleet, ids[index], arguments);
}

#define HELD(id)                                                                                   \
    "(SELECT count(*) FROM leat.leases l JOIN leat.workers w ON w.incarnation = l.lease_owner "    \
    "WHERE w.worker_id = '" id "' AND w.state <> 'dead')"
#define SETTLED                                                                                    \
    "(SELECT count(*) = 0 FROM leat.leases WHERE next_owner IS NOT NULL OR lease_owner IS NULL)"

static void
begin_fleet(int count)
{
    struct test_fleet_options options = {.shards = SHARDS};
    char name[40];

    snprintf(name, sizeof name, "commands_leases_%d", (int)getpid());
    options.database = name;
    test_fleet_start(&fleet, &options);
    test_fleet_configure(&fleet, TEST_STEADY_PROCESSORS);
    setenv("LEAT_CONFIG", fleet.config, 1);
    steady.fleet = &fleet;
    test_steady_prepare(&steady);
    test_steady_start(&steady);
    for (int i = 0; i < count; i++)
        start_worker(i);
    ck_reaches("SELECT count(*) FROM leat.leases WHERE lease_owner IS NOT NULL", SHARDS);
    if (count == 2)
        ck_reaches("SELECT (" HELD("w1") " = 3 AND " HELD("w2") " = 3 AND " SETTLED ")::int", 1);
    ck_steady_flows(&steady);
}

static void
teardown_fleet(void)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(workers); i++) {
        test_worker_kill(&workers[i], SIGKILL);
        test_worker_wait(&workers[i], NULL);
    }
    unsetenv("LEAT_CONFIG");
    program_run_release(&run);
    test_fleet_end(&fleet);
}

START_TEST(workers_answer_who_looks)
{
    begin_fleet(2);
    LEAT("leases", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), SHARDS);
    for (size_t i = 0; i < SHARDS; i++) {
        ck_value(i, "state", "active");
        ck_assert_str_ne(value(i, "lag_seconds"), "null");
        ck_assert_str_ne(value(i, "lost_in_seconds"), "null");
    }
    LEAT("shards", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 2 * SHARDS);
    for (size_t i = 0; i < 2 * SHARDS; i++) {
        ck_value(i, "state", "running");
        ck_value(i, "takes", "0");
        ck_assert_uint_gt(strspn(value(i, "checkpoint"), "0123456789"), 10);
    }
    LEAT("processors", "-o", "json");
    ck_value(0, "workers", "2");
    ck_value(1, "shards", "6");
    /* A target that is away: the rest is shown. */
    test_fleet_reconfigure(
        &fleet,
        "processors:\n"
        "  - { name: rollup, plugin: rollup, target: { plugin: postgres } }\n"
        "  - { name: print, plugin: print, target: { plugin: postgres, url: \"host=/nowhere "
        "dbname=x connect_timeout=1\" } }\n");
    LEAT("shards", "-o", "json");
    ck_done();
    ck_says("no progress of processor \"print\"");
    ck_assert_uint_eq(program_run_lines(&run), 2 * SHARDS);
    ck_value(0, "processor", "print");
    ck_value(0, "checkpoint", "null");
    ck_value(0, "state", "running");
    ck_assert_str_ne(value(SHARDS, "checkpoint"), "null");
    ck_steady_all_right(&steady);
}
END_TEST

/* By wish and by force; nothing is lost or doubled. */
START_TEST(leases_are_released)
{
    begin_fleet(2);
    LEAT("leases", "release", "--worker", "w1");
    ck_done();
    ck_says("3 leases are on the way");
    ck_reaches("SELECT count(*) FROM leat.lease_moves WHERE why = 'handed over' AND from_worker = "
               "'w1' AND to_worker = 'w2'",
               3);
    ck_reaches("SELECT (" HELD("w1") " = 3 AND " HELD("w2") " = 3 AND " SETTLED ")::int", 1);
    ck_steady_flows(&steady);
    LEAT("leases", "release", "--worker", "w2", "--fence");
    ck_done();
    ck_says("3 leases are taken away");
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT count(*) FROM leat.lease_moves WHERE why = "
                                               "'operator' AND from_worker = 'w2' AND to_worker IS "
                                               "NULL"),
                     3);
    ck_reaches("SELECT (" HELD("w1") " = 3 AND " HELD("w2") " = 3 AND " SETTLED ")::int", 1);
    ck_steady_flows(&steady);
    LEAT("leases", "release", "--stream", TEST_FLEET_STREAM, "--shard", "0", "--fence");
    ck_done();
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* It empties, stays empty also as another incarnation, and comes back when it is told to. */
START_TEST(a_worker_is_drained)
{
    begin_fleet(2);
    LEAT("workers", "drain", "w1");
    ck_done();
    ck_says("3 leases to hand over");
    ck_reaches("SELECT (" HELD("w1") " = 0 AND " HELD("w2") " = 6 AND " SETTLED ")::int", 1);
    ck_assert(test_worker_says(&workers[0], "an operator drains worker",
                               leat_clock_monotonic_us() + PATIENCE_US));
    ck_steady_flows(&steady);
    test_worker_kill(&workers[0], SIGSTOP);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1' AND state = 'dead'", 1);
    test_worker_kill(&workers[0], SIGCONT);
    ck_reaches("SELECT count(*) FROM leat.workers WHERE worker_id = 'w1' AND state = 'leaving' AND "
               "heartbeat_at > clock_timestamp() - interval '1 s'",
               1);
    ck_steady_flows(&steady);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT " HELD("w1")), 0);
    /* The last one keeps what nobody else can take. */
    LEAT("workers", "drain", "w2");
    ck_done();
    ck_says("6 stay with it");
    ck_steady_flows(&steady);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT " HELD("w2")), SHARDS);
    LEAT("workers", "drain", "w1", "--undo");
    ck_done();
    ck_reaches("SELECT (" HELD("w1") " = 6 AND " HELD("w2") " = 0 AND " SETTLED ")::int", 1);
    /* A new process of that id is not drained. */
    test_worker_kill(&workers[1], SIGTERM);
    test_worker_wait(&workers[1], NULL);
    start_worker(1);
    ck_reaches("SELECT (" HELD("w1") " = 3 AND " HELD("w2") " = 3 AND " SETTLED ")::int", 1);
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

/* Told where it happens, and kept short. */
START_TEST(history_is_told_and_bounded)
{
    begin_fleet(1);
    ck_assert_int_eq(test_fleet_number(
                         &fleet, "SELECT count(*) FROM leat.lease_moves WHERE why = 'assigned' AND "
                                 "from_worker IS NULL AND to_worker = 'w1'"),
                     SHARDS);
    test_worker_kill(&workers[0], SIGKILL);
    test_worker_wait(&workers[0], NULL);
    test_fleet_sql(&fleet,
                   "INSERT INTO leat.lease_moves (application, stream_id, shard, "
                   "lease_counter, why, moved_at) SELECT 'fleet', 's', 'old', 1, 'assigned',"
                   " clock_timestamp() - interval '8 days' FROM generate_series(1, 3000)");
    start_worker(1);
    ck_reaches("SELECT count(*) FROM leat.lease_moves WHERE why = 'dead owner' AND from_worker = "
               "'w1' AND to_worker = 'w2'",
               SHARDS);
    ck_reaches("SELECT (count(*) = 0)::int FROM leat.lease_moves WHERE shard = 'old'", 1);
    test_worker_kill(&workers[1], SIGTERM);
    test_worker_wait(&workers[1], NULL);
    LEAT("leases", "history", "-o", "json");
    ck_done();
    ck_assert_uint_eq(program_run_lines(&run), 3 * SHARDS);
    ck_value(3 * SHARDS - 1, "why", "released");
    ck_value(3 * SHARDS - 1, "to", "null");
    LEAT("leases", "history", "--shard", "0", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 3);
    LEAT("leases", "history", "--worker", "w1", "-o", "json", "--limit", "4");
    ck_assert_uint_eq(program_run_lines(&run), 4);
    test_steady_stop(&steady);
}
END_TEST

/* The other processor of the shards goes on; nothing is lost by it. */
START_TEST(a_processor_is_paused_and_goes_on)
{
    int64_t counted;

    begin_fleet(2);
    LEAT("processors", "pause", "rollup");
    ck_done();
    LEAT("shards", "--processor", "rollup", "--state", "paused", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), SHARDS);
    usleep(1000000);
    counted = test_fleet_number(&fleet, "SELECT sum(count)::int8 FROM rollup");
    usleep(500000);
    ck_assert_int_eq(test_fleet_number(&fleet, "SELECT sum(count)::int8 FROM rollup"), counted);
    ck_assert_int_gt(test_fleet_number(&fleet, "SELECT count(*) FROM records"), counted);
    LEAT("processors", "resume", "rollup");
    ck_done();
    ck_steady_flows(&steady);
    ck_steady_all_right(&steady);
}
END_TEST

int
main(void)
{
    SRunner *runner;
    Suite *suite = suite_create("commands_leases");
    TCase *rows = tcase_create("rows"), *tests = tcase_create("workers");
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
    tcase_add_test(rows, watching_on_a_terminal);
    tcase_add_test(rows, watching_on_a_pipe);
    suite_add_tcase(suite, rows);
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, NULL, teardown_fleet);
    tcase_add_test(tests, workers_answer_who_looks);
    tcase_add_test(tests, leases_are_released);
    tcase_add_test(tests, a_worker_is_drained);
    tcase_add_test(tests, history_is_told_and_bounded);
    tcase_add_test(tests, a_processor_is_paused_and_goes_on);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
