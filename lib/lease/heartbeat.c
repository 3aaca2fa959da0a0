/*
 * The heartbeat: one row, once a second, on a connection of its own that waits for nothing else; the session lock that tells
 * others at once when this process is gone; and LISTEN.
 *
 * Stories. (1) The connection breaks: a new session lock on a new key first, then the renewal that names it; until then
 * the worker lives by its expiry. (2) Declared dead (frozen too long, cut off): every lease is dropped, and the worker comes
 * back as a new incarnation. (3) The lease database is away: nothing is dropped; fences guard the transactional targets, local
 * validity (CLOCK_BOOTTIME, from before the send, minus a tenth) the others.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"

#define RECONNECT_BASE_US (100 * LEAT_MS_US)
#define RECONNECT_CAP_US (2 * LEAT_SECOND_US)
#define CONNECT_LEAST_US (1 * LEAT_SECOND_US)

struct beating {
    struct leat_lease_manager *manager;
    struct leat_pg_connection *connection;
    struct leat_random random;
    struct leat_publishing publishing;
    int64_t session_key, next_us;
    unsigned failures;
    bool is_told;         /* of the outage */
    bool is_drained_told; /* that an operator drains this worker */
};

static int
take_session_lock(struct leat_pg_connection *connection, int64_t key, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_int8(&parameters, key);
    return leat_pg_execute(connection, "SELECT pg_advisory_lock($1)", &parameters, NULL, err);
}

static void
say_pooled(struct leat_lease_manager *manager)
{
    if (manager->has_said_pooled)
        return;
    manager->has_said_pooled = true;
    manager->notify.is_wanted = false; /* who shares our pooler does not hear it */
    if (manager->options.events.pooled != NULL)
        manager->options.events.pooled(manager->options.events.context);
}

/* When the database is back, the first one there may judge after a lease time: by then the last one must be there, too, also when
   it had just begun to wait (a quarter) and had just begun to connect (another one). */
static int64_t
connect_timeout_us(const struct leat_lease_manager *manager)
{
    int64_t quarter_us = manager->options.expiry_us / 4;

    return quarter_us > CONNECT_LEAST_US ? quarter_us : CONNECT_LEAST_US;
}

static int64_t
reconnect_cap_us(const struct leat_lease_manager *manager)
{
    int64_t quarter_us = manager->options.expiry_us / 4;

    return quarter_us < RECONNECT_CAP_US ? quarter_us : RECONNECT_CAP_US;
}

int
leat_heartbeat_connect(struct leat_lease_manager *manager,
                       struct leat_pg_connection **ret_connection, int64_t *ret_session_key,
                       struct leat_error *err)
{
    struct leat_pg_options options =
        leat_manager_pg_options(manager, "leat session", LEAT_LEASE_SETTINGS);
    struct leat_pg_connection *connection;
    int64_t key = 0;
    int status;

    options.connect_timeout_us = connect_timeout_us(manager);
    options.answer_timeout_us = manager->options.expiry_us;
    status = leat_pg_connect(&options, &connection, err);
    if (status != 0)
        return status;
    if (connection->is_pooled)
        say_pooled(manager);
    /* Behind a pooler neither a session's lock nor its LISTEN is ours: expiry alone. */
    if (manager->options.use_session_lock && !connection->is_pooled) {
        key = leat_random_identity();
        status = take_session_lock(connection, key, err);
    }
    if (status == 0 && manager->options.use_notify && !connection->is_pooled)
        status = leat_pg_script(connection, "LISTEN leat", err);
    if (status != 0) {
        leat_pg_close(connection);
        return status;
    }
    *ret_connection = connection;
    *ret_session_key = key;
    return 0;
}

int
leat_heartbeat_register(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                        int64_t session_key, struct leat_error *err)
{
    LEAT_AUTO_BUF runs = LEAT_BUF_INIT;
    struct leat_registration registration = {
        .incarnation = leat_random_identity(),
        .session_key = session_key,
        .host = manager->host,
        .build = LEAT_VERSION,
        .pid = (int)getpid(),
        .weight = manager->options.weight > 0 ? manager->options.weight : 1,
        .max_leases = manager->options.max_leases,
        .is_return = manager->incarnation != 0,
    };
    struct leat_namesake *namesake = &manager->namesake;
    int64_t sent_us = leat_clock_boot_us();
    int status;

    leat_manager_runs(manager, &runs);
    registration.runs = leat_buf_text(&runs);
    if (namesake->since_us != 0 && sent_us - namesake->since_us >= manager->options.expiry_us)
        registration.heartbeat_us = namesake->heartbeat_us;
    status = leat_rows_register(connection, &manager->rows, &registration, err);
    if (status == LEAT_E_CONFLICT &&
        (namesake->since_us == 0 || namesake->heartbeat_us != registration.heartbeat_us))
        *namesake = (struct leat_namesake){registration.heartbeat_us, leat_clock_boot_us()};
    if (status != 0)
        return status;
    *namesake = (struct leat_namesake){0};
    LEAT_POINT("lease.registered");
    leat_manager_forget_said(manager);
    manager->incarnation = registration.incarnation;
    manager->valid_until_us = sent_us + manager->options.expiry_us * 9 / 10;
    manager->options.events.incarnation(manager->options.events.context, registration.incarnation);
    return 0;
}

static void
note_health(struct leat_lease_manager *manager, bool is_well)
{
    int64_t now_us = leat_clock_monotonic_us();

    leat_mutex_lock(&manager->lock);
    if (is_well) {
        leat_health_answered(&manager->health, manager->options.expiry_us, leat_clock_boot_us());
        manager->counts.last_heartbeat_us = now_us;
        manager->counts.heartbeats++;
    } else {
        leat_health_broke(&manager->health);
        manager->counts.heartbeat_failures++;
    }
    leat_mutex_unlock(&manager->lock);
}

static void
lose_connection(struct beating *beating, struct leat_error *err)
{
    struct leat_lease_manager *manager = beating->manager;

    leat_pg_close(beating->connection);
    beating->connection = NULL;
    note_health(manager, false);
    manager->beat_failed_us = leat_clock_monotonic_us();
    if (beating->failures == 2) {
        leat_error_prefix(err, "could not renew worker \"%s\"", manager->worker_id);
        leat_manager_trouble(manager, &beating->is_told, err);
    }
    beating->next_us = leat_clock_monotonic_us() +
                       leat_backoff_us(&beating->random, RECONNECT_BASE_US,
                                       reconnect_cap_us(manager), beating->failures++);
}

static void
say_declared_dead(struct beating *beating)
{
    struct leat_lease_manager *manager = beating->manager;
    struct leat_error why;
    int64_t last_us;

    leat_mutex_lock(&manager->lock);
    last_us = manager->health.answered_us;
    leat_mutex_unlock(&manager->lock);
    leat_error_set(&why, LEAT_E_FENCED,
                   "worker \"%s\" was declared dead: its last heartbeat was %.1f s ago "
                   "(leases.expiry is %.1f s), so it was frozen, overloaded or cut off from the "
                   "lease database, or that lost its last commits; its shards run elsewhere, "
                   "nothing that it had not committed "
                   "counts, and it comes back as a new incarnation",
                   manager->worker_id, (double)(leat_clock_boot_us() - last_us) / 1e6,
                   (double)manager->options.expiry_us / 1e6);
    beating->is_told = false; /* an outage may have been told before */
    leat_manager_trouble(manager, &beating->is_told, &why);
}

/* Of a database that lost its last commits processors and the application may be gone, too. */
static int
register_all(struct beating *beating, struct leat_error *err)
{
    struct leat_lease_manager *manager = beating->manager;
    int status = leat_rows_application(beating->connection, &manager->rows, err);

    /* It was away: what it says that it runs is what there is now. A stream that cannot be opened is the sync thread's to tell. */
    if (status == 0 && leat_manager_follow_streams(manager, beating->connection, err) != 0)
        status = leat_pg_script(beating->connection, "ROLLBACK", err);
    /* One that was retired meanwhile is refused, and no reason to stay away: its consumers rest. */
    if (status == 0 && leat_manager_register(manager, beating->connection, err) != 0)
        status = leat_pg_script(beating->connection, "ROLLBACK", err);
    if (status == 0)
        status = leat_heartbeat_register(manager, beating->connection, beating->session_key, err);
    if (status == 0)
        leat_manager_sync_soon(manager);
    return status;
}

/* Declared dead: the manager drops everything; we come back under a new incarnation. */
static int
come_back(struct beating *beating, struct leat_error *err)
{
    struct leat_lease_manager *manager = beating->manager;

    leat_mutex_lock(&manager->lock);
    manager->has_died = true;
    leat_health_broke(&manager->health);
    leat_mutex_unlock(&manager->lock);
    manager->valid_until_us = 0;
    leat_manager_wake(manager);
    if (manager->is_leaving)
        return 0;
    say_declared_dead(beating);
    return register_all(beating, err);
}

static void
note_drained(struct beating *beating, bool is_drained)
{
    struct leat_error why;

    if (is_drained)
        leat_error_set(&why, LEAT_E_CANCELLED,
                       "an operator drains worker \"%s\" (leat workers drain): it hands its leases "
                       "over and gets none until it is started again, or leat workers drain %s "
                       "--undo",
                       beating->manager->worker_id, beating->manager->worker_id);
    if (!beating->manager->is_leaving)
        leat_manager_trouble(beating->manager, &beating->is_drained_told, is_drained ? &why : NULL);
}

static int
renew(struct beating *beating, int64_t session_key, struct leat_error *err)
{
    struct leat_lease_manager *manager = beating->manager;
    int64_t sent_us = leat_clock_boot_us();
    struct leat_heartbeat_answer answer = {.version = manager->version};
    LEAT_AUTO_BUF loads = LEAT_BUF_INIT;
    bool has_loads =
        leat_manager_has_loads(manager, &beating->publishing, leat_clock_monotonic_us(), &loads);
    int status;

    LEAT_POINT("lease.heartbeat");
    status = leat_rows_heartbeat(beating->connection, &manager->rows, manager->incarnation,
                                 session_key, has_loads ? &loads : NULL, &answer, err);
    if (status != 0)
        return status;
    if (answer.is_dead)
        return come_back(beating, err);
    if (has_loads)
        leat_manager_loads_told(&beating->publishing, leat_clock_monotonic_us());
    manager->valid_until_us = sent_us + manager->options.expiry_us * 9 / 10;
    note_health(manager, true);
    note_drained(beating, answer.is_drained);
    if (answer.version == manager->version && answer.report_wanted_us == manager->report_wanted_us)
        return 0;
    manager->version = answer.version;
    manager->report_wanted_us = answer.report_wanted_us;
    leat_manager_wake(manager);
    return 0;
}

static void
beat(struct beating *beating)
{
    struct leat_lease_manager *manager = beating->manager;
    struct leat_error err = {0};
    bool is_new = beating->connection == NULL;
    int status = 0;

    /* A lock of a session that is gone would call us dead: the new key, or that there is none, goes with the renewal. */
    if (is_new)
        status = leat_heartbeat_connect(manager, &beating->connection, &beating->session_key, &err);
    if (status == 0)
        status = renew(beating, is_new ? beating->session_key : LEAT_ROWS_SAME_SESSION, &err);
    if (status != 0) {
        lose_connection(beating, &err);
        return;
    }
    leat_manager_trouble(manager, &beating->is_told, NULL);
    beating->failures = 0;
    beating->next_us = leat_clock_monotonic_us() + manager->options.heartbeat_us;
}

/* NOTIFY only makes it sooner: ours are read with the next renewal, which comes at once. */
static void
listen(struct beating *beating)
{
    PGnotify *notify;
    bool is_ours = false;

    if (beating->connection == NULL)
        return;
    if (PQconsumeInput(beating->connection->conn) == 0) {
        beating->next_us = 0;
        return;
    }
    while ((notify = PQnotifies(beating->connection->conn)) != NULL) {
        is_ours = is_ours || strcmp(notify->extra, beating->manager->application) == 0;
        /* Somebody looks: what he asks comes with the renewal. */
        if (notify->extra[0] == '?' &&
            strcmp(notify->extra + 1, beating->manager->application) == 0)
            beating->next_us = 0;
        PQfreemem(notify);
    }
    if (is_ours)
        beating->manager->version = -1; /* whatever it is: read */
    if (is_ours)
        leat_manager_wake(beating->manager);
}

static void
wait_for_next(struct beating *beating)
{
    int64_t left_us = beating->next_us - leat_clock_monotonic_us();
    struct pollfd descriptors[2] = {
        {.fd = beating->manager->heartbeat_waker.fd, .events = POLLIN},
        {.fd = beating->connection != NULL ? PQsocket(beating->connection->conn) : -1,
         .events = POLLIN},
    };

    if (left_us <= 0)
        return;
    if (poll(descriptors, 2, (int)(left_us / 1000) + 1) <= 0)
        return;
    if (descriptors[0].revents != 0)
        leat_waker_drain(&beating->manager->heartbeat_waker);
    if (descriptors[1].revents != 0)
        listen(beating);
}

void
leat_heartbeat_main(void *context)
{
    struct leat_lease_manager *manager = context;
    struct beating beating = {
        .manager = manager, .connection = manager->session, .session_key = manager->session_key};

    leat_random_seed(&beating.random, (uint64_t)leat_random_identity());
    while (!manager->is_stopping) {
        if (leat_clock_monotonic_us() >= beating.next_us)
            beat(&beating);
        wait_for_next(&beating);
    }
    leat_pg_close(beating.connection);
}
