/*
 * A worker may die or stop by a test point of its own at any moment: its end is always learnt from waitpid, never assumed. A frozen
 * one is thawed by whoever is first: its time, or the end of the storm.
 */
#include "chaos/workers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define LOOK_US 5000
#define END_US (90 * LEAT_SECOND_US) /* for a SIGTERM, with databases that come and go */

/* ---- starts ---------------------------------------------------------------------------------------- */

static void
arm(struct chaos_workers *workers, const struct chaos_start *start)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    char text[120];

    unsetenv("LEAT_POINTS");
    if (workers->is_quiet || start->deed == CHAOS_DEED_NONE)
        return;
    if (start->deed == CHAOS_DEED_PAUSE)
        snprintf(text, sizeof text, "%s=pause:%lldms@%u", chaos_points[start->point],
                 (long long)(start->frozen_us / 1000), start->nth);
    else
        snprintf(text, sizeof text, "%s=%s@%u", chaos_points[start->point],
                 start->deed == CHAOS_DEED_CRASH ? "crash" : "stop", start->nth);
    leat_buf_printf(&log, "%s/points.log", workers->world->fleet.directory);
    setenv("LEAT_POINTS", text, 1);
    setenv("LEAT_POINTS_LOG", leat_buf_text(&log), 1);
    workers->armed[start->point]++;
}

static void
plan_next(struct chaos_workers *workers, unsigned slot)
{
    struct chaos_worker *worker = &workers->slots[slot];

    worker->generation++;
    chaos_start_plan(workers->seed, slot, worker->generation, chaos_point_count,
                     workers->world->expiry_us, &worker->start);
}

/* The plan is made when the one before has ended: it says how long the slot stays empty. */
static void
start_worker(struct chaos_workers *workers, unsigned slot)
{
    struct chaos_worker *worker = &workers->slots[slot];
    struct test_worker process;
    char id[32];

    if (worker->start.has_old_id)
        snprintf(id, sizeof id, "w%u", slot);
    else
        snprintf(id, sizeof id, "w%u-%u", slot, worker->generation);
    arm(workers, &worker->start);
    process = test_fleet_spawn(&workers->world->fleet, id, NULL);
    unsetenv("LEAT_POINTS");
    workers->starts++;
    leat_mutex_lock(&workers->lock);
    worker->process = process;
    worker->is_frozen = worker->is_ending = false;
    worker->thaws_at_us = worker->starts_at_us = worker->told_to_end_at_us = 0;
    leat_mutex_unlock(&workers->lock);
}

void
chaos_workers_start(struct chaos_workers *workers, struct chaos_world *world, unsigned wanted,
                    uint64_t seed)
{
    leat_is_unshared();
    *workers = (struct chaos_workers){.world = world, .seed = seed, .wanted = wanted};
    leat_mutex_init(&workers->lock);
    for (unsigned slot = 0; slot < CHAOS_SLOTS; slot++)
        plan_next(workers, slot);
    for (unsigned slot = 0; slot < wanted; slot++)
        start_worker(workers, slot);
}

/* ---- ends ------------------------------------------------------------------------------------------ */

static void
note_trouble(struct chaos_workers *workers, const struct chaos_worker *worker, const char *what,
             int number)
{
    if (workers->trouble[0] == '\0')
        snprintf(workers->trouble, sizeof workers->trouble, "worker %s (%s): %s %d",
                 worker->process.id, worker->process.log, what, number);
}

/* An exit code: fine after SIGTERM when it is 0, and at a start that found the databases away too long, or its name in use. */
static void
judge_end(struct chaos_workers *workers, const struct chaos_worker *worker, int status)
{
    if (WIFSIGNALED(status)) {
        /* SIGTERM before it could block it is an end as good as any. */
        if (WTERMSIG(status) != SIGKILL && !(WTERMSIG(status) == SIGTERM && worker->is_ending))
            note_trouble(workers, worker, "died of signal", WTERMSIG(status));
        return;
    }
    if (WEXITSTATUS(status) == 0 && worker->is_ending)
        return;
    workers->ends_unasked++;
    if (WEXITSTATUS(status) == 0)
        note_trouble(workers, worker, "ended unasked with code", 0);
    else if (WEXITSTATUS(status) != 3)
        note_trouble(workers, worker, "ended with code", WEXITSTATUS(status));
}

static void
see_end(struct chaos_workers *workers, unsigned slot, int status, int64_t now_us)
{
    struct chaos_worker *worker = &workers->slots[slot];

    judge_end(workers, worker, status);
    plan_next(workers, slot);
    leat_mutex_lock(&workers->lock);
    worker->process.pid = 0;
    worker->is_frozen = worker->is_ending = false;
    worker->thaws_at_us = worker->leaves_at_us = worker->told_to_end_at_us = 0;
    worker->starts_at_us = slot < workers->wanted ? now_us + worker->start.after_us : 0;
    leat_mutex_unlock(&workers->lock);
}

static void
set_frozen(struct chaos_workers *workers, struct chaos_worker *worker, int64_t thaws_at_us)
{
    leat_mutex_lock(&workers->lock);
    worker->is_frozen = thaws_at_us != 0;
    worker->thaws_at_us = thaws_at_us;
    leat_mutex_unlock(&workers->lock);
}

static void
look_at(struct chaos_workers *workers, unsigned slot, int64_t now_us)
{
    struct chaos_worker *worker = &workers->slots[slot];
    int status;

    if (worker->process.pid == 0 ||
        waitpid(worker->process.pid, &status, WNOHANG | WUNTRACED) != worker->process.pid)
        return;
    if (!WIFSTOPPED(status))
        see_end(workers, slot, status, now_us);
    else if (!worker->is_frozen) /* by its own point */
        set_frozen(workers, worker, now_us + worker->start.frozen_us);
}

static void
terminate(struct chaos_workers *workers, struct chaos_worker *worker)
{
    leat_mutex_lock(&workers->lock);
    worker->is_ending = true;
    worker->told_to_end_at_us = leat_clock_monotonic_us();
    worker->leaves_at_us = 0;
    leat_mutex_unlock(&workers->lock);
    test_worker_kill(&worker->process, SIGTERM);
}

static void
do_what_is_due(struct chaos_workers *workers, unsigned slot, int64_t now_us)
{
    struct chaos_worker *worker = &workers->slots[slot];

    if (worker->process.pid == 0) {
        if (worker->starts_at_us != 0 && now_us >= worker->starts_at_us)
            start_worker(workers, slot);
        return;
    }
    if (worker->is_frozen && now_us >= worker->thaws_at_us) {
        set_frozen(workers, worker, 0);
        test_worker_kill(&worker->process, SIGCONT);
    }
    if (worker->leaves_at_us != 0 && now_us >= worker->leaves_at_us)
        terminate(workers, worker);
    if (worker->is_ending && !worker->is_frozen && now_us > worker->told_to_end_at_us + END_US) {
        note_trouble(workers, worker,
                     "did not end after SIGTERM; seconds:", (int)(END_US / LEAT_SECOND_US));
        test_worker_kill(&worker->process, SIGKILL);
    }
}

void
chaos_workers_settle(struct chaos_workers *workers, int64_t now_us)
{
    for (unsigned slot = 0; slot < CHAOS_SLOTS; slot++) {
        look_at(workers, slot, now_us);
        do_what_is_due(workers, slot, now_us);
    }
}

/* ---- faults ---------------------------------------------------------------------------------------- */

/* Those with a process; for SIGSTOP and SIGTERM only those that got neither yet. */
static unsigned
find(struct chaos_workers *workers, bool is_fresh, unsigned found[CHAOS_SLOTS])
{
    unsigned count = 0;

    for (unsigned slot = 0; slot < CHAOS_SLOTS; slot++) {
        const struct chaos_worker *worker = &workers->slots[slot];

        if (worker->process.pid != 0 && !(is_fresh && (worker->is_frozen || worker->is_ending)))
            found[count++] = slot;
    }
    return count;
}

static bool
kill_some(struct chaos_workers *workers, const struct chaos_fault *fault, char *what, size_t size)
{
    unsigned found[CHAOS_SLOTS], count = find(workers, false, found);
    unsigned wanted = fault->kind == CHAOS_KILL ? 1 : fault->kind == CHAOS_KILL_TWO ? 2 : count;

    if (count == 0 || count < wanted)
        return false;
    snprintf(what, size, "%u of %u, from slot %u on", wanted, count, found[fault->pick % count]);
    for (unsigned i = 0; i < wanted; i++)
        test_worker_kill(&workers->slots[found[(fault->pick + i) % count]].process, SIGKILL);
    return true;
}

static bool
start_guest(struct chaos_workers *workers, const struct chaos_fault *fault, char *what, size_t size)
{
    for (unsigned slot = workers->wanted; slot < workers->wanted + 2 && slot < CHAOS_SLOTS;
         slot++) {
        bool is_taken;

        leat_mutex_lock(&workers->lock);
        is_taken = workers->slots[slot].process.pid != 0;
        leat_mutex_unlock(&workers->lock);
        if (is_taken)
            continue;
        start_worker(workers, slot);
        leat_mutex_lock(&workers->lock);
        workers->slots[slot].leaves_at_us = leat_clock_monotonic_us() + fault->lasts_us;
        leat_mutex_unlock(&workers->lock);
        snprintf(what, size, "slot %u", slot);
        return true;
    }
    return false;
}

bool
chaos_workers_fault(struct chaos_workers *workers, const struct chaos_fault *fault, char *what,
                    size_t size)
{
    unsigned found[CHAOS_SLOTS], count;
    struct chaos_worker *worker;

    if (fault->kind == CHAOS_START)
        return start_guest(workers, fault, what, size);
    if (fault->kind != CHAOS_TERMINATE && fault->kind != CHAOS_FREEZE && fault->kind != CHAOS_ICE)
        return kill_some(workers, fault, what, size);
    count = find(workers, true, found);
    if (count == 0)
        return false;
    worker = &workers->slots[found[fault->pick % count]];
    snprintf(what, size, "%s", worker->process.id);
    if (fault->kind == CHAOS_TERMINATE) {
        terminate(workers, worker);
        return true;
    }
    set_frozen(workers, worker, leat_clock_monotonic_us() + fault->lasts_us);
    test_worker_kill(&worker->process, SIGSTOP);
    return true;
}

/* ---- the end --------------------------------------------------------------------------------------- */

void
chaos_workers_calm(struct chaos_workers *workers)
{
    workers->is_quiet = true;
    for (unsigned slot = 0; slot < CHAOS_SLOTS; slot++) {
        struct chaos_worker *worker = &workers->slots[slot];

        leat_mutex_lock(&workers->lock);
        if (worker->is_frozen)
            worker->thaws_at_us = 1;
        if (worker->starts_at_us != 0)
            worker->starts_at_us = 1;
        if (worker->leaves_at_us != 0)
            worker->leaves_at_us = 1;
        leat_mutex_unlock(&workers->lock);
    }
    chaos_workers_settle(workers, leat_clock_monotonic_us());
}

bool
chaos_workers_end(struct chaos_workers *workers, int64_t within_us)
{
    int64_t deadline_us = leat_clock_monotonic_us() + within_us;
    unsigned found[CHAOS_SLOTS], count;

    workers->wanted = 0; /* nobody comes back */
    for (unsigned slot = 0; slot < CHAOS_SLOTS; slot++) {
        leat_mutex_lock(&workers->lock);
        workers->slots[slot].starts_at_us = 0;
        leat_mutex_unlock(&workers->lock);
        if (workers->slots[slot].process.pid != 0 && !workers->slots[slot].is_ending)
            terminate(workers, &workers->slots[slot]);
    }
    while ((count = find(workers, false, found)) > 0 && leat_clock_monotonic_us() < deadline_us) {
        chaos_workers_settle(workers, leat_clock_monotonic_us());
        usleep(LOOK_US);
    }
    for (unsigned i = 0; i < count; i++)
        note_trouble(workers, &workers->slots[found[i]],
                     "did not end; seconds:", (int)(within_us / LEAT_SECOND_US));
    return count == 0;
}

size_t
chaos_workers_look(struct chaos_workers *workers, struct chaos_living living[CHAOS_SLOTS])
{
    size_t count = 0;

    leat_mutex_lock(&workers->lock);
    for (unsigned slot = 0; slot < CHAOS_SLOTS; slot++) {
        const struct chaos_worker *worker = &workers->slots[slot];

        if (worker->process.pid == 0 || worker->is_frozen)
            continue;
        living[count++] = (struct chaos_living){
            .pid = worker->process.pid,
            .is_able = !worker->is_ending && worker->start.deed != CHAOS_DEED_PAUSE,
        };
    }
    leat_mutex_unlock(&workers->lock);
    return count;
}

void
chaos_workers_fired(const struct chaos_workers *workers, unsigned fired[CHAOS_POINTS])
{
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    char line[128];
    FILE *in;

    memset(fired, 0, CHAOS_POINTS * sizeof fired[0]);
    leat_buf_printf(&path, "%s/points.log", workers->world->fleet.directory);
    in = fopen(leat_buf_text(&path), "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        size_t size = strcspn(line, " ");

        for (size_t i = 0; i < chaos_point_count; i++)
            fired[i] += strlen(chaos_points[i]) == size && memcmp(chaos_points[i], line, size) == 0;
    }
    if (in != NULL)
        fclose(in);
}
