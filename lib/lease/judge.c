/*
 * Judging: every 250 ms the next three of the ring are read by primary key, in one statement; the ring itself only when
 * something moved, or each ten seconds. Whom to read and whom to call dead is watch.c's; here is the talking to the database.
 * Who declares a death claims the pass at once, since the dead one may have held it.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"

#define JUDGE_US (250 * LEAT_MS_US)

static struct leat_sighting
sighting_from(const struct leat_worker_row *row)
{
    return (struct leat_sighting){
        .worker_id = row->worker.worker_id,
        .incarnation = row->worker.incarnation,
        .heartbeat_us = row->heartbeat_us,
        .can_be_dead = row->is_expired || row->session_key != 0,
        .lease_us = row->lease_us,
    };
}

static void
count_living(struct leat_lease_manager *manager)
{
    manager->notify.workers = manager->watch.count;
    leat_mutex_lock(&manager->lock);
    manager->counts.workers_alive = manager->watch.count;
    leat_mutex_unlock(&manager->lock);
}

static int
read_ring(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_sighting *living;
    int status;

    status = leat_rows_workers(manager->connection, &manager->rows, &manager->workers, err);
    if (status != 0)
        return status;
    living = LEAT_NEW_ARRAY(struct leat_sighting, manager->workers.count);
    for (size_t i = 0; i < manager->workers.count; i++)
        living[i] = sighting_from(&manager->workers.rows[i]);
    leat_watch_ring(&manager->watch, living, manager->workers.count, manager->version,
                    leat_clock_boot_us());
    free(living);
    count_living(manager);
    return 0;
}

/*
 * Where nobody is notified (off, or behind a pooler) this is how others' moves are seen within a quarter of a second instead of
 * with the next renewal. Only forwards: the renewal, which may have read a later one, is another thread's, and the only one that
 * believes in a version that went back. -1 (read whatever it is) stays.
 */
static void
hear_version(struct leat_lease_manager *manager, int64_t version)
{
    int64_t known = manager->version;

    if (manager->watch.count <= LEAT_NOTIFY_WORKERS && known >= 0 && version > known)
        atomic_compare_exchange_strong(&manager->version, &known, version);
}

static int
read_next(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_slice ids[LEAT_WATCH_NEIGHBOURS];
    struct leat_sighting seen[LEAT_WATCH_NEIGHBOURS];
    size_t count = leat_watch_next(&manager->watch, manager->incarnation, ids);
    int status;

    if (count == 0)
        return 0;
    status = leat_rows_neighbours(manager->connection, &manager->rows, ids, count,
                                  &manager->neighbours, err);
    if (status != 0)
        return status;
    LEAT_ASSERT(manager->neighbours.count <= count);
    for (size_t i = 0; i < manager->neighbours.count; i++)
        seen[i] = sighting_from(&manager->neighbours.rows[i]);
    hear_version(manager, manager->neighbours.version);
    leat_watch_see(&manager->watch, manager->incarnation, seen, manager->neighbours.count,
                   leat_clock_boot_us());
    count_living(manager);
    return 0;
}

static void
note_death(struct leat_lease_manager *manager, int64_t incarnation)
{
    leat_watch_died(&manager->watch, incarnation);
    leat_mutex_lock(&manager->lock);
    manager->counts.deaths_judged++;
    leat_mutex_unlock(&manager->lock);
    manager->pass_at_us = 0;
    manager->pass_version = -1;
}

static struct leat_judge
ourselves(struct leat_lease_manager *manager)
{
    struct leat_judge judge = {.own = manager->incarnation,
                               .heartbeat_us = manager->options.heartbeat_us,
                               .expiry_us = manager->options.expiry_us};

    leat_mutex_lock(&manager->lock);
    judge.health = manager->health;
    leat_mutex_unlock(&manager->lock);
    return judge;
}

static int
judge_silent(struct leat_lease_manager *manager, size_t *ret_deaths, struct leat_error *err)
{
    struct leat_judge judge = ourselves(manager);
    struct leat_sighting silent[LEAT_WATCH_NEIGHBOURS];
    size_t count;
    int status = 0;

    count = leat_watch_silent(&manager->watch, &judge, leat_clock_boot_us(), silent);
    *ret_deaths = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        bool died = false;

        status = leat_rows_judge(manager->connection, &manager->rows, &silent[i], &died, err);
        if (status != 0 || !died)
            continue;
        note_death(manager, silent[i].incarnation);
        ++*ret_deaths;
    }
    return status;
}

/* In JUDGE_US, or when a silence that has begun will be long enough: not up to a quarter of a second later. */
static int64_t
next_look_us(struct leat_lease_manager *manager, int64_t now_us)
{
    struct leat_judge judge = ourselves(manager);
    int64_t boot_us = leat_clock_boot_us();
    int64_t silent_at_us = leat_watch_silent_at(&manager->watch, &judge, boot_us);

    return silent_at_us - boot_us < JUDGE_US ? now_us + (silent_at_us - boot_us)
                                             : now_us + JUDGE_US;
}

int
leat_manager_judge(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err)
{
    size_t deaths = 0;
    int status;

    if (now_us < manager->judge_at_us)
        return 0;
    manager->judge_at_us = now_us + JUDGE_US;
    if (leat_watch_is_due(&manager->watch, manager->version, leat_clock_boot_us()))
        status = read_ring(manager, err);
    else
        status = read_next(manager, err);
    if (status == 0)
        status = judge_silent(manager, &deaths, err);
    /* The next ones move up: seen now, not a quarter of a second later, and judged if they were silent for long, too. */
    while (status == 0 && deaths > 0) {
        status = read_ring(manager, err);
        if (status == 0)
            status = judge_silent(manager, &deaths, err);
    }
    if (status == 0)
        manager->judge_at_us = next_look_us(manager, leat_clock_monotonic_us());
    return status;
}
