/*
 * `leat worker`: makes the parts, starts them, waits for a signal (or for the end of every shard) and ends them. Everything
 * that decides anything is in lib/.
 *
 * Threads: this one reads the signals, which are blocked everywhere else. MHD's answers /metrics and the like.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/log_writer.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"
#include "worker/command.h"
#include "worker/health.h"
#include "worker/lease_log.h"
#include "worker/metrics.h"
#include "worker/wait.h"

#define TICK_US (500 * LEAT_MS_US)
#define ENDED_TICK_US (50 * LEAT_MS_US)
#define IDLE_MEMORY_US (2 * LEAT_SECOND_US)
#define STUCK_US (30 * LEAT_SECOND_US)
#define LOG_PATIENCE_US (250 * LEAT_MS_US) /* for a log that stands still, at the end */
#define LEAVE_US (1 * LEAT_SECOND_US)      /* for consumers to leave, whatever drain_timeout says */
#define LATE_US (500 * LEAT_MS_US)         /* behind that, something hangs */
#define LOOK_US (20 * LEAT_MS_US)
#define START_PATIENCE_US (60 * LEAT_SECOND_US)

struct running {
    struct leat_parts parts;
    struct leat_health *health;
    struct leat_lease_log *lease_log;
    bool until_ended;
    _Atomic bool is_registered, is_stopping;
    _Atomic int64_t ticked_at_us;
    _Atomic int signal; /* that ended it; 0: none */
    sigset_t signals;
};

/* What takes part of the process's life and may hang: a start, an end. */
struct guard {
    struct running *running;
    struct leat_mutex lock;
    struct leat_condition condition;
    struct leat_thread thread;
    int64_t until_us;
    int code;
    bool is_over LEAT_FIELD_GUARDED_BY(lock);
};

static void
help(void)
{
    fputs("leat worker: reads streams, runs processors, writes targets, until SIGTERM\n\n"
          "  leat worker -c leat.yaml\n"
          "  leat worker -c leat.yaml --until-ended          # ends when every shard is done\n"
          "  leat worker -c leat.yaml --set log.level=debug\n\n" LEAT_SETUP_HELP
          "  --until-ended      for files and closed streams: end when everything is committed\n\n"
          "SIGTERM and SIGINT hand the shards over and end; a second one ends at once.\n"
          "Exit codes: 0 ended as asked, 1 failed, 2 wrong usage or configuration,\n"
          "3 the other side is down\n",
          stdout);
}

/* ---- what happens, said once ------------------------------------------------------------------ */

static void
notice(void *context, enum leat_log_level level, const char *what,
       const struct leat_consumer_view *view, const struct leat_error *err)
{
    leat_log_scope(view->processor, view->stream, view->shard);
    if (err != NULL && err->text[0] != '\0')
        leat_log_event(level, what, "error", err->text, "sqlstate",
                       err->sqlstate[0] != '\0' ? err->sqlstate : "-", NULL);
    else
        leat_log_event(level, what, NULL);
    leat_log_scope_clear();
}

static void
trouble(void *context, const struct leat_error *err)
{
    if (err != NULL)
        leat_log_event(LEAT_LOG_WARNING, "leases cannot be worked on", "error", err->text, NULL);
    else
        leat_log_event(LEAT_LOG_INFO, "leases can be worked on again", NULL);
}

static void
pooled(void *context)
{
    leat_log_event(
        LEAT_LOG_WARNING,
        "a pooler stands before the lease database: no session locks and no LISTEN, so a "
        "dead worker's shards wait for leases.expiry, and moves for the next heartbeat; "
        "for takeovers in a second give `database` a direct connection",
        NULL);
}

static void
unserved(void *context, const struct leat_error *which)
{
    if (which != NULL)
        leat_log_event(LEAT_LOG_WARNING, "a processor waits: no worker runs it", "error",
                       which->text, NULL);
    else
        leat_log_event(LEAT_LOG_INFO, "all processors of the shards held here run here", NULL);
}

static void
cannot_read(void *context, const char *stream, const struct leat_error *why)
{
    if (why != NULL)
        leat_log_event(LEAT_LOG_WARNING,
                       "this worker cannot read a stream: it takes none of its shards, and gives "
                       "back what others can read",
                       "stream", stream, "error", why->text, NULL);
    else
        leat_log_event(LEAT_LOG_INFO, "this worker can read a stream again", "stream", stream,
                       NULL);
}

static void
stream_news(void *context, enum leat_log_level level, const char *what, const char *stream,
            const char *detail)
{
    bool is_id = strncmp(detail, "arn:", 4) == 0 || strncmp(detail, "file:", 5) == 0;

    if (detail[0] != '\0')
        leat_log_event(level, what, "stream", stream, is_id ? "stream_id" : "detail", detail, NULL);
    else
        leat_log_event(level, what, "stream", stream, NULL);
}

static void
log_taken(void *log, struct leat_lease_key key)
{
    leat_lease_log_taken(log, key);
}

static void
log_lost(void *log, struct leat_lease_key key, enum leat_lease_loss loss)
{
    leat_lease_log_lost(log, key, loss);
}

static void
letters_trouble(void *context, const struct leat_error *err)
{
    if (err != NULL)
        leat_log_event(LEAT_LOG_ERROR,
                       "failed records cannot be put away: their shards wait, nothing is dropped",
                       "error", err->text, NULL);
    else
        leat_log_event(LEAT_LOG_INFO, "failed records can be put away again", NULL);
}

static void
letter_refused(void *context, const struct leat_error *err)
{
    leat_log_event(LEAT_LOG_WARNING, "a letter is refused for good: see docs/failures.md", "error",
                   err->text, NULL);
}

/* ---- what others may ask ---------------------------------------------------------------------- */

static void
render_metrics(void *context, struct leat_buf *out)
{
    struct running *running = context;

    leat_metrics_render(&running->parts, out);
}

static bool
is_alive(void *context)
{
    struct running *running = context;

    return running->is_stopping || leat_clock_monotonic_us() - running->ticked_at_us < STUCK_US;
}

/* What keeps all of them from work concerns the worker, not a shard: its target, its archive, its stream. */
static bool
stands_still(const struct running *running)
{
    struct leat_pipeline_counts counts;

    leat_pipeline_counts(running->parts.pipeline, &counts);
    return counts.consumers > counts.settled &&
           counts.blocked + counts.unavailable >= counts.consumers - counts.settled;
}

static bool
is_ready(void *context, const char **ret_why_not)
{
    struct running *running = context;

    *ret_why_not = running->is_stopping ? "stopping" : "not registered yet";
    if (!running->is_registered || running->is_stopping)
        return false;
    *ret_why_not = "no stream could be read yet: see the log";
    if (!leat_lease_manager_can_read(running->parts.leases))
        return false;
    *ret_why_not = "every shard held here stands still: see leat shards and the log";
    return !stands_still(running);
}

/* Metrics are no reason not to work: a port in use is a warning. */
static void
start_health(struct running *running)
{
    const struct leat_config *config = running->parts.config;
    struct leat_health_options options = {
        .listen = config->http_listen,
        .metrics = render_metrics,
        .is_alive = is_alive,
        .is_ready = is_ready,
        .context = running,
    };
    struct leat_error err;

    if (config->http_listen == NULL || config->http_listen[0] == '\0' ||
        strcmp(config->http_listen, "off") == 0)
        return;
    if (leat_health_start(&options, &running->health, &err) != 0)
        leat_log_event(LEAT_LOG_WARNING, "no metrics: set http.listen to a free port, or to off",
                       "error", err.text, NULL);
}

/* ---- what may hang ----------------------------------------------------------------------------- */

/* Everything that blocks has a deadline or ends at a stop; should one of them not, a crash is safe here. */
static void
give_up(struct guard *guard, const char *what)
{
    leat_log_event(LEAT_LOG_WARNING, what, NULL);
    leat_log_flush_repeats(INT64_MAX);
    leat_log_writer_drain(LOG_PATIENCE_US);
    _exit(guard->code);
}

static bool
is_over_by(struct guard *guard, int64_t until_us)
{
    bool is_over;

    leat_mutex_lock(&guard->lock);
    while (!guard->is_over && leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&guard->condition, &guard->lock, until_us);
    is_over = guard->is_over;
    leat_mutex_unlock(&guard->lock);
    return is_over;
}

static void
guard_begin(struct guard *guard, const char *name, void (*run)(void *))
{
    struct leat_error err;

    leat_mutex_init(&guard->lock);
    leat_condition_init(&guard->condition);
    if (leat_thread_start(&guard->thread, name, run, guard, &err) != 0)
        leat_log_event(LEAT_LOG_WARNING, "what hangs is not noticed", "error", err.text, NULL);
}

static void
guard_end(struct guard *guard)
{
    leat_mutex_lock(&guard->lock);
    guard->is_over = true;
    leat_condition_broadcast(&guard->condition);
    leat_mutex_unlock(&guard->lock);
    leat_thread_join(&guard->thread);
    leat_condition_release(&guard->condition);
    leat_mutex_release(&guard->lock);
}

/* While it starts, nobody else reads the signals. */
static void
guard_start(void *context)
{
    struct guard *guard = context;
    struct timespec now = {0};
    int64_t look_us = 0;
    int number = 0;

    while (number <= 0 && !is_over_by(guard, look_us)) {
        number = sigtimedwait(&guard->running->signals, NULL, &now);
        look_us = leat_clock_monotonic_us() + LOOK_US;
    }
    if (number <= 0)
        return;
    guard->running->signal = number;
    leat_stop();
    leat_mutex_lock(&guard->lock);
    leat_condition_broadcast(&guard->condition);
    leat_mutex_unlock(&guard->lock);
    if (!is_over_by(guard, leat_clock_monotonic_us() + LEAVE_US))
        give_up(guard, "stopped while starting: what was waited for did not come back");
}

static void
guard_ending(void *context)
{
    struct guard *guard = context;

    if (!is_over_by(guard, guard->until_us))
        give_up(guard, "something did not come back in time: the process ends without it; nothing "
                       "is lost, since what it did was not committed");
}

/* ---- begin ------------------------------------------------------------------------------------ */

/* Blocked before any thread starts: all inherit it. */
static void
block_signals(struct running *running)
{
    sigemptyset(&running->signals);
    sigaddset(&running->signals, SIGTERM);
    sigaddset(&running->signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &running->signals, NULL);
    signal(SIGHUP, SIG_IGN);
}

/* true: a signal came before the deadline. */
static bool
wait_for_signal(struct running *running, int64_t wait_us)
{
    struct timespec timeout = {.tv_sec = wait_us / LEAT_SECOND_US,
                               .tv_nsec = wait_us % LEAT_SECOND_US * 1000};
    int number = sigtimedwait(&running->signals, NULL, &timeout);

    if (number > 0)
        running->signal = number;
    return number > 0;
}

static int
try_start(struct running *running, const struct leat_config *config, struct leat_error *err)
{
    struct leat_parts_events events = {.notice = notice,
                                       .trouble = trouble,
                                       .pooled = pooled,
                                       .stream = stream_news,
                                       .unserved = unserved,
                                       .cannot_read = cannot_read,
                                       .letters_trouble = letters_trouble,
                                       .letter_refused = letter_refused,
                                       .log_taken = log_taken,
                                       .log_lost = log_lost,
                                       .log = running->lease_log,
                                       .context = running};
    int status = leat_parts_open(&running->parts, config, &events, err);

    if (status != 0)
        return status;
    start_health(running);
    status = leat_lease_manager_start(running->parts.leases, err);
    if (status == 0)
        return 0;
    leat_health_stop(running->health);
    running->health = NULL;
    leat_parts_close(&running->parts);
    return status;
}

static void
wait_for_retry(struct guard *guard, int64_t wait_us)
{
    int64_t until_us = leat_clock_monotonic_us() + wait_us;

    leat_mutex_lock(&guard->lock);
    while (guard->running->signal == 0 && leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&guard->condition, &guard->lock, until_us);
    leat_mutex_unlock(&guard->lock);
}

/* What is down may come back: tried again for a while, each reason said when it is new. What is wrong ends it. */
static int
try_to_start(struct running *running, const struct leat_config *config, struct guard *guard,
             struct leat_error *err)
{
    int64_t give_up_us = leat_clock_monotonic_us() + START_PATIENCE_US;
    char said[LEAT_ERROR_TEXT_BYTES] = "";
    struct leat_random random;
    unsigned attempt = 0;
    int status;

    leat_random_seed(&random, (uint64_t)leat_random_identity());
    while ((status = try_start(running, config, err)) != 0) {
        if (running->signal != 0)
            break;
        if (!err->is_retryable || leat_clock_monotonic_us() >= give_up_us)
            return status;
        if (strcmp(said, err->text) != 0)
            leat_log_event(LEAT_LOG_WARNING, "could not start, trying again for a minute", "error",
                           err->text, NULL);
        snprintf(said, sizeof said, "%s", err->text);
        wait_for_retry(guard,
                       leat_backoff_us(&random, 200 * LEAT_MS_US, 5 * LEAT_SECOND_US, attempt++));
        if (running->signal != 0)
            break;
    }
    if (status != 0)
        return leat_error_set(err, LEAT_E_CANCELLED, "stopped while starting");
    running->is_registered = true;
    return 0;
}

static int
start(struct running *running, const struct leat_config *config, struct leat_error *err)
{
    struct guard guard = {.running = running, .code = LEAT_EXIT_OK};
    int status;

    guard_begin(&guard, "starting", guard_start);
    status = try_to_start(running, config, &guard, err);
    guard_end(&guard);
    return status;
}

/* ---- while it runs ---------------------------------------------------------------------------- */

/* An exit code, or -1 to go on. */
static int
look(struct running *running)
{
    struct leat_error why;

    running->ticked_at_us = leat_clock_monotonic_us();
    leat_log_flush_repeats(running->ticked_at_us);
    leat_lease_log_flush(running->lease_log);
    leat_region_pool_trim(running->parts.regions, running->ticked_at_us - IDLE_MEMORY_US);
    if (!running->until_ended)
        return -1;
    if (leat_pipeline_stopped(running->parts.pipeline, &why)) {
        leat_log_event(LEAT_LOG_ERROR, "a processor stopped: not all is done", "error", why.text,
                       NULL);
        return LEAT_EXIT_FAILED;
    }
    return leat_lease_manager_all_ended(running->parts.leases) ? LEAT_EXIT_OK : -1;
}

static int
run(struct running *running)
{
    int64_t tick_us = running->until_ended ? ENDED_TICK_US : TICK_US;
    int code;

    while ((code = look(running)) < 0) {
        if (running->signal != 0 || wait_for_signal(running, tick_us))
            return LEAT_EXIT_OK;
    }
    return code;
}

static void
log_start(const struct running *running)
{
    const struct leat_config *config = running->parts.config;
    LEAT_AUTO_BUF port = LEAT_BUF_INIT;

    if (running->health != NULL)
        leat_buf_printf(&port, "%u", leat_health_port(running->health));
    leat_log_event(LEAT_LOG_INFO, "worker started", "application", config->application, "version",
                   LEAT_VERSION, "config", config->file,
                   running->health != NULL ? "#http_port" : "metrics",
                   running->health != NULL ? leat_buf_text(&port) : "off", NULL);
}

static void
log_end(struct running *running)
{
    struct leat_pipeline_counts counts;
    LEAT_AUTO_BUF records = LEAT_BUF_INIT;
    LEAT_AUTO_BUF rows = LEAT_BUF_INIT;
    LEAT_AUTO_BUF diverted = LEAT_BUF_INIT;

    leat_pipeline_counts(running->parts.pipeline, &counts);
    leat_buf_printf(&records, "%llu", (unsigned long long)counts.records);
    leat_buf_printf(&rows, "%llu", (unsigned long long)counts.rows_written);
    leat_buf_printf(&diverted, "%llu", (unsigned long long)counts.diverted);
    leat_log_event(LEAT_LOG_INFO, "worker ended", "#records", leat_buf_text(&records), "#rows",
                   leat_buf_text(&rows), "#diverted", leat_buf_text(&diverted), NULL);
}

static void
default_again(int number)
{
    sigset_t one;

    signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

/* A call that does not come back holds its thread, and all that it may touch: the leases are gone, so the process just ends. */
static void
end_pipeline(struct running *running, int64_t deadline_us, int code)
{
    int64_t least_us = leat_clock_monotonic_us() + LEAVE_US;

    if (leat_pipeline_end(running->parts.pipeline, deadline_us > least_us ? deadline_us : least_us))
        return;
    leat_log_event(LEAT_LOG_WARNING,
                   "a call into a plugin did not come back: the process ends without it; nothing "
                   "is lost, since what it did was not committed",
                   NULL);
    leat_log_flush_repeats(INT64_MAX);
    leat_log_writer_drain(LOG_PATIENCE_US);
    _exit(code);
}

static void
end(struct running *running, int code)
{
    int64_t deadline_us = leat_clock_monotonic_us() +
                          running->parts.config->shutdown_drain_timeout_us;
    struct guard guard = {
        .running = running, .until_us = deadline_us + LEAVE_US + LATE_US, .code = code};

    running->is_stopping = true;
    /* From now on a signal ends the process at once: a crash is safe. */
    default_again(SIGTERM);
    default_again(SIGINT);
    guard_begin(&guard, "ending", guard_ending);
    leat_lease_manager_stop(running->parts.leases, deadline_us);
    leat_lease_log_flush(running->lease_log);
    /* The leases are somebody else's: whatever still waits for an answer waits in vain. */
    leat_stop();
    log_end(running);
    leat_health_stop(running->health);
    end_pipeline(running, deadline_us, code);
    leat_parts_close(&running->parts);
    guard_end(&guard);
    leat_log_flush_repeats(INT64_MAX);
}

/* LEAT_EXIT_OK, another exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct leat_setup_arguments *arguments, bool *ret_until_ended)
{
    static const struct option options[] = {LEAT_SETUP_LONG,
                                            {"until-ended", no_argument, NULL, 'u'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int letter;

    while ((letter = getopt_long(argc, argv, LEAT_SETUP_LETTERS "h", options, NULL)) != -1) {
        if (letter == 'u')
            *ret_until_ended = true;
        else if (letter == 'h')
            return -1;
        else if (!leat_setup_argument(arguments, letter, optarg))
            return LEAT_EXIT_USAGE;
    }
    if (optind != argc) {
        fprintf(stderr, "leat worker: what is \"%s\"? See leat worker --help\n", argv[optind]);
        return LEAT_EXIT_USAGE;
    }
    return LEAT_EXIT_OK;
}

/* Buffers of rows come and go: large ones go back to the system at once, whatever their thread. */
static void
bound_malloc(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mallopt(M_ARENA_MAX, 4);
#endif
}

static int
work(struct running *running, const struct leat_config *config)
{
    static const enum leat_log_format formats[] = {LEAT_LOG_AUTO, LEAT_LOG_JSON, LEAT_LOG_TEXT};
    size_t format = strcmp(config->log_format, "json") == 0   ? 1
                    : strcmp(config->log_format, "text") == 0 ? 2
                                                              : 0;
    struct leat_error err;
    int code;

    bound_malloc();
    leat_log_setup(config->log_level, formats[format], STDERR_FILENO);
    block_signals(running);
    running->ticked_at_us = leat_clock_monotonic_us();
    running->lease_log = leat_lease_log_new();
    if (start(running, config, &err) == LEAT_E_CANCELLED) {
        leat_log_event(LEAT_LOG_INFO, "stopped while starting", NULL);
        return LEAT_EXIT_OK;
    }
    if (!running->is_registered) {
        code = leat_command_failed("worker", &err);
        /* What the configuration says wrong by itself is a usage, here as in `leat validate`. */
        return code == LEAT_EXIT_FAILED && !leat_setup_is_right(config) ? LEAT_EXIT_USAGE : code;
    }
    log_start(running);
    code = run(running);
    end(running, code);
    return code;
}

int
leat_command_worker(int argc, char **argv)
{
    struct leat_setup_arguments arguments = {0};
    struct running running = {0};
    struct leat_config *config;
    int code = parse(argc, argv, &arguments, &running.until_ended);
    struct leat_error err;

    /* A log whose reader is gone, or that has grown too large, is no reason to end. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    leat_crash_install();
    if (code == -1)
        help();
    else if (code == 0 && leat_log_writer_start(&err) != 0)
        code = leat_command_failed("worker", &err);
    if (code == 0)
        code = leat_setup_load(&arguments, "worker", &config);
    if (code == LEAT_EXIT_OK) {
        code = work(&running, config);
        leat_lease_log_free(running.lease_log);
        leat_config_free(config);
    }
    leat_setup_arguments_release(&arguments);
    leat_log_writer_end(LOG_PATIENCE_US);
    return code == -1 ? LEAT_EXIT_OK : code;
}
