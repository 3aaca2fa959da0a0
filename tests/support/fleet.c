/* Short beats clever; but no sleep without a deadline. */
#include "support/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/memory.h"
#include "local/postgres.h"
#include "support/postgres.h"

#define LOOK_US 2000

static struct test_fleet *only;
static pid_t owner;

_Noreturn static void give_up(const char *format, ...) LEAT_PRINTF(1, 2);

_Noreturn static void
give_up(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static const char *
program(void)
{
    static char path[300];
    const char *build = getenv("LEAT_BUILD");

    snprintf(path, sizeof path, "%s/leat", build != NULL ? build : "build/test");
    return path;
}

static void
end_at_exit(void)
{
    if (only != NULL && getpid() == owner)
        test_fleet_end(only);
}

/* ---- servers ---------------------------------------------------------------------------------- */

static struct leat_pg_connection *
connect_to(const char *url)
{
    struct leat_pg_options options = {
        .search_path = "public", .url = url, .application_name = "oracle"};
    struct leat_pg_connection *connection;
    struct leat_error err;

    if (leat_pg_connect(&options, &connection, &err) != 0)
        give_up("%s", err.text);
    return connection;
}

static void
start_postgres(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_pg_connection *connection;
    struct leat_error err;

    if (leat_local_postgres_start(fleet->directory, &fleet->postgres, &err) != 0)
        give_up("%s", err.text);
    leat_buf_printf(&url, "%s dbname=postgres", leat_local_postgres_conninfo(fleet->postgres));
    connection = connect_to(leat_buf_text(&url));
    if (leat_pg_script(connection, "CREATE DATABASE leat", &err) != 0)
        give_up("%s", err.text);
    leat_pg_close(connection);
    snprintf(fleet->url, sizeof fleet->url, "%s dbname=leat",
             leat_local_postgres_conninfo(fleet->postgres));
    fleet->connection = connect_to(fleet->url);
}

/* A take moves the commit number by two, a commit by one. */
void
test_fleet_note_commits(struct test_fleet *fleet)
{
    test_fleet_sql(
        fleet,
        "CREATE TABLE public.committed (processor text, stream_id text, shard text, lease_owner "
        "bigint, PRIMARY KEY (processor, stream_id, shard)); "
        "CREATE FUNCTION public.note_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO public.committed VALUES (NEW.processor, NEW.stream_id, NEW.shard, "
        "NEW.lease_owner) ON CONFLICT (processor, stream_id, shard) DO UPDATE SET lease_owner = "
        "excluded.lease_owner; RETURN NULL; END $$; "
        "CREATE TRIGGER note_commit AFTER UPDATE ON leat.progress FOR EACH ROW WHEN "
        "(NEW.commit_seq = OLD.commit_seq + 1) EXECUTE FUNCTION public.note_commit()");
}

void
test_fleet_stop_postgres(struct test_fleet *fleet)
{
    leat_pg_close(fleet->connection);
    fleet->connection = NULL;
    leat_local_postgres_stop(fleet->postgres);
    fleet->postgres = NULL;
}

void
test_fleet_start_postgres(struct test_fleet *fleet)
{
    struct leat_error err;

    if (leat_local_postgres_start(fleet->directory, &fleet->postgres, &err) != 0)
        give_up("%s", err.text);
    fleet->connection = connect_to(fleet->url);
}

static void
share_postgres(struct test_fleet *fleet, const char *database)
{
    test_postgres_database(database, fleet->url, sizeof fleet->url);
    fleet->connection = connect_to(fleet->url);
}

static void
start_kinesis(struct test_fleet *fleet, const struct test_fleet_options *options)
{
    struct leat_local_kinesis_options kinesis = {.access_key_id = "leat",
                                                 .secret_access_key = "leat",
                                                 .maximum_bytes = options->stream_bytes,
                                                 .record_bytes = (size_t)10 << 20};
    struct leat_error err;

    if (options->issuer != NULL)
        kinesis.issuer = *options->issuer;
    fleet->kinesis = leat_local_kinesis_new(&kinesis, &err);
    if (fleet->kinesis == NULL ||
        leat_local_kinesis_create_stream(fleet->kinesis, TEST_FLEET_STREAM, options->shards,
                                         &err) != 0)
        give_up("%s", err.text);
}

void
test_fleet_start(struct test_fleet *fleet, const struct test_fleet_options *options)
{
    const char *endpoint = options->endpoint;

    *fleet = (struct test_fleet){.worker_cpu = -1};
    snprintf(fleet->directory, sizeof fleet->directory, "/tmp/leat-fleet-XXXXXX");
    if (mkdtemp(fleet->directory) == NULL || chmod(fleet->directory, 0755) != 0)
        give_up("could not make %s: %s", fleet->directory, strerror(errno));
    snprintf(fleet->config, sizeof fleet->config, "%s/leat.yaml", fleet->directory);
    only = fleet;
    owner = getpid();
    atexit(end_at_exit);
    signal(SIGPIPE, SIG_IGN);
    if (options->url != NULL) {
        snprintf(fleet->url, sizeof fleet->url, "%s", options->url);
        fleet->connection = connect_to(fleet->url);
    } else if (options->database == NULL) {
        start_postgres(fleet);
    } else if (*options->database != '\0') {
        share_postgres(fleet, options->database);
    }
    if (endpoint == NULL) {
        start_kinesis(fleet, options);
        endpoint = leat_local_kinesis_endpoint(fleet->kinesis);
    }
    setenv("AWS_ACCESS_KEY_ID", "leat", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "leat", 1);
    setenv("AWS_REGION", "us-east-1", 1);
    setenv("AWS_ENDPOINT_URL_KINESIS", endpoint, 1);
    setenv("LEAT", program(), 1);
    setenv("DIR", fleet->directory, 1);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

/* A worker that a sanitizer ended looks like one that takes no leases: what it said goes where the failure is seen, and tests/run
   takes it for one. UBSan beside ASan writes to standard error alone, whatever log_path says. */
static void
show_reports(const struct test_fleet *fleet)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    if (!IS_SANITIZED || fleet->directory[0] == '\0')
        return;
    leat_buf_printf(&command,
                    "grep -ahE -A 12 'runtime error: |ERROR: [A-Za-z]+Sanitizer' %s/*.log "
                    "2>/dev/null | head -60 >&2",
                    fleet->directory);
    if (system(leat_buf_text(&command)) != 0)
        fprintf(stderr, "could not look for reports in %s\n", fleet->directory);
}

void
test_fleet_end(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    only = NULL;
    show_reports(fleet);
    leat_pg_close(fleet->connection);
    leat_local_postgres_stop(fleet->postgres);
    leat_local_kinesis_free(fleet->kinesis);
    leat_buf_printf(&command, "rm -rf %s", fleet->directory);
    if (getenv("LEAT_TEST_KEEP") == NULL && system(leat_buf_text(&command)) != 0)
        fprintf(stderr, "could not remove %s\n", fleet->directory);
}

/* ---- configuration ---------------------------------------------------------------------------- */

char *
test_fleet_shell(struct test_fleet *fleet, const char *command)
{
    LEAT_AUTO_BUF output = LEAT_BUF_INIT;
    FILE *in = popen(command, "r");
    char piece[4096];
    size_t size;
    int status;

    if (in == NULL)
        give_up("could not run %s: %s", command, strerror(errno));
    while ((size = fread(piece, 1, sizeof piece, in)) > 0)
        leat_buf_add(&output, piece, size);
    status = pclose(in);
    if (status != 0)
        give_up("%s: exit status %d: %s", command, WEXITSTATUS(status), leat_buf_text(&output));
    return leat_buf_take(&output);
}

void
test_fleet_reconfigure(struct test_fleet *fleet, const char *rest)
{
    FILE *out = fopen(fleet->config, "w");

    if (out == NULL)
        give_up("could not write %s: %s", fleet->config, strerror(errno));
    fprintf(out,
            "application: fleet\ndatabase: \"%s\"\nstreams: [%s]\narchive: { url: "
            "\"file://%s/archive\" }\nhttp: { listen: \"127.0.0.1:0\" }\nlog: { format: json }\n%s",
            fleet->url, fleet->streams != NULL ? fleet->streams : TEST_FLEET_STREAM,
            fleet->directory, rest);
    fclose(out);
}

void
test_fleet_configure(struct test_fleet *fleet, const char *rest)
{
    struct leat_error err;
    char *text;

    test_fleet_reconfigure(fleet, rest);
    free(test_fleet_shell(fleet, "$LEAT db migrate -c $DIR/leat.yaml"));
    text = test_fleet_shell(fleet, "$LEAT db ddl -c $DIR/leat.yaml");
    if (leat_pg_script(fleet->connection, text, &err) != 0)
        give_up("%s", err.text);
    free(text);
}

/* ---- workers ---------------------------------------------------------------------------------- */

static void
become_worker(const struct test_fleet *fleet, const struct test_worker *worker,
              const char *const *arguments)
{
    const char *argv[32] = {program(), "worker", "-c", fleet->config, "--set"};
    char id[64];
    int count = 5, fd = open(worker->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    sigset_t none;
    cpu_set_t cpus;

    snprintf(id, sizeof id, "worker_id=%s", worker->id);
    argv[count++] = id;
    while (arguments != NULL && *arguments != NULL && count < 31)
        argv[count++] = *arguments++;
    if (fleet->worker_cpu >= 0) {
        CPU_ZERO(&cpus);
        CPU_SET((unsigned)fleet->worker_cpu, &cpus);
        sched_setaffinity(0, sizeof cpus, &cpus);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(argv[0], (char *const *)argv);
}

struct test_worker
test_fleet_spawn(struct test_fleet *fleet, const char *id, const char *const *arguments)
{
    struct test_worker worker = {.spawned_at_us = leat_clock_monotonic_us()};

    snprintf(worker.id, sizeof worker.id, "%s", id);
    snprintf(worker.log, sizeof worker.log, "%.60s/%.30s.log", fleet->directory, worker.id);
    worker.pid = fork();
    if (worker.pid == 0) {
        become_worker(fleet, &worker, arguments);
        _exit(127);
    }
    if (worker.pid < 0)
        give_up("could not fork: %s", strerror(errno));
    return worker;
}

int64_t
test_fleet_spawn_and_read(struct test_fleet *fleet, const char *id, struct test_worker *ret_worker)
{
    uint64_t before = leat_local_kinesis_calls(fleet->kinesis, "GetRecords");

    *ret_worker = test_fleet_spawn(fleet, id, NULL);
    while (leat_local_kinesis_calls(fleet->kinesis, "GetRecords") == before &&
           leat_clock_monotonic_us() < ret_worker->spawned_at_us + 10 * LEAT_SECOND_US)
        usleep(200);
    return leat_clock_monotonic_us() - ret_worker->spawned_at_us;
}

void
test_worker_kill(const struct test_worker *worker, int signal_number)
{
    if (worker->pid > 0)
        kill(worker->pid, signal_number);
}

int
test_worker_wait(struct test_worker *worker, struct rusage *ret_usage)
{
    int status = 0;

    if (worker->pid <= 0)
        return 0;
    while (wait4(worker->pid, &status, 0, ret_usage) < 0 && errno == EINTR)
        ;
    worker->pid = 0;
    return status;
}

void
test_worker_log(const struct test_worker *worker, struct leat_buf *out)
{
    FILE *in = fopen(worker->log, "r");
    char piece[4096];
    size_t size;

    while (in != NULL && (size = fread(piece, 1, sizeof piece, in)) > 0)
        leat_buf_add(out, piece, size);
    if (in != NULL)
        fclose(in);
}

bool
test_worker_says(const struct test_worker *worker, const char *text, int64_t deadline_us)
{
    do {
        LEAT_AUTO_BUF log = LEAT_BUF_INIT;

        test_worker_log(worker, &log);
        if (strstr(leat_buf_text(&log), text) != NULL)
            return true;
        usleep(LOOK_US);
    } while (leat_clock_monotonic_us() < deadline_us);
    return false;
}

bool
test_worker_is_stopped(const struct test_worker *worker, int64_t deadline_us)
{
    char path[64], line[256];

    snprintf(path, sizeof path, "/proc/%d/status", (int)worker->pid);
    do {
        FILE *in = fopen(path, "r");
        bool is_stopped = false;

        while (in != NULL && fgets(line, sizeof line, in) != NULL)
            is_stopped = is_stopped || strncmp(line, "State:\tT", 8) == 0;
        if (in != NULL)
            fclose(in);
        if (is_stopped)
            return true;
        usleep(LOOK_US);
    } while (leat_clock_monotonic_us() < deadline_us);
    return false;
}

int64_t
test_worker_rss_bytes(const struct test_worker *worker)
{
    char path[64], line[256];
    long long kib = 0;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%d/status", (int)worker->pid);
    in = fopen(path, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtoll(line + 6, NULL, 10);
    }
    if (in != NULL)
        fclose(in);
    return kib * 1024;
}

/* ---- questions -------------------------------------------------------------------------------- */

void
test_fleet_sql(struct test_fleet *fleet, const char *sql)
{
    struct leat_error err;

    if (leat_pg_script(fleet->connection, sql, &err) != 0)
        give_up("%s: %s", sql, err.text);
}

int64_t
test_fleet_number(struct test_fleet *fleet, const char *sql)
{
    PGresult *result = PQexec(fleet->connection->conn, sql);
    int64_t number;

    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
        give_up("%s: %s", sql, PQerrorMessage(fleet->connection->conn));
    number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

bool
test_fleet_wait_for(struct test_fleet *fleet, const char *sql, int64_t wanted, int64_t deadline_us)
{
    while (test_fleet_number(fleet, sql) < wanted) {
        if (leat_clock_monotonic_us() >= deadline_us)
            return false;
        usleep(LOOK_US);
    }
    return true;
}

bool
test_fleet_wait_for_reads(struct test_fleet *fleet, uint64_t records, int64_t deadline_us)
{
    struct leat_local_kinesis_counts counts;

    for (;;) {
        leat_local_kinesis_counts(fleet->kinesis, &counts);
        if (counts.records_out >= records)
            return true;
        if (leat_clock_monotonic_us() >= deadline_us)
            return false;
        usleep(LOOK_US);
    }
}

static void
dump(struct test_fleet *fleet, const char *sql)
{
    PGresult *result = PQexec(fleet->connection->conn, sql);

    for (int row = -1; row < PQntuples(result); row++) {
        for (int column = 0; column < PQnfields(result); column++)
            fprintf(stderr, "%s%s",
                    row < 0 ? PQfname(result, column) : PQgetvalue(result, row, column),
                    column + 1 < PQnfields(result) ? " | " : "\n");
    }
    PQclear(result);
}

void
test_fleet_dump(struct test_fleet *fleet)
{
    dump(fleet,
         "SELECT worker_id, incarnation, state, clock_timestamp() - heartbeat_at AS age FROM "
         "leat.workers ORDER BY 1");
    dump(fleet, "SELECT shard, state, lease_owner, next_owner, lease_counter, ended_by FROM "
                "leat.leases ORDER BY 1");
    dump(fleet,
         "SELECT processor, shard, lease_owner, lease_counter, commit_seq, takes, checkpoint "
         "FROM leat.progress ORDER BY 2, 1");
    show_reports(fleet);
}

void
test_fleet_put(struct test_fleet *fleet, struct leat_slice partition_key, struct leat_slice data)
{
    struct leat_error err;

    if (leat_local_kinesis_put(fleet->kinesis, TEST_FLEET_STREAM, partition_key,
                               leat_slice_from(""), data, NULL, &err) != 0)
        give_up("%s", err.text);
}

void
test_fleet_put_phase(struct test_fleet *fleet, char phase, int keys)
{
    for (int i = 0; i < keys; i++) {
        char key[16], data[16];

        snprintf(key, sizeof key, "key-%d", i);
        snprintf(data, sizeof data, "%c %d", phase, i);
        test_fleet_put(fleet, leat_slice_from(key), leat_slice_from(data));
    }
}

void
test_fleet_split(struct test_fleet *fleet, const char *shard)
{
    struct leat_error err;

    if (leat_local_kinesis_split(fleet->kinesis, TEST_FLEET_STREAM, shard, &err) != 0)
        give_up("%s", err.text);
}
