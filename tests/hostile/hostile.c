/*
 * make hostile: each kind of answer or record that means harm against a real `leat worker` on a small budget, with a good
 * stream beside it. For each: the peak of resident memory is at most budget + 32 MB + 64 kB a shard; the fault is named in
 * the log within 10 s; the good stream goes on; SIGTERM ends the worker within 2 s and its drain.
 *
 *   hostile              all kinds, one line each and a sum; 1 when one failed
 *   hostile NAME...      these alone; a name may end with *
 *   hostile --list       their names
 *   hostile --short      the handful that CI runs
 */
#include <errno.h>
#include <fnmatch.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/hostile/kinds.h"

#define PRINT                                                                                      \
    "memory: { budget: 32MiB }\nprocessors: [{ name: print, plugin: print, target: { plugin: "     \
    "postgres } }]\n"
#define EVIL_ROWS "SELECT count(*) FROM records WHERE stream = '" EVIL "'"
#define LOOK_MS 50
#define STOP_US (2 * LEAT_SECOND_US)
#define DRAIN_US                                                                                   \
    (1 * LEAT_SECOND_US) /* shutdown.drain_timeout: letters that cannot be stored take all of it */
#define GOOD_ROWS 10
#define SHOWN_BYTES 6000
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 6
#define HAS_RSS_BAR false
#else
#define SLOW 1
#define HAS_RSS_BAR true
#endif

static const struct hostile_kinds *const groups[] = {
    &hostile_transport, &hostile_reads, &hostile_lists, &hostile_records, &hostile_stores};
static const char *const short_ones[] = {"silent",
                                         "endless-body",
                                         "list-of-brackets",
                                         "list-circle",
                                         "kpl-empty-keys",
                                         "gzip-ten-large",
                                         "many-records",
                                         "out-of-order",
                                         "list-long-token",
                                         "letters-too-many",
                                         NULL};

/* The machine may be busier than the bars think: HOSTILE_SLOW multiplies the times. */
static int64_t
slow(int64_t us)
{
    const char *text = getenv("HOSTILE_SLOW");
    long times = text != NULL ? strtol(text, NULL, 10) : 1;

    return us * SLOW * (times > 1 ? times : 1);
}

/* ---- one kind's world ------------------------------------------------------------------------ */

struct trial {
    const struct hostile_kind *kind;
    struct test_fleet fleet;
    struct hostile_front *front, *store; /* store: before the archive, when that is hostile */
    struct leat_buf body;
    struct test_worker worker;
    int64_t
        began_us; /* the first hostile call, or the start where records are what hurts; 0: not yet */
    int64_t named_us, good_rows, good_at_start, evil_rows, peak_bytes, stop_us;
    int exit_status;
};

/* Answers are given on other threads: one trial at a time. */
static struct trial *current;

void
hostile_put(struct test_fleet *fleet, const char *key, const char *hash_key, struct leat_slice data)
{
    struct leat_error err;

    if (leat_local_kinesis_put(fleet->kinesis, EVIL, leat_slice_from(key),
                               leat_slice_from(hash_key), data, NULL, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
}

void
hostile_put_aggregate(struct test_fleet *fleet, struct leat_slice message)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;

    EVP_Digest(message.data, message.size, digest, NULL, EVP_md5(), NULL);
    leat_buf_add(&data, "\xF3\x89\x9A\xC2", 4);
    leat_buf_add_slice(&data, message);
    leat_buf_add(&data, digest, 16);
    hostile_put(fleet, "key", "", leat_buf_slice(&data));
}

static bool
answer_as_written(struct hostile_call *call)
{
    const struct hostile_kind *kind = current->kind;

    return hostile_reply(call, kind->status > 0 ? kind->status : 200,
                         kind->headers != NULL ? kind->headers
                                               : "Content-Type: application/x-amz-json-1.1\r\n",
                         leat_buf_slice(&current->body));
}

static void
make_body(struct trial *trial)
{
    const struct hostile_kind *kind = trial->kind;

    leat_buf_init(&trial->body, SIZE_MAX);
    for (const char *c = kind->body; c != NULL && *c != '\0'; c++) {
        for (size_t i = 0; *c == '$' && i < kind->times; i++)
            leat_buf_add_text(&trial->body, kind->fill);
        if (*c != '$')
            leat_buf_add_byte(&trial->body, (unsigned char)*c);
    }
}

static void
make_stream(struct trial *trial, const char *name, unsigned shards)
{
    struct leat_error err;

    if (leat_local_kinesis_create_stream(trial->fleet.kinesis, name, shards, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
}

static void
start_fronts(struct trial *trial)
{
    const struct hostile_kind *kind = trial->kind;
    hostile_answer_fn answer = kind->answer != NULL ? kind->answer : answer_as_written;
    struct hostile_front_options front = {
        .upstream = leat_local_kinesis_port(trial->fleet.kinesis)};
    struct hostile_front_options store = {.action = kind->action, .answer = answer};

    if (!kind->is_s3) {
        front.action = kind->action;
        front.answer = answer;
        front.is_late = kind->is_late;
    } else {
        trial->store = hostile_front_new(&store);
        setenv("AWS_ENDPOINT_URL_S3", hostile_front_url(trial->store), 1);
    }
    trial->front = hostile_front_new(&front);
    setenv("AWS_ENDPOINT_URL_KINESIS", hostile_front_url(trial->front), 1);
}

static void
trial_start(struct trial *trial)
{
    static unsigned number;
    static const char *const on_s3[] = {"--set", "shutdown.drain_timeout=1s", "--set",
                                        "archive.url=s3://bucket/letters", NULL};
    static const char *const on_folder[] = {"--set", "shutdown.drain_timeout=1s", NULL};
    const struct hostile_kind *kind = trial->kind;
    char database[40];
    struct test_fleet_options options = {
        .shards = 1, .database = database, .stream_bytes = (size_t)1 << 30};

    snprintf(database, sizeof database, "hostile_%u", number++);
    make_body(trial);
    test_fleet_start(&trial->fleet, &options);
    trial->fleet.streams = kind->streams != NULL ? kind->streams : TEST_FLEET_STREAM ", " EVIL;
    make_stream(trial, EVIL, kind->shards > 0 ? kind->shards : 1);
    make_stream(trial, EVIL "-letters", 1);
    test_fleet_configure(&trial->fleet, kind->rest != NULL ? kind->rest : PRINT);
    if (kind->put != NULL)
        kind->put(&trial->fleet);
    start_fronts(trial);
    trial->worker = test_fleet_spawn(&trial->fleet, "w1", kind->is_s3 ? on_s3 : on_folder);
}

static void
trial_end(struct trial *trial)
{
    hostile_front_free(trial->front);
    hostile_front_free(trial->store);
    test_fleet_end(&trial->fleet);
    leat_buf_release(&trial->body);
}

/* ---- watching -------------------------------------------------------------------------------- */

static int64_t
peak_bytes(const struct test_worker *worker)
{
    char path[64], line[256];
    long long kib = 0;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%d/status", (int)worker->pid);
    in = fopen(path, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoll(line + 6, NULL, 10);
    }
    if (in != NULL)
        fclose(in);
    return kib * 1024;
}

/* Any of the alternatives a|b|c. */
static bool
log_says(const struct test_worker *worker, const char *says)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *copy = leat_strdup(says);
    char *rest = copy, *one;

    test_worker_log(worker, &log);
    while ((one = strsep(&rest, "|")) != NULL) {
        if (strstr(leat_buf_text(&log), one) != NULL)
            return true;
    }
    return false;
}

static void
look(struct trial *trial)
{
    const struct hostile_kind *kind = trial->kind;
    int64_t now_us = leat_clock_monotonic_us();
    struct hostile_front *front = kind->is_s3 ? trial->store : trial->front;

    test_fleet_put(&trial->fleet, leat_slice_from("key"), leat_slice_from("good"));
    trial->good_rows = test_fleet_number(
        &trial->fleet, "SELECT count(*) FROM records WHERE stream = '" TEST_FLEET_STREAM "'");
    trial->evil_rows =
        test_fleet_number(&trial->fleet, kind->counts != NULL ? kind->counts : EVIL_ROWS);
    if (kind->is_late && trial->good_rows > 0)
        hostile_front_arm(front);
    if (trial->began_us == 0 && (kind->action == NULL || hostile_front_calls(front) > 0)) {
        trial->began_us = now_us;
        trial->good_at_start = trial->good_rows;
    }
    if (kind->says != NULL && trial->named_us == 0 && log_says(&trial->worker, kind->says))
        trial->named_us = now_us;
}

static bool
is_named(const struct trial *trial)
{
    return trial->kind->says == NULL || trial->named_us > 0;
}

static bool
goes_on(const struct trial *trial)
{
    return trial->good_rows >= trial->good_at_start + GOOD_ROWS;
}

/* Until all that is wanted was seen, and the harm had two seconds; or ten seconds are over. */
static void
watch(struct trial *trial)
{
    int64_t start_us = leat_clock_monotonic_us();
    int64_t end_us = start_us + slow(20 * LEAT_SECOND_US);

    for (;;) {
        int64_t now_us = leat_clock_monotonic_us();
        bool has_seen_all;

        look(trial);
        has_seen_all = trial->began_us > 0 && is_named(trial) && goes_on(trial) &&
                       trial->evil_rows >= trial->kind->evil_rows;
        if (has_seen_all && now_us - trial->began_us > 2 * LEAT_SECOND_US)
            break;
        if (now_us > end_us ||
            (trial->began_us > 0 && now_us - trial->began_us > slow(10 * LEAT_SECOND_US)))
            break;
        poll(NULL, 0, LOOK_MS);
    }
    trial->peak_bytes = peak_bytes(&trial->worker);
}

/* SIGTERM; -1: it did not end and was killed. */
static void
stop(struct trial *trial)
{
    int64_t began_us = leat_clock_monotonic_us(),
            deadline_us = began_us + slow(10 * LEAT_SECOND_US);
    siginfo_t info = {0};

    trial->stop_us = -1;
    test_worker_kill(&trial->worker, SIGTERM);
    while (leat_clock_monotonic_us() < deadline_us) {
        if (waitid(P_PID, (id_t)trial->worker.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0) {
            trial->stop_us = leat_clock_monotonic_us() - began_us;
            break;
        }
        poll(NULL, 0, 5);
    }
    if (trial->stop_us < 0)
        test_worker_kill(&trial->worker, SIGKILL);
    trial->exit_status = test_worker_wait(&trial->worker, NULL);
}

/* ---- judging --------------------------------------------------------------------------------- */

static int64_t
bar_bytes(const struct hostile_kind *kind)
{
    int64_t budget = kind->budget_bytes > 0 ? kind->budget_bytes : (int64_t)32 << 20;

    return budget + 32000000 + 64000 * (int64_t)((kind->shards > 0 ? kind->shards : 1) + 1);
}

static void
say(struct leat_buf *why, bool is_wrong, const char *text)
{
    if (is_wrong)
        leat_buf_printf(why, "%s%s", why->size > 0 ? ", " : "", text);
}

static void
show_log(const struct test_worker *worker)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    const char *text;

    test_worker_log(worker, &log);
    text = leat_buf_text(&log);
    fprintf(stderr, "%s\n", log.size > SHOWN_BYTES ? text + log.size - SHOWN_BYTES : text);
}

static bool
judge(const struct trial *trial)
{
    const struct hostile_kind *kind = trial->kind;
    LEAT_AUTO_BUF why = LEAT_BUF_INIT;
    char named[24] = "       -";

    say(&why, trial->began_us == 0, "nothing hostile was asked for");
    say(&why, !is_named(trial), "not named");
    say(&why, !goes_on(trial), "the good stream stands");
    if (trial->evil_rows < kind->evil_rows)
        leat_buf_printf(&why, "%s%lld of %lld records of the hurt stream are there",
                        why.size > 0 ? ", " : "", (long long)trial->evil_rows,
                        (long long)kind->evil_rows);
    say(&why, HAS_RSS_BAR && trial->peak_bytes > bar_bytes(kind), "too much memory");
    say(&why, trial->stop_us < 0 || trial->stop_us > slow(STOP_US + DRAIN_US), "does not stop");
    say(&why, trial->exit_status != 0, "ended badly");
    if (trial->named_us > 0)
        snprintf(named, sizeof named, "%6.1f s", (double)(trial->named_us - trial->began_us) / 1e6);
    printf("%-26s named %s  good %3lld  peak %6.1f of %6.1f MB  stop %5.2f s  %s%s\n", kind->name,
           named, (long long)(trial->good_rows - trial->good_at_start),
           (double)trial->peak_bytes / 1e6, (double)bar_bytes(kind) / 1e6,
           (double)trial->stop_us / 1e6, why.size == 0 ? "ok" : "FAILED: ", leat_buf_text(&why));
    fflush(stdout);
    if (why.size > 0)
        show_log(&trial->worker);
    return why.size == 0;
}

static bool
run_kind(const struct hostile_kind *kind)
{
    struct trial trial = {.kind = kind};
    bool is_good;

    current = &trial;
    trial_start(&trial);
    watch(&trial);
    stop(&trial);
    is_good = judge(&trial);
    trial_end(&trial);
    return is_good;
}

/* ---- which ----------------------------------------------------------------------------------- */

static bool
is_wanted(const char *name, char **wanted, const char *const *short_wanted)
{
    for (; short_wanted != NULL && *short_wanted != NULL; short_wanted++) {
        if (strcmp(name, *short_wanted) == 0)
            return true;
    }
    if (short_wanted != NULL)
        return false;
    if (*wanted == NULL)
        return true;
    for (; *wanted != NULL; wanted++) {
        if (fnmatch(*wanted, name, 0) == 0)
            return true;
    }
    return false;
}

int
main(int argc, char **argv)
{
    bool lists = argc > 1 && strcmp(argv[1], "--list") == 0;
    bool is_short = argc > 1 && strcmp(argv[1], "--short") == 0;
    unsigned passed = 0, failed = 0;

    for (size_t group = 0; group < LEAT_COUNT_OF(groups); group++) {
        for (size_t i = 0; i < groups[group]->count; i++) {
            const struct hostile_kind *kind = &groups[group]->kinds[i];

            if (lists)
                puts(kind->name);
            else if (is_wanted(kind->name, argv + 1, is_short ? short_ones : NULL) &&
                     run_kind(kind))
                passed++;
            else if (is_wanted(kind->name, argv + 1, is_short ? short_ones : NULL))
                failed++;
        }
    }
    if (!lists)
        printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || (!lists && passed == 0);
}
