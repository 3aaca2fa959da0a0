/*
 * A sample that comes late makes a time too long, never too short: the bound has room for a busy machine. A sample in which the
 * database does not answer forgets who was able: they have to be seen again.
 */
#include "chaos/orphans.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define SAMPLE_US (100 * LEAT_MS_US)

int64_t
chaos_orphan_for(int64_t now_us, int64_t orphan_since_us, int64_t able_since_us,
                 int64_t database_since_us)
{
    int64_t since_us = orphan_since_us;

    if (orphan_since_us == 0 || able_since_us == 0 || database_since_us == 0)
        return 0;
    if (since_us < able_since_us)
        since_us = able_since_us;
    if (since_us < database_since_us)
        since_us = database_since_us;
    return now_us > since_us ? now_us - since_us : 0;
}

/* ---- who is able ----------------------------------------------------------------------------------- */

static void
meet_worker(struct chaos_orphans *orphans, pid_t pid, int64_t incarnation, int64_t now_us)
{
    size_t free_place = CHAOS_SLOTS;

    for (size_t i = 0; i < CHAOS_SLOTS; i++) {
        if (orphans->able[i].pid == pid && orphans->able[i].incarnation == incarnation) {
            orphans->able[i].is_seen = true;
            return;
        }
        if (orphans->able[i].pid == 0)
            free_place = i;
    }
    if (free_place == CHAOS_SLOTS)
        return;
    orphans->able[free_place].pid = pid;
    orphans->able[free_place].incarnation = incarnation;
    orphans->able[free_place].since_us = now_us;
    orphans->able[free_place].is_seen = true;
}

/* Registered and alive in the table, running, and nothing keeps it from working. Returns since when the first one is; 0: none. */
static int64_t
able_since(struct chaos_orphans *orphans, const PGresult *workers,
           const struct chaos_living *living, size_t living_count, int64_t now_us)
{
    int64_t since_us = 0;

    for (size_t i = 0; i < CHAOS_SLOTS; i++)
        orphans->able[i].is_seen = false;
    for (int row = 0; row < PQntuples(workers); row++) {
        pid_t pid = (pid_t)strtol(PQgetvalue(workers, row, 0), NULL, 10);

        for (size_t i = 0; i < living_count; i++) {
            if (living[i].pid == pid && living[i].is_able)
                meet_worker(orphans, pid, strtoll(PQgetvalue(workers, row, 1), NULL, 10), now_us);
        }
    }
    for (size_t i = 0; i < CHAOS_SLOTS; i++) {
        if (!orphans->able[i].is_seen)
            orphans->able[i].pid = 0;
        else if (since_us == 0 || orphans->able[i].since_us < since_us)
            since_us = orphans->able[i].since_us;
    }
    return since_us;
}

/* ---- leases ---------------------------------------------------------------------------------------- */

static struct chaos_orphan_lease *
find_lease(struct chaos_orphans *orphans, const char *shard)
{
    struct chaos_orphan_lease *lease;

    for (size_t i = 0; i < orphans->lease_count; i++) {
        if (strcmp(orphans->leases[i].shard, shard) == 0)
            return &orphans->leases[i];
    }
    if (orphans->lease_count == CHAOS_ORPHAN_LEASES)
        return NULL;
    lease = &orphans->leases[orphans->lease_count++];
    *lease = (struct chaos_orphan_lease){0};
    snprintf(lease->shard, sizeof lease->shard, "%.23s", shard);
    return lease;
}

static bool
is_living(const struct chaos_living *living, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (living[i].pid == pid)
            return true;
    }
    return false;
}

static void
note(struct chaos_orphans *orphans, const struct chaos_orphan_lease *lease, int64_t for_us,
     const char *owner)
{
    if (for_us <= orphans->longest_us)
        return;
    orphans->longest_us = for_us;
    snprintf(orphans->longest_what, sizeof orphans->longest_what, "%s, owner pid %.12s, at %lld s",
             lease->shard, *owner != '\0' ? owner : "none",
             (long long)(leat_clock_monotonic_us() / LEAT_SECOND_US));
}

static void
sample(struct chaos_orphans *orphans, PGresult *leases, PGresult *workers)
{
    int64_t now_us = leat_clock_monotonic_us(), able_since_us;
    int64_t database_since_us = orphans->world->databases[CHAOS_LEASES].well_since_us;
    struct chaos_living living[CHAOS_SLOTS];
    size_t living_count = chaos_workers_look(orphans->workers, living);

    able_since_us = able_since(orphans, workers, living, living_count, now_us);
    for (size_t i = 0; i < orphans->lease_count; i++)
        orphans->leases[i].is_seen = false;
    for (int row = 0; row < PQntuples(leases); row++) {
        const char *owner = PQgetvalue(leases, row, 1);
        struct chaos_orphan_lease *lease = find_lease(orphans, PQgetvalue(leases, row, 0));

        if (lease == NULL)
            continue;
        lease->is_seen = true;
        if (*owner != '\0' && is_living(living, living_count, (pid_t)strtol(owner, NULL, 10)))
            lease->since_us = 0;
        else if (lease->since_us == 0)
            lease->since_us = now_us;
        note(orphans, lease,
             chaos_orphan_for(now_us, lease->since_us, able_since_us, database_since_us), owner);
    }
    for (size_t i = 0; i < orphans->lease_count; i++) {
        if (!orphans->leases[i].is_seen)
            orphans->leases[i].since_us = 0; /* ended */
    }
    orphans->samples++;
}

/* false: the connection is no good. */
static bool
ask(struct chaos_orphans *orphans, struct leat_pg_connection *connection)
{
    PGresult *leases = PQexec(connection->conn,
                              "SELECT l.shard, w.pid FROM leat.leases l LEFT JOIN leat.workers w "
                              "ON w.application = l.application AND w.incarnation = "
                              "l.lease_owner WHERE l.state = 'active'");
    PGresult *workers =
        PQexec(connection->conn, "SELECT pid, incarnation FROM leat.workers WHERE state = 'alive'");
    bool is_good = PQresultStatus(leases) == PGRES_TUPLES_OK &&
                   PQresultStatus(workers) == PGRES_TUPLES_OK;

    if (is_good)
        sample(orphans, leases, workers);
    PQclear(leases);
    PQclear(workers);
    return is_good;
}

static void
run(void *context)
{
    struct chaos_orphans *orphans = context;
    struct leat_pg_connection *connection = NULL;

    while (!orphans->is_stopping) {
        if (connection == NULL)
            connection = chaos_connect(&orphans->world->databases[CHAOS_LEASES]);
        if (connection == NULL || !ask(orphans, connection)) {
            leat_pg_close(connection);
            connection = NULL;
            for (size_t i = 0; i < CHAOS_SLOTS; i++)
                orphans->able[i].pid = 0;
        }
        usleep(SAMPLE_US);
    }
    leat_pg_close(connection);
}

void
chaos_orphans_start(struct chaos_orphans *orphans)
{
    struct leat_error err;

    if (leat_thread_start(&orphans->thread, "orphans", run, orphans, &err) != 0) {
        fprintf(stderr, "chaos: %s\n", err.text);
        exit(1);
    }
}

void
chaos_orphans_stop(struct chaos_orphans *orphans)
{
    orphans->is_stopping = true;
    leat_thread_join(&orphans->thread);
}
