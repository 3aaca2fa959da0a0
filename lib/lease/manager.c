/*
 * The lease manager: begin, end, and the manager thread's round (docs/protocol.md §1, 2; docs/architecture.md §4). What it
 * does is in heartbeat.c (this worker's life), judge.c (others' deaths), pass.c (the plan), held.c (what is ours), requests.c
 * (what the pipeline asks) and sync.c (shards).
 */
#include "lease/manager.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"
#include "postgres/migrate.h"

#define CUT_OFF_US (10 * LEAT_SECOND_US)
#define ROUND_US (250 * LEAT_MS_US)
#define READ_US (10 * LEAT_SECOND_US)
#define COUNT_US (1 * LEAT_SECOND_US)
#define RETRY_BASE_US (100 * LEAT_MS_US)
#define RETRY_CAP_US (2 * LEAT_SECOND_US)
#define TELL_AFTER 3 /* failures in a row */

void
leat_manager_wake(struct leat_lease_manager *manager)
{
    leat_mutex_lock(&manager->lock);
    manager->is_woken = true;
    leat_condition_signal(&manager->condition);
    leat_mutex_unlock(&manager->lock);
}

void
leat_manager_trouble(struct leat_lease_manager *manager, bool *is_told,
                     const struct leat_error *err)
{
    bool is_news = *is_told != (err != NULL);

    *is_told = err != NULL;
    if (is_news && manager->options.events.trouble != NULL)
        manager->options.events.trouble(manager->options.events.context, err);
}

bool
leat_manager_is_cut_off(const struct leat_lease_manager *manager)
{
    int64_t failed_us = manager->beat_failed_us;

    return failed_us != 0 && leat_clock_monotonic_us() - failed_us < CUT_OFF_US;
}

static void
make_worker_id(struct leat_lease_manager *manager)
{
    const char *wanted = manager->options.worker_id;
    LEAT_AUTO_BUF id = LEAT_BUF_INIT;

    if (gethostname(manager->host, sizeof manager->host - 1) != 0)
        snprintf(manager->host, sizeof manager->host, "localhost");
    if (wanted != NULL && strcmp(wanted, "auto") != 0) {
        manager->worker_id = leat_strdup(wanted);
        return;
    }
    leat_buf_printf(&id, "%s-%d-%06llx", manager->host, (int)getpid(),
                    (unsigned long long)(leat_random_identity() & 0xFFFFFF));
    manager->worker_id = leat_buf_take(&id);
}

struct leat_lease_manager *
leat_lease_manager_new(const struct leat_lease_options *options, struct leat_error *err)
{
    struct leat_lease_manager *manager = LEAT_NEW(struct leat_lease_manager);

    leat_is_unshared();
    manager->options = *options;
    manager->database_url = leat_strdup(options->database_url);
    manager->application = leat_strdup(options->application);
    make_worker_id(manager);
    manager->rows = (struct leat_rows_context){manager->application, manager->worker_id,
                                               options->expiry_us, &manager->notify};
    leat_notify_init(&manager->notify, options->use_notify);
    leat_mutex_init(&manager->lock);
    leat_condition_init(&manager->condition);
    leat_condition_init(&manager->drained);
    leat_condition_init(&manager->stopping);
    manager->requests_end = &manager->requests;
    manager->waiting_end = &manager->waiting;
    leat_map_init(&manager->held);
    leat_map_init(&manager->covered);
    leat_map_init(&manager->latest);
    leat_map_init(&manager->ended_open);
    leat_map_init(&manager->odd_told);
    leat_map_init(&manager->lists_failed);
    leat_map_init(&manager->refused_told);
    leat_worker_rows_init(&manager->workers);
    leat_worker_rows_init(&manager->neighbours);
    leat_watch_init(&manager->watch);
    leat_lease_rows_init(&manager->leases);
    leat_measure_init(&manager->measure);
    leat_buf_init(&manager->loads, SIZE_MAX);
    leat_buf_init(&manager->said, SIZE_MAX);
    leat_beginnings_init(&manager->beginnings);
    leat_processor_rows_init(&manager->processors);
    manager->is_missing_told =
        LEAT_NEW_ARRAY(bool, leat_streams_options(options->streams)->spec_count);
    manager->states = LEAT_NEW_ARRAY(enum leat_processor_state, options->processor_count);
    manager->is_unasked = LEAT_NEW_ARRAY(_Atomic bool, options->processor_count);
    manager->is_stuck_said = true;
    leat_random_seed(&manager->random, (uint64_t)leat_random_identity());
    manager->heartbeat_waker.fd = -1;
    manager->read_version = manager->pass_version = -1;
    manager->next_drain_us = INT64_MAX;
    leat_manager_tell_streams(manager);
    if (leat_waker_init(&manager->heartbeat_waker, err) != 0) {
        leat_lease_manager_free(manager);
        return NULL;
    }
    return manager;
}

struct leat_pg_options
leat_manager_pg_options(const struct leat_lease_manager *manager, const char *name,
                        const char *settings)
{
    return (struct leat_pg_options){
        .url = manager->database_url,
        .application_name = name,
        .settings = settings,
        .connect_timeout_us = 3 * LEAT_SECOND_US,
        .user_timeout_ms = manager->options.expiry_us / 1000,
        .answer_timeout_us = LEAT_LEASE_ANSWER_US,
        .is_for_writing = true,
        .current_url = manager->options.current_url,
        .url_context = manager->options.url_context,
    };
}

static int
connect_second(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_pg_options options =
        leat_manager_pg_options(manager, "leat manager", LEAT_LEASE_SETTINGS " -c lock_timeout=2s");

    return leat_pg_connect(&options, &manager->connection, err);
}

/* ---- one round ------------------------------------------------------------------------------- */

static bool
take_flag(struct leat_lease_manager *manager, bool *flag)
{
    bool was_set;

    leat_mutex_lock(&manager->lock);
    was_set = *flag;
    *flag = false;
    leat_mutex_unlock(&manager->lock);
    return was_set;
}

static int
read_if_moved(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err)
{
    int64_t version = manager->version;
    int status;

    if (version == manager->read_version && version != -1 && now_us < manager->read_at_us + READ_US)
        return 0;
    /* States first: a lease that is acquired finds its processors paused when they are. */
    status = leat_manager_read_processors(manager, err);
    if (status == 0)
        status = leat_manager_read(manager, err);
    if (status == 0) {
        manager->read_version = version;
        manager->read_at_us = now_us;
        if (version == -1) {
            manager->version = 0; /* the next heartbeat tells the true one */
            manager->read_version = 0;
        }
        manager->pass_at_us = 0; /* who moved it may have left something to do */
    }
    return status;
}

static int
count_leases(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err)
{
    uint64_t all = 0, ended = 0, unowned = 0;
    bool has_synced = manager->has_synced; /* before they are counted: a sync may open ended ones */
    int64_t version = manager->version;
    int status;

    /* A reading of all leases: once a second while they move, else with the other readings. */
    if (now_us < manager->counted_at_us + (version == manager->counted_version &&
                                                   has_synced == manager->has_counted_synced
                                               ? READ_US
                                               : COUNT_US))
        return 0;
    manager->counted_at_us = now_us;
    manager->counted_version = version;
    manager->has_counted_synced = has_synced;
    status = leat_rows_count(manager->connection, &manager->rows, &all, &ended, &unowned, err);
    if (status != 0)
        return status;
    leat_mutex_lock(&manager->lock);
    manager->counts.total = all;
    manager->counts.unowned = unowned;
    leat_mutex_unlock(&manager->lock);
    manager->all_ended = has_synced && all > 0 && ended == all;
    return 0;
}

/* Behind a failover that lost commits numbers may be the same for other things, and rows be missing that were there. */
static void
doubt_all(struct leat_lease_manager *manager)
{
    manager->read_version = manager->pass_version = manager->counted_version = -1;
    leat_manager_sync_soon(manager);
}

struct round {
    struct leat_lease_manager *manager;
    int64_t now_us;
    struct leat_error err; /* of the connection, or of a step that fails again and again */
    bool is_cut;           /* the connection broke: what is left has to wait */
};

static int
do_step(struct leat_lease_manager *manager, enum leat_round_step step, int64_t now_us,
        struct leat_error *err)
{
    switch (step) {
    case LEAT_STEP_JUDGE:
        return leat_manager_judge(manager, now_us, err);
    case LEAT_STEP_NOTIFY:
        return leat_rows_notify_owed(manager->connection, &manager->rows, err);
    case LEAT_STEP_PASS:
        return leat_manager_pass(manager, now_us, err);
    case LEAT_STEP_READ:
        return read_if_moved(manager, now_us, err);
    case LEAT_STEP_FINISHED:
        return leat_manager_end_finished(manager, err);
    case LEAT_STEP_DRAINED:
        return leat_manager_release_drained(manager, err);
    case LEAT_STEP_READING:
        return leat_manager_look_at_reading(manager, now_us, err);
    case LEAT_STEP_COUNT:
        return count_leases(manager, now_us, err);
    case LEAT_STEP_STUCK:
        return leat_manager_say_stuck(manager, err);
    case LEAT_STEP_TELL:
        return leat_manager_tell(manager, err);
    case LEAT_STEP_LEAVE:
        return leat_manager_say_leaving(manager, err);
    }
    return 0;
}

/* What fails is tried again after a while, and the others are done meanwhile. */
static void
run_step(struct round *round, enum leat_round_step step)
{
    struct leat_lease_manager *manager = round->manager;
    struct leat_step_trouble *trouble = &manager->steps[step];
    struct leat_error err = {0};

    if (round->is_cut || trouble->retry_at_us > round->now_us)
        return;
    if (do_step(manager, step, round->now_us, &err) == 0) {
        trouble->failures = 0;
        return;
    }
    round->is_cut = leat_pg_is_broken(manager->connection);
    trouble->retry_at_us =
        leat_clock_monotonic_us() + RETRY_BASE_US +
        leat_backoff_us(&manager->random, RETRY_BASE_US, RETRY_CAP_US, trouble->failures++);
    if (round->is_cut)
        trouble->retry_at_us = 0; /* it was not the step's fault */
    else
        leat_pg_script(manager->connection, "ROLLBACK", NULL);
    if (round->is_cut || (trouble->failures >= TELL_AFTER && round->err.code == 0))
        round->err = err;
}

static bool
has_failing_step(const struct leat_lease_manager *manager)
{
    bool is_failing = false;

    for (int step = 0; step < LEAT_STEPS; step++)
        is_failing = is_failing || manager->steps[step].failures >= TELL_AFTER;
    return is_failing;
}

static int
connect_again(struct leat_lease_manager *manager, struct leat_error *err)
{
    int status;

    if (!leat_pg_is_broken(manager->connection))
        return 0;
    leat_pg_close(manager->connection);
    manager->connection = NULL;
    status = connect_second(manager, err);
    if (status == 0)
        doubt_all(manager);
    return status;
}

/* Who has died, what is ours and who gets what come first; then what this worker's pipeline asks; then what people are told. */
static void
run_steps(struct round *round)
{
    static const enum leat_round_step first[] = {LEAT_STEP_JUDGE,   LEAT_STEP_FINISHED,
                                                 LEAT_STEP_DRAINED, LEAT_STEP_NOTIFY,
                                                 LEAT_STEP_PASS,    LEAT_STEP_READ,
                                                 LEAT_STEP_PASS},
                                      last[] = {LEAT_STEP_LEAVE, LEAT_STEP_READING, LEAT_STEP_COUNT,
                                                LEAT_STEP_STUCK, LEAT_STEP_TELL};

    for (size_t i = 0; i < LEAT_COUNT_OF(first); i++)
        run_step(round, first[i]);
    if (!round->is_cut)
        round->is_cut = leat_manager_serve(round->manager, &round->err) != 0;
    for (size_t i = 0; i < LEAT_COUNT_OF(last); i++)
        run_step(round, last[i]);
}

/* 0, or the database cannot be talked to now. */
static int
run_round(struct round *round)
{
    struct leat_lease_manager *manager = round->manager;

    if (take_flag(manager, &manager->has_died)) {
        leat_manager_lose_all(manager, LEAT_LOSS_WORKER);
        manager->read_version = -1;
    }
    /* Before the database is asked anything: consumers drain whatever it does, and what they let go of is known. */
    leat_manager_leave(manager);
    leat_manager_hear(manager);
    manager->next_drain_us = leat_manager_end_drains(manager, leat_clock_monotonic_us());
    leat_manager_leave(manager);
    round->is_cut = connect_again(manager, &round->err) != 0;
    if (!round->is_cut)
        run_steps(round);
    leat_manager_measure(manager, round->now_us);
    if (!round->is_cut)
        leat_manager_look_for_unserved(manager, round->now_us);
    leat_manager_leave(manager);
    return round->is_cut ? round->err.code : 0;
}

static void
wait_for_round(struct leat_lease_manager *manager, int64_t until_us)
{
    leat_mutex_lock(&manager->lock);
    while (!manager->is_woken && !manager->is_stopping && leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&manager->condition, &manager->lock, until_us);
    manager->is_woken = false;
    leat_mutex_unlock(&manager->lock);
}

static void
manager_main(void *context)
{
    struct leat_lease_manager *manager = context;

    while (!manager->is_stopping) {
        struct round round = {.manager = manager, .now_us = leat_clock_monotonic_us()};
        int64_t wait_us = ROUND_US, until_us;

        if (run_round(&round) != 0) {
            wait_us = leat_backoff_us(&manager->random, RETRY_BASE_US, RETRY_CAP_US,
                                      manager->failures++) +
                      RETRY_BASE_US;
            if (manager->failures >= TELL_AFTER && !leat_manager_is_cut_off(manager))
                leat_manager_trouble(manager, &manager->is_told, &round.err);
        } else {
            manager->failures = 0;
            if (round.err.code != 0 && !leat_manager_is_cut_off(manager))
                leat_manager_trouble(manager, &manager->is_told, &round.err);
            else if (!has_failing_step(manager))
                leat_manager_trouble(manager, &manager->is_told, NULL);
        }
        until_us = leat_clock_monotonic_us() + wait_us;
        if (manager->next_drain_us < until_us)
            until_us = manager->next_drain_us;
        if (manager->failures == 0 && manager->judge_at_us < until_us)
            until_us = manager->judge_at_us;
        wait_for_round(manager, until_us);
    }
}

/* ---- begin and end --------------------------------------------------------------------------- */

static int
check_and_register(struct leat_lease_manager *manager, struct leat_error *err)
{
    int64_t deadline_us = leat_clock_monotonic_us() + manager->options.expiry_us + LEAT_SECOND_US;
    int status = leat_schema_check(manager->connection, "lease", err);

    if (status == 0)
        status = leat_rows_application(manager->connection, &manager->rows, err);
    /* What the fleet knows already: so the others see at once what it runs. */
    if (status == 0)
        status = leat_manager_follow_streams(manager, manager->connection, err);
    if (status == 0)
        status = leat_manager_register(manager, manager->connection, err);
    if (status != 0)
        return status;
    /* An id that is in use may be a worker that died a moment ago: one lease time is waited for it. What it runs is what there is
       when it comes, not what there was when it began to wait. */
    while ((status = leat_heartbeat_register(manager, manager->session, manager->session_key,
                                             err)) == LEAT_E_CONFLICT &&
           leat_clock_monotonic_us() < deadline_us) {
        leat_mutex_lock(&manager->lock);
        leat_condition_wait_until(&manager->stopping, &manager->lock,
                                  leat_clock_monotonic_us() + ROUND_US);
        leat_mutex_unlock(&manager->lock);
        status = leat_manager_follow_streams(manager, manager->connection, err);
        if (status != 0)
            return status;
    }
    /* Again: while no living worker gave a processor its streams, a pass may have taken them away. */
    return status == 0 ? leat_manager_register(manager, manager->connection, err) : status;
}

static void
stop_threads(struct leat_lease_manager *manager)
{
    struct leat_catalog *catalog = leat_streams_options(manager->options.streams)->catalog;

    manager->is_stopping = true;
    if (catalog != NULL)
        catalog->ops->interrupt(catalog);
    leat_mutex_lock(&manager->lock);
    leat_condition_broadcast(&manager->condition);
    leat_condition_broadcast(&manager->stopping);
    leat_mutex_unlock(&manager->lock);
    leat_waker_wake(&manager->heartbeat_waker);
    leat_thread_join(&manager->manager_thread);
    leat_thread_join(&manager->heartbeat_thread);
    leat_thread_join(&manager->sync_thread);
}

int
leat_lease_manager_start(struct leat_lease_manager *manager, struct leat_error *err)
{
    int status = connect_second(manager, err);

    if (status == 0)
        status = leat_heartbeat_connect(manager, &manager->session, &manager->session_key, err);
    if (status == 0)
        status = check_and_register(manager, err);
    if (status != 0) {
        leat_pg_close(manager->session);
        manager->session = NULL;
        return status;
    }
    status = leat_thread_start(&manager->heartbeat_thread, "heartbeat", leat_heartbeat_main,
                               manager, err);
    /* What is wrong here ends the start: who asks, of whom, for what. The heart beats meanwhile, since it may take long. */
    if (status == 0)
        status = leat_discover_at_start(manager, manager->connection, err);
    if (status == 0)
        status = leat_manager_publish(manager, manager->connection, err);
    if (status != 0) {
        struct leat_error ignored;

        stop_threads(manager); /* first: a heart that beats would register again */
        leat_rows_release_all(manager->connection, &manager->rows, manager->incarnation, &ignored);
        return status;
    }
    if (status == 0)
        status = leat_thread_start(&manager->manager_thread, "manager", manager_main, manager, err);
    if (status == 0)
        status = leat_thread_start(&manager->sync_thread, "sync", leat_sync_main, manager, err);
    return status;
}

void
leat_lease_manager_stop(struct leat_lease_manager *manager, int64_t deadline_us)
{
    struct leat_error err;

    if (!manager->manager_thread.is_started)
        return;
    manager->is_leaving = true;
    leat_mutex_lock(&manager->lock);
    manager->is_draining = true;
    manager->drain_deadline_us = deadline_us;
    manager->is_woken = true;
    leat_condition_signal(&manager->condition);
    while (!manager->is_drained && leat_clock_monotonic_us() < deadline_us)
        leat_condition_wait_until(&manager->drained, &manager->lock, deadline_us);
    leat_mutex_unlock(&manager->lock);
    stop_threads(manager);
    /* The threads are gone: the connection is ours. All leases in one update. */
    if (leat_pg_is_broken(manager->connection) ||
        leat_rows_release_all(manager->connection, &manager->rows, manager->incarnation, &err) != 0)
        return; /* they will be seen as dead */
    leat_manager_lose_all(manager, LEAT_LOSS_FENCED);
}

void
leat_lease_manager_free(struct leat_lease_manager *manager)
{
    if (manager == NULL)
        return;
    stop_threads(manager);
    leat_is_unshared();
    leat_requests_free(manager);
    leat_gone_free(manager);
    leat_map_release(&manager->covered, free);
    leat_pg_close(manager->connection);
    leat_doubts_free(manager);
    free(manager->is_missing_told);
    leat_manager_free_held(manager);
    leat_worker_rows_release(&manager->workers);
    leat_worker_rows_release(&manager->neighbours);
    leat_watch_release(&manager->watch);
    leat_lease_rows_release(&manager->leases);
    leat_measure_release(&manager->measure);
    leat_buf_release(&manager->loads);
    leat_buf_release(&manager->said);
    leat_beginnings_release(&manager->beginnings);
    leat_notify_release(&manager->notify);
    leat_processor_rows_release(&manager->processors);
    free(manager->states);
    free(manager->is_unasked);
    leat_map_release(&manager->latest, free);
    leat_map_release(&manager->ended_open, NULL);
    leat_map_release(&manager->odd_told, free);
    leat_map_release(&manager->lists_failed, NULL);
    leat_map_release(&manager->refused_told, free);
    free(manager->stuck);
    if (manager->heartbeat_waker.fd >= 0)
        leat_waker_release(&manager->heartbeat_waker);
    leat_condition_release(&manager->condition);
    leat_condition_release(&manager->drained);
    leat_condition_release(&manager->stopping);
    leat_mutex_release(&manager->lock);
    free(manager->database_url);
    free(manager->application);
    free(manager->worker_id);
    free(manager);
}

int64_t
leat_lease_manager_incarnation(const struct leat_lease_manager *manager)
{
    return manager->incarnation;
}

bool
leat_lease_manager_is_valid(const struct leat_lease_manager *manager)
{
    return leat_clock_boot_us() < manager->valid_until_us;
}

bool
leat_lease_manager_all_ended(struct leat_lease_manager *manager)
{
    return manager->all_ended;
}

void
leat_lease_manager_counts(struct leat_lease_manager *manager, struct leat_lease_counts *ret_counts)
{
    leat_mutex_lock(&manager->lock);
    *ret_counts = manager->counts;
    leat_mutex_unlock(&manager->lock);
}
