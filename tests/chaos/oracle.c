#include "chaos/oracle.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define LOOK_US (20 * LEAT_MS_US)
#define STUCK_US (60 * LEAT_SECOND_US)
#define PROCESSORS 2

static int64_t
number(struct leat_pg_connection *connection, const char *sql)
{
    PGresult *result = connection != NULL ? PQexec(connection->conn, sql) : NULL;
    int64_t number = -1;

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
        number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    else if (result != NULL)
        fprintf(stderr, "chaos: %s: %s\n", sql, PQerrorMessage(connection->conn));
    PQclear(result);
    return number;
}

/* A crash of the server may still be under way: asked again on a new connection, as long as there is patience. */
static int64_t
number_again(const struct chaos_database *database, struct leat_pg_connection **connection,
             int64_t (*ask)(struct leat_pg_connection *connection))
{
    int64_t found;

    if (*connection == NULL)
        *connection = chaos_connect(database);
    found = *connection != NULL ? ask(*connection) : -1;
    if (found < 0) {
        leat_pg_close(*connection);
        *connection = NULL;
    }
    return found;
}

/* ---- drained --------------------------------------------------------------------------------------- */

/* The slower of the two processors; letters count, too. */
int64_t
chaos_committed(struct leat_pg_connection *target)
{
    return number(target,
                  "SELECT least((SELECT coalesce(sum(count), 0) FROM chaos_keys) + (SELECT "
                  "count(*) FROM leat.failures WHERE processor = 'order'), (SELECT "
                  "coalesce(sum(count), 0) FROM rollup) + (SELECT count(*) FROM leat.failures "
                  "WHERE processor = 'rollup'))::bigint");
}

bool
chaos_drain(struct chaos_world *world, int64_t wanted, void (*tick)(void *context), void *context)
{
    struct chaos_database *database = &world->databases[CHAOS_TARGET];
    struct leat_pg_connection *target = NULL;
    int64_t committed = -1, moved_at_us = leat_clock_monotonic_us();

    while (committed < wanted && leat_clock_monotonic_us() < moved_at_us + STUCK_US) {
        int64_t now = number_again(database, &target, chaos_committed);

        if (now > committed) {
            moved_at_us = leat_clock_monotonic_us();
            committed = now;
        }
        tick(context);
        usleep(LOOK_US);
    }
    leat_pg_close(target);
    return committed >= wanted;
}

static int64_t
active(struct leat_pg_connection *leases)
{
    return number(leases, "SELECT count(*) FROM leat.leases WHERE state = 'active'");
}

int64_t
chaos_unended(struct chaos_world *world, void (*tick)(void *context), void *context)
{
    struct chaos_database *database = &world->databases[CHAOS_LEASES];
    struct leat_pg_connection *leases = NULL;
    int64_t deadline_us = leat_clock_monotonic_us() + STUCK_US, wanted = world->open_count, found;

    while ((found = number_again(database, &leases, active)) != wanted &&
           leat_clock_monotonic_us() < deadline_us) {
        tick(context);
        usleep(LOOK_US);
    }
    leat_pg_close(leases);
    return llabs(found - wanted);
}

/* ---- order, once, all ------------------------------------------------------------------------------ */

/* Row by row: there may be millions. */
static void
judge_runs(struct leat_pg_connection *target, struct chaos_verdict *verdict)
{
    PGresult *result;

    if (PQsendQuery(target->conn, "SELECT key, first, last FROM chaos_runs ORDER BY committed") !=
            1 ||
        PQsetSingleRowMode(target->conn) != 1)
        fprintf(stderr, "chaos: %s\n", PQerrorMessage(target->conn));
    while ((result = PQgetResult(target->conn)) != NULL) {
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
            chaos_tally_run(&verdict->tally, strtoll(PQgetvalue(result, 0, 0), NULL, 10),
                            strtoll(PQgetvalue(result, 0, 1), NULL, 10),
                            strtoll(PQgetvalue(result, 0, 2), NULL, 10));
            verdict->runs++;
        } else if (PQresultStatus(result) != PGRES_TUPLES_OK) {
            fprintf(stderr, "chaos: %s\n", PQerrorMessage(target->conn));
        }
        PQclear(result);
    }
    chaos_tally_end(&verdict->tally);
}

static void
say(struct chaos_verdict *verdict, const char *what, const char *which, int64_t is, int64_t wanted)
{
    if (verdict->example[0] == '\0')
        snprintf(verdict->example, sizeof verdict->example, "%s of %.60s: %lld, not %lld", what,
                 which, (long long)is, (long long)wanted);
}

/* Rows of (key, count, sum, smallest, greatest) for 1 … put. */
static void
judge_keys(struct leat_pg_connection *target, const char *sql,
           const struct chaos_producer *producer, struct chaos_verdict *verdict)
{
    PGresult *result = PQexec(target->conn, sql);
    int64_t left = 0;

    for (int k = 0; k < CHAOS_KEYS; k++)
        left += producer->put[k] > 0;
    for (int row = 0; row < PQntuples(result); row++) {
        long key = strtol(PQgetvalue(result, row, 0), NULL, 10);
        int64_t put = key >= 0 && key < CHAOS_KEYS ? producer->put[key] : 0;
        int64_t wanted[4] = {put, put * (put + 1) / 2, 1, put};
        bool is_wrong = false;

        left--;
        for (int c = 0; c < 4; c++) {
            int64_t is = strtoll(PQgetvalue(result, row, c + 1), NULL, 10);

            if (is == wanted[c])
                continue;
            is_wrong = true;
            say(verdict, PQfname(result, c + 1), PQgetvalue(result, row, 0), is, wanted[c]);
        }
        verdict->wrong_keys += is_wrong;
    }
    if (PQresultStatus(result) != PGRES_TUPLES_OK || left != 0) {
        verdict->wrong_keys += left != 0 ? llabs(left) : 1;
        say(verdict, "missing keys", sql, left, 0);
    }
    PQclear(result);
}

/* ---- letters --------------------------------------------------------------------------------------- */

static int
compare_sequences(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* Each poison once per processor, told once, with its archived file. Rows come in the order of sequence numbers' text. */
static void
judge_letters(struct leat_pg_connection *target, const struct chaos_producer *producer,
              struct chaos_verdict *verdict)
{
    PGresult *result = PQexec(target->conn,
                              "SELECT sequence, times, archive_url FROM leat.failures ORDER BY "
                              "sequence COLLATE \"C\", processor");
    int wanted = (int)producer->poison_count * PROCESSORS;

    qsort(producer->poison, producer->poison_count, sizeof producer->poison[0], compare_sequences);
    verdict->letters = PQntuples(result);
    verdict->wrong_letters = llabs(verdict->letters - wanted);
    for (int row = 0; row < PQntuples(result) && row < wanted; row++) {
        const char *file = PQgetvalue(result, row, 2);
        bool is_right = strcmp(PQgetvalue(result, row, 0), producer->poison[row / PROCESSORS]) == 0;

        is_right = is_right && strcmp(PQgetvalue(result, row, 1), "1") == 0 &&
                   strncmp(file, "file://", 7) == 0 && access(file + 7, R_OK) == 0;
        verdict->wrong_letters += !is_right;
        if (!is_right)
            say(verdict, "times told or file", PQgetvalue(result, row, 0),
                strtoll(PQgetvalue(result, row, 1), NULL, 10), 1);
    }
    PQclear(result);
}

void
chaos_judge(struct chaos_world *world, const struct chaos_producer *producer,
            struct chaos_verdict *ret_verdict)
{
    struct leat_pg_connection *target = chaos_connect(&world->databases[CHAOS_TARGET]);
    struct chaos_verdict *verdict = ret_verdict;
    const struct chaos_tally *tally = &verdict->tally;

    *verdict = (struct chaos_verdict){0};
    if (target == NULL)
        return;
    chaos_tally_init(&verdict->tally, producer->put, CHAOS_KEYS);
    judge_runs(target, verdict);
    judge_keys(target, "SELECT key, count, total, lowest, highest FROM chaos_keys", producer,
               verdict);
    judge_keys(target,
               "SELECT device_id, sum(count), sum(sum)::bigint, min(min)::bigint, "
               "max(max)::bigint FROM rollup GROUP BY 1",
               producer, verdict);
    verdict->breaks = number(target, "SELECT coalesce(sum(breaks), 0)::bigint FROM chaos_keys");
    judge_letters(target, producer, verdict);
    verdict->is_good = tally->lost == 0 && tally->doubled == 0 && tally->out_of_order == 0 &&
                       tally->unknown == 0 && verdict->wrong_keys == 0 && verdict->breaks == 0 &&
                       verdict->wrong_letters == 0;
    if (tally->example[0] != '\0')
        snprintf(verdict->example, sizeof verdict->example, "%s", tally->example);
    leat_pg_close(target);
    chaos_tally_release(&verdict->tally);
}
