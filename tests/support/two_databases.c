#include "support/two_databases.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"
#include "support/postgres.h"

#include <check.h>

#define LOOK_US 10000

static struct leat_pg_connection *
connect_to(const struct test_cluster *cluster)
{
    struct leat_pg_options options = {.search_path = "public", .application_name = "oracle"};
    struct leat_pg_connection *connection;
    struct leat_error err;
    char url[160];

    test_cluster_url(cluster, "leat", url, sizeof url);
    options.url = url;
    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    return connection;
}

void
test_two_look(struct test_two *two)
{
    leat_pg_close(two->fleet.connection);
    leat_pg_close(two->target_connection);
    two->fleet.connection = connect_to(&two->lease);
    two->target_connection = two->steady.target = connect_to(&two->target);
}

static struct test_proxy *
proxy_for(const struct test_cluster *cluster)
{
    char path[108];

    test_cluster_socket(cluster, path, sizeof path);
    return test_proxy_start(path);
}

static void
make_server(struct test_two *two, struct test_cluster *cluster, const char *name,
            const char *settings)
{
    test_cluster_make(cluster, two->parent, name, settings);
    test_cluster_start(cluster);
    test_cluster_sql(cluster, "postgres", "CREATE DATABASE leat");
    test_cluster_sql(cluster, "leat",
                     "CREATE ROLE worker LOGIN; GRANT CREATE ON DATABASE leat TO worker; "
                     "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO worker; "
                     "ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO worker");
}

static void
name_hosts(struct test_two *two)
{
    static const char format[] = "host=%s,%s user=postgres dbname=leat "
                                 "target_session_attrs=read-write";

    snprintf(two->lease_url, sizeof two->lease_url, format, two->lease.directory,
             two->lease_other.directory);
    snprintf(two->target_url, sizeof two->target_url, format, two->target.directory,
             two->target_other.directory);
}

static void
write_file(const char *path, const struct test_cluster *cluster)
{
    LEAT_AUTO_BUF fresh = LEAT_BUF_INIT;
    char url[160];
    FILE *out;

    leat_buf_printf(&fresh, "%s.new", path);
    out = fopen(leat_buf_text(&fresh), "w");
    ck_assert_ptr_nonnull(out);
    test_cluster_url(cluster, "leat", url, sizeof url);
    fprintf(out, "%s\n", url);
    fclose(out);
    ck_assert_int_eq(rename(leat_buf_text(&fresh), path), 0);
}

void
test_two_write_files(struct test_two *two)
{
    write_file(two->lease_file, &two->lease);
    write_file(two->target_file, &two->target);
}

/* The environment is stronger than the file, where the fleet writes a URL. */
static void
make_files(struct test_two *two)
{
    test_cluster_url(&two->lease, "leat", two->lease_url, sizeof two->lease_url);
    test_cluster_url(&two->target, "leat", two->target_url, sizeof two->target_url);
    snprintf(two->lease_file, sizeof two->lease_file, "%s/lease-url", two->parent);
    snprintf(two->target_file, sizeof two->target_file, "%s/target-url", two->parent);
    test_two_write_files(two);
    setenv("LEAT_DATABASE__URL_FILE", two->lease_file, 1);
}

static void
make_servers(struct test_two *two, const struct test_two_options *options)
{
    snprintf(two->parent, sizeof two->parent, "%s/leat-two-XXXXXX", test_database_folder());
    ck_assert_ptr_nonnull(mkdtemp(two->parent));
    ck_assert_int_eq(chmod(two->parent, 0755), 0);
    make_server(two, &two->lease, "lease", "");
    make_server(two, &two->target, "target",
                options->target_settings != NULL ? options->target_settings : "");
    if (options->has_standbys) {
        test_cluster_copy(&two->lease_other, two->parent, "lease2", &two->lease, true);
        test_cluster_copy(&two->target_other, two->parent, "target2", &two->target, true);
        test_cluster_start(&two->lease_other);
        test_cluster_start(&two->target_other);
    }
    two->lease_proxy = proxy_for(&two->lease);
    two->target_proxy = proxy_for(&two->target);
    snprintf(two->lease_url, sizeof two->lease_url, "host=127.0.0.1 port=%u user=%s dbname=leat",
             test_proxy_port(two->lease_proxy), options->has_role ? "worker" : "postgres");
    snprintf(two->target_url, sizeof two->target_url, "host=127.0.0.1 port=%u user=%s dbname=leat",
             test_proxy_port(two->target_proxy), options->has_role ? "worker" : "postgres");
    if (options->reach == TEST_TWO_HOSTS)
        name_hosts(two);
    if (options->reach == TEST_TWO_FILES)
        make_files(two);
}

static void
configure(struct test_two *two)
{
    LEAT_AUTO_BUF rest = LEAT_BUF_INIT;
    struct leat_error err;
    char *ddl;

    leat_buf_add_text(&rest, "processors:\n");
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "rollup" : "print";

        leat_buf_printf(&rest,
                        "  - { name: %s, plugin: %s, failure: { retries: 0 }, target: { plugin: "
                        "postgres, %s: \"%s\" } }\n",
                        name, name, two->target_file[0] != '\0' ? "url_file" : "url",
                        two->target_file[0] != '\0' ? two->target_file : two->target_url);
    }
    test_fleet_configure(&two->fleet, leat_buf_text(&rest));
    ddl = test_fleet_shell(&two->fleet, "$LEAT db ddl -c $DIR/leat.yaml");
    ck_assert_msg(leat_pg_script(two->target_connection, ddl, &err) == 0, "%s", err.text);
    free(ddl);
}

void
test_two_spawn(struct test_two *two)
{
    char id[16];

    ck_assert_uint_lt(two->worker_count, TEST_TWO_WORKERS);
    snprintf(id, sizeof id, "w%u", two->worker_count + 1);
    two->workers[two->worker_count++] = test_fleet_spawn(
        &two->fleet, id,
        (const char *[]){"--set", "leases.heartbeat=300ms", "--set", "leases.expiry=1500ms", NULL});
}

static void
make_stream_file(struct test_two *two, unsigned lines)
{
    FILE *out;

    snprintf(two->stream_file, sizeof two->stream_file, "%s/stream.jsonl", two->parent);
    snprintf(two->streams, sizeof two->streams, "{ name: replay, file: \"%s\", follow: false }",
             two->stream_file);
    out = fopen(two->stream_file, "w");
    ck_assert_ptr_nonnull(out);
    for (unsigned i = 0; i < lines; i++)
        fprintf(out,
                "{\"device_id\": %u, \"time\": \"2022-01-01 00:00:01\", \"measurement\": "
                "\"temperature\", \"value\": 1, \"n\": %u}\n",
                i % 20, i);
    fclose(out);
    two->fleet.streams = two->streams;
}

void
test_two_start(struct test_two *two, const struct test_two_options *options)
{
    struct test_fleet_options fleet = {.shards = options->shards, .url = two->lease_url};
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    *two = (struct test_two){0};
    make_servers(two, options);
    test_fleet_start(&two->fleet, &fleet);
    test_two_look(two);
    if (options->file_lines > 0)
        make_stream_file(two, options->file_lines);
    configure(two);
    two->steady.fleet = &two->fleet;
    two->steady.target = two->target_connection;
    test_steady_prepare(&two->steady);
    test_steady_start(&two->steady);
    for (unsigned i = 0; i < options->workers; i++)
        test_two_spawn(two);
    ck_two_flows(two, 200);
    if (options->file_lines > 0)
        return; /* one that may have ended by now */
    /* What a test takes away must be missed by all of them. */
    leat_buf_printf(
        &sql,
        "SELECT (count(DISTINCT lease_owner) >= %u AND count(next_owner) = 0)::int FROM "
        "leat.leases WHERE state = 'active'",
        options->workers < options->shards ? options->workers : options->shards);
    ck_two_lease_reaches(two, leat_buf_text(&sql), 1);
}

void
test_two_end(struct test_two *two)
{
    test_steady_stop(&two->steady);
    for (unsigned i = 0; i < two->worker_count; i++) {
        test_worker_kill(&two->workers[i], SIGKILL);
        test_worker_wait(&two->workers[i], NULL);
    }
    leat_pg_close(two->target_connection);
    test_fleet_end(&two->fleet);
    test_proxy_stop(two->lease_proxy);
    test_proxy_stop(two->target_proxy);
    test_cluster_end(&two->lease);
    test_cluster_end(&two->target);
    test_cluster_end(&two->lease_other);
    test_cluster_end(&two->target_other);
    unlink(two->stream_file);
    unlink(two->lease_file);
    unlink(two->target_file);
    if (getenv("LEAT_TEST_KEEP") == NULL && rmdir(two->parent) != 0)
        perror(two->parent);
}

/* ---- questions -------------------------------------------------------------------------------- */

/* -1: it cannot be asked now. */
static int64_t
ask(struct leat_pg_connection *connection, const char *sql)
{
    PGresult *result = PQexec(connection->conn, sql);
    int64_t number = -1;

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
        number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    else
        fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(connection->conn));
    PQclear(result);
    return number;
}

int64_t
test_two_target_number(struct test_two *two, const char *sql)
{
    return ask(two->target_connection, sql);
}

static void
dump(struct test_two *two)
{
    for (unsigned i = 0; i < two->worker_count; i++) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        test_worker_log(&two->workers[i], &log);
        fprintf(stderr, "--- %s\n%s", two->workers[i].id, leat_buf_text(&log));
    }
    test_fleet_dump(&two->fleet);
    PGresult *result = PQexec(two->target_connection->conn,
                              "SELECT processor, shard, lease_owner, lease_counter, commit_seq, "
                              "takes, checkpoint FROM leat.progress ORDER BY 2, 1");
    for (int row = 0; row < PQntuples(result); row++) {
        for (int column = 0; column < PQnfields(result); column++)
            fprintf(stderr, "%s ", PQgetvalue(result, row, column));
        fprintf(stderr, "\n");
    }
    PQclear(result);
}

static void
ck_reaches(struct test_two *two, struct leat_pg_connection *connection, const char *sql,
           int64_t wanted)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US, found;

    while ((found = ask(connection, sql)) < wanted && leat_clock_monotonic_us() < deadline_us)
        usleep(LOOK_US);
    if (found >= wanted)
        return;
    dump(two);
    ck_abort_msg("%lld, not %lld: %s", (long long)found, (long long)wanted, sql);
}

void
ck_two_target_reaches(struct test_two *two, const char *sql, int64_t wanted)
{
    ck_reaches(two, two->target_connection, sql, wanted);
}

void
ck_two_lease_reaches(struct test_two *two, const char *sql, int64_t wanted)
{
    ck_reaches(two, two->fleet.connection, sql, wanted);
}

void
ck_two_flows(struct test_two *two, int64_t more)
{
    static const char sql[] = "SELECT count(*) FROM records";

    ck_two_target_reaches(two, sql, test_two_target_number(two, sql) + more);
}

static bool
says(struct test_two *two, const char *text, bool is_all)
{
    unsigned count = 0;

    for (unsigned i = 0; i < two->worker_count; i++) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        test_worker_log(&two->workers[i], &log);
        count += strstr(leat_buf_text(&log), text) != NULL;
    }
    return is_all ? count == two->worker_count : count > 0;
}

static void
ck_says(struct test_two *two, const char *text, bool is_all)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (!says(two, text, is_all)) {
        if (leat_clock_monotonic_us() >= deadline_us) {
            dump(two);
            ck_abort_msg("nobody, or not everybody, says \"%s\"", text);
        }
        usleep(LOOK_US);
    }
}

void
ck_two_says(struct test_two *two, const char *text)
{
    ck_says(two, text, false);
}

void
ck_two_all_say(struct test_two *two, const char *text)
{
    ck_says(two, text, true);
}

unsigned
test_two_count_said(struct test_two *two, const char *text)
{
    unsigned count = 0;

    for (unsigned i = 0; i < two->worker_count; i++) {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;
        const char *at;

        test_worker_log(&two->workers[i], &log);
        for (at = leat_buf_text(&log); (at = strstr(at, text)) != NULL; at++)
            count++;
    }
    return count;
}

void
ck_two_all_right(struct test_two *two)
{
    test_steady_stop(&two->steady);
    ck_two_target_reaches(two, "SELECT count(*) FROM records", two->steady.records);
    ck_two_target_reaches(two, "SELECT coalesce(sum(count), 0)::int8 FROM rollup",
                          two->steady.records);
    ck_steady_all_right(&two->steady);
    for (unsigned i = 0; i < two->worker_count; i++) {
        test_worker_kill(&two->workers[i], SIGTERM);
        ck_assert_int_eq(test_worker_wait(&two->workers[i], NULL), 0);
    }
    if (getenv("LEAT_TEST_SHOW") != NULL)
        dump(two);
}

/* ---- failover --------------------------------------------------------------------------------- */

void
test_two_fail_over(struct test_two *two, bool is_lease, int64_t lost_us)
{
    struct test_cluster *primary = is_lease ? &two->lease : &two->target;
    struct test_cluster *standby = is_lease ? &two->lease_other : &two->target_other;
    struct test_cluster old = *primary;
    char path[108];

    test_cluster_stop(standby, SIGINT);
    usleep((useconds_t)lost_us);
    test_cluster_stop(primary, SIGKILL);
    test_cluster_start(standby);
    test_cluster_promote(standby);
    *primary = *standby;
    *standby = old;
    test_cluster_socket(primary, path, sizeof path);
    test_proxy_retarget(is_lease ? two->lease_proxy : two->target_proxy, path);
    test_two_look(two);
}
