/* leases, workers and failures over rows that SQL made, in a real Postgres. */
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "local/s3.h"
#include "postgres/migrate.h"
#include "support/postgres.h"
#include "support/program.h"

#include <check.h>

#define IDENTITY "7000000000000000001"
#define ID "5f0c9a11aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER_ID "5f0c9a11bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char url[200];
static struct program_run run;
static struct leat_error err;

static void
sql(const char *text)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "test"};
    struct leat_pg_connection *connection;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_pg_script(connection, text, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static void
migrate(void)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "test"};
    struct leat_pg_connection *connection;
    int applied;

    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "lease", &applied, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_schema_migrate(connection, "target", &applied, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

static void
empty_database(void)
{
    static int databases;
    char name[40];

    snprintf(name, sizeof name, "commands_%d_%d", (int)getpid(), ++databases);
    test_postgres_database(name, url, sizeof url);
    setenv("LEAT_DATABASE__URL", url, 1);
}

static void
setup(void)
{
    empty_database();
    migrate();
}

static void
teardown(void)
{
    program_run_release(&run);
}

#define LEAT(...) leat((const char *const[]){__VA_ARGS__, NULL})

static void
leat(const char *const *arguments)
{
    program_run_release(&run);
    program_run(&run, NULL, arguments);
}

static void
ck_text(struct json_object *object, const char *key, const char *wanted)
{
    struct leat_slice text = leat_slice_from("(absent)");

    leat_json_get_text(object, key, &text);
    ck_assert_msg(leat_slice_is(text, wanted), "%s: %.*s", key, (int)text.size,
                  (const char *)text.data);
}

static void
ck_integer(struct json_object *object, const char *key, int64_t wanted)
{
    int64_t number = INT64_MIN;

    leat_json_get_integer(object, key, &number);
    ck_assert_msg(number == wanted, "%s: %lld", key, (long long)number);
}

static void
add_fleet(void)
{
    sql("INSERT INTO leat.workers (application, worker_id, incarnation, state, heartbeat_at,"
        " expires_at, host, pid, build, weight) VALUES"
        " ('weather', 'w1', " IDENTITY ", 'alive', clock_timestamp() - interval '2 s',"
        "  clock_timestamp() + interval '1 h', 'host-1', 41, '0.1.0', 1.5),"
        " ('weather', 'w2', 2, 'alive', clock_timestamp() - interval '1 h',"
        "  clock_timestamp() - interval '50 min', 'host-2', 42, '0.1.0', 1),"
        " ('other', 'w3', 3, 'dead', clock_timestamp(), clock_timestamp(), 'host-3', 43, '', 1);"
        "INSERT INTO leat.streams (application, stream_id, name, arn) VALUES"
        " ('weather', 'arn:s@1', 'observations', 'arn:s');"
        "INSERT INTO leat.starts (application, processor, stream_id, start) VALUES"
        " ('weather', 'rollup', 'arn:s@1', 'TRIM_HORIZON');"
        "INSERT INTO leat.leases (application, stream_id, shard, state, lease_owner, next_owner,"
        " lease_counter, last_worker_id, handoff_at, parents, ended_by) VALUES"
        " ('weather', 'arn:s@1', 'shard-0', 'ended', NULL, NULL, 7, 'w1', NULL,"
        "  '{}', '{rollup}'),"
        " ('weather', 'arn:s@1', 'shard-1', 'active', " IDENTITY ", 2, 9, 'w1',"
        "  clock_timestamp() - interval '3 s', '{shard-0}', '{}'),"
        " ('other', 'arn:t@1', 'shard-0', 'active', 99, NULL, 1, 'gone', NULL,"
        "  '{}', '{}');");
}

/* What the user of workers may do with tables that say what there is, and what was diverted: what workers do. */
START_TEST(grants_give_no_more_than_is_needed)
{
    sql("DROP ROLE IF EXISTS least");
    sql("CREATE ROLE least");
    LEAT("db", "grants", "--user", "least");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    sql(leat_buf_text(&run.out));
    sql("DO $$ BEGIN IF has_table_privilege('least', 'leat.schema_versions', 'INSERT') "
        "OR has_table_privilege('least', 'leat.schema_versions', 'UPDATE') "
        "OR has_table_privilege('least', 'leat.schema_versions', 'DELETE') "
        "OR has_table_privilege('least', 'leat.schema_versions', 'TRUNCATE') "
        "OR has_table_privilege('least', 'leat.failures', 'UPDATE') "
        "OR has_table_privilege('least', 'leat.failures', 'DELETE') "
        "THEN RAISE 'too much'; END IF; "
        "IF NOT (has_table_privilege('least', 'leat.schema_versions', 'SELECT') "
        "AND has_table_privilege('least', 'leat.failures', 'INSERT') "
        "AND has_table_privilege('least', 'leat.leases', 'DELETE') "
        "AND has_table_privilege('least', 'leat.progress', 'UPDATE')) "
        "THEN RAISE 'too little'; END IF; END $$");
    sql("DROP OWNED BY least; DROP ROLE least");
}
END_TEST

START_TEST(leases_are_told)
{
    struct json_object *row;
    double seconds;

    add_fleet();
    LEAT("leases", "--application", "weather", "-o", "json");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 2);
    row = program_run_json(&run, 0);
    ck_text(row, "shard", "shard-0");
    ck_text(row, "state", "ended");
    ck_assert_ptr_null(leat_json_get(row, "owner"));
    ck_assert_str_eq(json_object_get_string(leat_json_get(row, "ended_by")), "[ \"rollup\" ]");
    json_object_put(row);
    row = program_run_json(&run, 1);
    ck_text(row, "stream", "observations");
    ck_text(row, "stream_id", "arn:s@1");
    ck_text(row, "owner", "w1");
    ck_text(row, "lease_owner", IDENTITY); /* to the last digit */
    ck_text(row, "next_owner", "w2");
    ck_integer(row, "lease_counter", 9);
    ck_assert(leat_json_get_real(row, "handoff_seconds", &seconds));
    ck_assert_double_ge(seconds, 3);
    ck_assert_str_eq(json_object_get_string(leat_json_get(row, "parents")), "[ \"shard-0\" ]");
    ck_text(leat_json_get(row, "starts"), "rollup", "TRIM_HORIZON");
    json_object_put(row);
    LEAT("leases", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 3);
    row = program_run_json(&run, 0);
    ck_text(row, "application", "other");
    ck_text(row, "stream", "arn:t@1"); /* no name is known */
    ck_text(row, "owner", "#99");      /* whose row is gone */
    json_object_put(row);
}
END_TEST

/* An empty table would read as "nothing is wrong". */
START_TEST(what_names_nothing_is_an_error)
{
    static const struct {
        const char *command, *option, *word, *says;
    } cases[] = {
        {"leases", "--stream", "observation",
         "there is no stream \"observation\", did you mean \"observations\"?; there are: "},
        {"leases", "--shard", "7",
         "there is no shard \"shardId-000000000007\"; there are: shard-0"},
        {"leases", "--worker", "w9", "there is no worker \"w9\""},
        {"shards", "--processor", "rolup", "there is no processor \"rolup\""},
        {"processors", "--processor", "rolup", "there is no processor \"rolup\""},
        {"shards", "--stream", "x", "there is no stream \"x\""},
    };

    add_fleet();
    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        LEAT(cases[i].command, "--application", "weather", cases[i].option, cases[i].word);
        ck_assert_int_eq(run.code, 1);
        ck_assert_msg(strstr(leat_buf_text(&run.err), cases[i].says) != NULL, "%s",
                      leat_buf_text(&run.err));
        ck_assert_uint_eq(run.out.size, 0);
    }
    LEAT("leases", "--application", "weather", "--stream", "arn:s@1");
    ck_assert_int_eq(run.code, 0);
}
END_TEST

START_TEST(tables_are_aligned)
{
    add_fleet();
    LEAT("leases", "--application", "weather");
    ck_assert_int_eq(run.code, 0);
    ck_assert_str_eq(
        leat_buf_text(&run.out),
        "APPLICATION  STREAM        SHARD    STATE    OWNER  LAG SECONDS  LOST IN SECONDS  "
        "LEASE COUNTER  NEXT OWNER  ENDED BY  PARENTS\n"
        "weather      observations  shard-0  ended    -      -            -                "
        "7              -           rollup    -\n"
        "weather      observations  shard-1  handoff  w1     -            -                "
        "9              w2          -         shard-0\n");
}
END_TEST

START_TEST(workers_are_told)
{
    struct json_object *row;
    double seconds;

    add_fleet();
    LEAT("workers", "--application", "weather", "-o", "json", "--database", url);
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 2);
    row = program_run_json(&run, 0);
    ck_text(row, "worker_id", "w1");
    ck_text(row, "incarnation", IDENTITY);
    ck_text(row, "state", "alive");
    ck_text(row, "host", "host-1");
    ck_text(row, "build", "0.1.0");
    ck_integer(row, "pid", 41);
    ck_integer(row, "leases", 1);
    ck_assert(leat_json_get_real(row, "heartbeat_age_seconds", &seconds));
    ck_assert(seconds >= 2 && seconds < 600);
    ck_assert(leat_json_get_real(row, "expires_in_seconds", &seconds));
    ck_assert(seconds > 3000 && seconds <= 3600);
    ck_assert(leat_json_get_real(row, "weight", &seconds) && seconds == 1.5);
    json_object_put(row);
    row = program_run_json(&run, 1);
    ck_text(row, "state", "silent");
    ck_integer(row, "leases", 0);
    json_object_put(row);
    LEAT("workers");
    ck_assert_uint_eq(program_run_lines(&run), 4);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.out), "dead"));
}
END_TEST

static void
add_letters(void)
{
    sql("INSERT INTO leat.failures (dead_letter_id, application, processor, stream_id, shard,"
        " sequence, sub_sequence, partition_key, arrival_at, data_bytes, attempts, reason,"
        " reason_text, sqlstate, archive_url, state, last_at, times) VALUES"
        " ('" ID "', 'weather', 'rollup', 'arn:s@1', 'shard-0', '49', 3, 'device-\303\244',"
        "  '2026-01-02 03:04:05.5Z', 120, 2, 'data_error', E'bad\033[2Jvalue', '22003',"
        "  's3://b/k', 'open', '2026-01-03Z', 2),"
        " ('" OTHER_ID "', 'weather', 'copy', 'arn:s@1', 'shard-0', '50', 0, '\\xff00', NULL, 1,"
        "  1, 'bad_json', 'no', NULL, 's3://b/l', 'redriven', '2026-01-04Z', 1);");
}

START_TEST(failures_are_listed)
{
    struct json_object *row;

    add_letters();
    LEAT("failures", "ls", "-o", "json");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 2);
    row = program_run_json(&run, 0); /* the latest first */
    ck_text(row, "dead_letter_id", OTHER_ID);
    json_object_put(row);
    row = program_run_json(&run, 1);
    ck_text(row, "processor", "rollup");
    ck_text(row, "reason", "data_error");
    ck_text(row, "reason_text", "bad\033[2Jvalue");
    ck_text(row, "sqlstate", "22003");
    ck_text(row, "archive_url", "s3://b/k");
    ck_text(row, "last_at", "2026-01-03T00:00:00.000000Z");
    ck_integer(row, "sub_sequence", 3);
    ck_integer(row, "times", 2);
    json_object_put(row);
    LEAT("failures", "ls", "--state", "open", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 1);
    LEAT("failures", "ls", "--processor", "copy", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 1);
    LEAT("failures", "ls", "--application", "other", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 0);
    LEAT("failures", "ls", "--limit", "1");
    ck_assert_uint_eq(program_run_lines(&run), 2);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "--limit"));
    LEAT("failures", "ls", "--processor", "rollup");
    ck_assert_ptr_null(strchr(leat_buf_text(&run.out), '\033')); /* no escape reaches a terminal */
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.out), "bad\\x1b[2Jvalue"));
}
END_TEST

START_TEST(failures_are_filtered_and_counted)
{
    struct json_object *row;

    add_letters();
    sql("INSERT INTO leat.failures (dead_letter_id, application, processor, stream_id, shard, "
        "sequence, "
        "sub_sequence, partition_key, data_bytes, attempts, reason, reason_text, archive_url, "
        "state, times) SELECT "
        "lpad(i::text, 64, '0'), 'weather', 'rollup', "
        "'arn:aws:kinesis:eu-west-1:1:stream/orders@1700000000', 'shardId-000000000007', "
        "i::text, 0, 'k', 1, 1, 'rejected', '', 's3://b/k', 'open', 1 FROM generate_series(1, 150) "
        "i");
    LEAT("failures", "count", "-o", "json");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 3);
    row = program_run_json(&run, 0); /* the most first */
    ck_text(row, "stream", "orders");
    ck_text(row, "reason", "rejected");
    ck_text(row, "state", "open");
    ck_integer(row, "failures", 150);
    json_object_put(row);
    LEAT("failures", "ls", "--stream", "orders", "--shard", "7", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 100);
    row = program_run_json(&run, 0);
    ck_text(row, "stream", "orders");
    json_object_put(row);
    LEAT("failures", "ls", "--since", "1h", "--limit", "1000", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 150); /* the others are of January */
    LEAT("failures", "count", "--reason", "rejected", "--since", "1h");
    ck_assert_uint_eq(program_run_lines(&run), 2);
    LEAT("failures", "ls", "--state", "opn");
    ck_assert_int_eq(run.code, 2);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "did you mean \"open\"?"));
    LEAT("failures", "ls", "--reason", "rejectd");
    ck_assert_int_eq(run.code, 2);
    LEAT("failures", "ls", "--since", "yesterday");
    ck_assert_int_eq(run.code, 2);
    LEAT("failures", "ls", "--since", "-1h", "--limit", "1000", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 150);
    LEAT("failures", "ls", "--since", "1h ago", "--limit", "1000", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 150);
    LEAT("failures", "ls", "--since", "2026-01-03T12:00:00Z", "--limit", "1000", "-o", "json");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 151); /* one of the others is of the 3rd */
    LEAT("failures", "count", "--data");
    ck_assert_int_eq(run.code, 2);
    LEAT("failures", "ls", "--stream", "order");
    ck_assert_int_eq(run.code, 1);
    ck_assert_uint_eq(run.out.size, 0);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "there is no stream \"order\""));
    LEAT("failures", "count", "--stream", "orders", "--shard", "8");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "no shard \"shardId-000000000008\""));
    LEAT("failures", "ls", "--stream", "orders", "--reason", "lost"); /* one that is there */
    ck_assert_int_eq(run.code, 0);
}
END_TEST

static void
add_letter_at(const char *archive_url)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text,
                    "INSERT INTO leat.failures (dead_letter_id, application, processor, stream_id, "
                    "shard, sequence, sub_sequence, partition_key, data_bytes, attempts, reason, "
                    "reason_text, archive_url) "
                    "VALUES (repeat('7', 64), 'weather', 'rollup', 's', 's', '1', 0, 'k', 3, 1, "
                    "'failed', '', '%s')",
                    archive_url);
    sql("DELETE FROM leat.failures");
    sql(leat_buf_text(&text));
}

/* The bytes as they were, wherever the letter lies. */
START_TEST(the_data_of_a_letter_is_shown)
{
    static const char text_letter[] = "{\"data\":\"{\\\"a\\\":\\u00e4}\\n\"}";
    static const char bytes_letter[] = "{\"data_base64\":\"/wAB\"}";
    struct leat_local_s3_options options = {
        .region = "eu-west-1", .access_key_id = "id", .secret_access_key = "secret"};
    struct leat_local_s3 *server = leat_local_s3_new(&options, &err);
    char path[] = "/tmp/leat-letter-XXXXXX";
    LEAT_AUTO_BUF place = LEAT_BUF_INIT;
    int fd = mkstemp(path);

    ck_assert_msg(server != NULL, "%s", err.text);
    ck_assert_int_eq(write(fd, text_letter, sizeof text_letter - 1), sizeof text_letter - 1);
    close(fd);
    leat_buf_printf(&place, "file://%s", path);
    add_letter_at(leat_buf_text(&place));
    LEAT("failures", "show", "777777", "--data");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_str_eq(leat_buf_text(&run.out), "{\"a\":\u00e4}\n");
    unlink(path);
    LEAT("failures", "show", "777777", "--data");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "could not read the letter"));

    ck_assert_int_eq(leat_local_s3_create_bucket(server, "box", &err), 0);
    ck_assert_int_eq(leat_local_s3_put(server, "box", leat_slice_from("a/b c.json"),
                                       leat_slice_from(bytes_letter), &err),
                     0);
    add_letter_at("s3://box/a/b c.json");
    setenv("AWS_ENDPOINT_URL_S3", leat_local_s3_endpoint(server), 1);
    setenv("AWS_ACCESS_KEY_ID", "id", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_REGION", "eu-west-1", 1);
    LEAT("failures", "show", "777777", "--data");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert(leat_slice_equals(leat_buf_slice(&run.out), leat_slice_make("\xff\0\1", 3)));
    add_letter_at("s3://box/nowhere");
    LEAT("failures", "show", "777777", "--data");
    ck_assert_int_eq(run.code, 1);
    leat_local_s3_free(server);
}
END_TEST

START_TEST(one_letter_is_shown)
{
    struct json_object *row;

    add_letters();
    LEAT("failures", "show", ID, "-o", "json");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    row = program_run_json(&run, 0);
    ck_text(row, "partition_key", "device-\303\244");
    ck_text(row, "arrival_at", "2026-01-02T03:04:05.500000Z");
    ck_text(row, "archive_url", "s3://b/k");
    ck_integer(row, "attempts", 2);
    ck_integer(row, "data_bytes", 120);
    ck_assert_ptr_null(leat_json_get(row, "dead_letter_position"));
    json_object_put(row);
    LEAT("failures", "show", "5f0c9a11bb", "-o", "json");
    ck_assert_int_eq(run.code, 0);
    row = program_run_json(&run, 0);
    ck_text(row, "partition_key_base64", "/wA=");
    json_object_put(row);
    LEAT("failures", "show", "5f0c9a11bb");
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.out), "archive_url           s3://b/l\n"));
    LEAT("failures", "show", "5f0c9a11");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "more than one"));
    LEAT("failures", "show", "0123456789");
    ck_assert_int_eq(run.code, 1);
    LEAT("failures", "show", "%%%%%%%%");
    ck_assert_int_eq(run.code, 2);
}
END_TEST

/* The configuration says which database, whose application, and which target. */
START_TEST(configuration_says_where)
{
    char file_name[] = "/tmp/leat-commands-XXXXXX";
    int fd = mkstemp(file_name);
    FILE *file = fdopen(fd, "w");

    ck_assert_ptr_nonnull(file);
    fprintf(
        file,
        "application: weather\ndatabase: { url: \"%s\" }\nstreams: [s]\nprocessors:\n"
        "  - { name: rollup, plugin: print, target: { plugin: postgres } }\n"
        "  - { name: copy, plugin: print, target: { plugin: postgres, url: \"host=/nowhere\" } }\n"
        "archive: { url: \"file:///tmp/none\" }\n",
        url);
    fclose(file);
    add_fleet();
    add_letters();
    unsetenv("LEAT_DATABASE__URL");
    LEAT("leases", "-c", file_name, "-o", "json");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 2); /* the application's alone */
    LEAT("leases", "-c", file_name, "-o", "json", "--application", "other");
    ck_assert_uint_eq(program_run_lines(&run), 1);
    LEAT("failures", "ls", "-c", file_name);
    ck_assert_int_eq(run.code, 2);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "--processor"));
    LEAT("failures", "ls", "-c", file_name, "--processor", "rollup", "-o", "json");
    ck_assert_msg(run.code == 0, "%s", leat_buf_text(&run.err));
    ck_assert_uint_eq(program_run_lines(&run), 1);
    LEAT("failures", "ls", "-c", file_name, "--processor", "copy");
    ck_assert_int_eq(run.code, 3);
    LEAT("failures", "ls", "-c", file_name, "--processor", "nobody");
    ck_assert_int_eq(run.code, 2);
    setenv("LEAT_CONFIG", file_name, 1);
    LEAT("workers", "-o", "json");
    ck_assert_uint_eq(program_run_lines(&run), 2);
    unsetenv("LEAT_CONFIG");
    unlink(file_name);
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    empty_database();
    LEAT("leases");
    ck_assert_int_eq(run.code, 1);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "leat db migrate"));
    LEAT("failures", "ls");
    ck_assert_int_eq(run.code, 1);
    LEAT("workers", "--database", "host=/nowhere dbname=x connect_timeout=1");
    ck_assert_int_eq(run.code, 3);
    LEAT("leases", "-o", "yaml");
    ck_assert_int_eq(run.code, 2);
    LEAT("leases", "weather");
    ck_assert_int_eq(run.code, 2);
    LEAT("failures");
    ck_assert_int_eq(run.code, 2);
    LEAT("failures", "ls", "--limit", "0");
    ck_assert_int_eq(run.code, 2);
    unsetenv("LEAT_DATABASE__URL");
    LEAT("workers");
    ck_assert_int_eq(run.code, 2);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.err), "--database"));
    LEAT("workers", "--help");
    ck_assert_int_eq(run.code, 0);
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&run.out), "leat workers -c leat.yaml"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("integration/commands_database");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    test_postgres_url(); /* before the tests are forked */
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, grants_give_no_more_than_is_needed);
    tcase_add_test(tests, leases_are_told);
    tcase_add_test(tests, what_names_nothing_is_an_error);
    tcase_add_test(tests, tables_are_aligned);
    tcase_add_test(tests, workers_are_told);
    tcase_add_test(tests, failures_are_listed);
    tcase_add_test(tests, failures_are_filtered_and_counted);
    tcase_add_test(tests, the_data_of_a_letter_is_shown);
    tcase_add_test(tests, one_letter_is_shown);
    tcase_add_test(tests, configuration_says_where);
    tcase_add_test(tests, what_is_wrong_is_said);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
