/*
 * Two lease databases for one application, and one target: a copy that was started by mistake, an old one that somebody woke. Each
 * says that the shards are its own workers'; the fence keeps the rows right, and each take raises the counter past the other's, without
 * end. Nothing is lost by it and nothing gets done, so it is said, with the names of both.
 *
 * Progress is ahead of a lease once, after the lease database lost its last moves. Ahead again and again, each time by
 * somebody else's take: there is another one. Only then this session takes its lease database's name as its application_name, and
 * looks for sessions with another's. Both sides do so.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "postgres/committer_inside.h"

#define OFTEN 3
#define WINDOW_US (120 * LEAT_SECOND_US)
#define QUIET_US (60 * LEAT_SECOND_US)
#define PATIENCE_US (5 * LEAT_SECOND_US) /* for the other one to bear its name */
#define PREFIX "leat committer of "

void
leat_pg_rivals_init(struct leat_pg_rivals *rivals)
{
    *rivals = (struct leat_pg_rivals){.said_us = -QUIET_US};
    leat_map_init(&rivals->times);
}

void
leat_pg_rivals_release(struct leat_pg_rivals *rivals)
{
    leat_map_release(&rivals->times, NULL);
}

/* How often by now. */
static uintptr_t
count_one(struct leat_pg_rivals *rivals, const struct leat_progress_key *key)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    uintptr_t times;

    leat_buf_add_slice(&text, key->stream_id);
    leat_buf_add_byte(&text, '\n');
    leat_buf_add_slice(&text, key->shard);
    times = (uintptr_t)leat_map_get(&rivals->times, leat_buf_slice(&text)) + 1;
    leat_map_put(&rivals->times, leat_buf_slice(&text), (void *)times);
    return times;
}

/* NULL: none of them was taken by somebody else often enough. */
static const struct leat_take *
find_rivalled(struct leat_pg_rivals *rivals, const struct leat_take *takes, size_t count)
{
    const struct leat_take *found = NULL;

    for (size_t i = 0; i < count; i++) {
        if (takes[i].outcome == LEAT_TAKE_AHEAD &&
            takes[i].progress.lease_owner != takes[i].incarnation &&
            count_one(rivals, &takes[i].key) >= OFTEN)
            found = &takes[i];
    }
    return found;
}

/* FNV-1a: every worker of this lease database, whatever its version and machine, has the same. */
static uint32_t
hash_of_name(const char *name)
{
    uint32_t hash = 2166136261;

    for (const char *at = name; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619;
    return hash;
}

void
leat_pg_rivals_name(const char *leases_name, char ret_name[LEAT_PG_SESSION_NAME_BYTES + 1])
{
    size_t room = LEAT_PG_SESSION_NAME_BYTES - strlen(PREFIX), size = strlen(leases_name);
    bool is_as_it_is = size <= room;
    char *at;

    for (const char *byte = leases_name; *byte != '\0'; byte++)
        is_as_it_is = is_as_it_is && *byte >= ' ' && *byte <= '~';
    if (is_as_it_is) {
        snprintf(ret_name, LEAT_PG_SESSION_NAME_BYTES + 1, PREFIX "%s", leases_name);
        return;
    }
    room -= strlen("01234567...");
    snprintf(ret_name, LEAT_PG_SESSION_NAME_BYTES + 1, PREFIX "%08x...%s",
             (unsigned)hash_of_name(leases_name), leases_name + (size > room ? size - room : 0));
    for (at = ret_name; *at != '\0'; at++) {
        if (*at < ' ' || *at > '~')
            *at = '?';
    }
}

static int
bear_name(struct leat_pg_committer *committer, const char *name)
{
    struct leat_pg_parameters parameters;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, name);
    return leat_pg_execute(committer->connection,
                           "SELECT set_config('application_name', $1, false)", &parameters, NULL,
                           NULL);
}

/* "A (from 10.0.0.7)", of the sessions that bear other names. */
static int
find_others(struct leat_pg_committer *committer, const char *own, struct leat_buf *out)
{
    static const char sql[] =
        "SELECT string_agg(DISTINCT substr(application_name, length($2) + 1) || CASE WHEN "
        "client_addr IS NULL THEN '' ELSE ' (from ' || host(client_addr) || ')' END, ', ') FROM "
        "pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, $2) "
        "AND application_name <> $1";
    struct leat_pg_parameters parameters;
    PGresult *result;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, own);
    leat_pg_add_text(&parameters, PREFIX);
    if (leat_pg_execute(committer->connection, sql, &parameters, &result, NULL) != 0)
        return LEAT_E_UNAVAILABLE;
    leat_buf_add_text(out, PQgetvalue(result, 0, 0));
    PQclear(result);
    return 0;
}

static void
say(struct leat_pg_committer *committer, const struct leat_take *take, const char *others)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(
        &text,
        "two lease databases share out the same shards, and take them from each other again and "
        "again (shard \"%.*s\", now %lld's): leases of application \"%s\" are in %s, and in %s; an "
        "application writes to a target from one lease database alone: end the workers of the "
        "other one, or give them another application name",
        (int)(take->key.shard.size < 128 ? take->key.shard.size : 128),
        (const char *)take->key.shard.data, (long long)take->progress.lease_owner,
        committer->options.application, committer->options.leases_name,
        others[0] != '\0' ? others : "another one, which does not tell its name");
    committer->options.warn(committer->options.warn_context, leat_buf_text(&text));
}

void
leat_pg_rivals_look(struct leat_pg_committer *committer, const struct leat_take *takes,
                    size_t count)
{
    struct leat_pg_rivals *rivals = &committer->rivals;
    int64_t now_us = leat_clock_monotonic_us();
    const struct leat_take *take;
    LEAT_AUTO_BUF others = LEAT_BUF_INIT;
    char name[LEAT_PG_SESSION_NAME_BYTES + 1];

    if (committer->options.warn == NULL || committer->options.leases_name == NULL)
        return;
    if (now_us - rivals->since_us > WINDOW_US) {
        leat_map_release(&rivals->times, NULL);
        leat_map_init(&rivals->times);
        rivals->since_us = now_us;
    }
    take = find_rivalled(rivals, takes, count);
    if (take == NULL || now_us - rivals->said_us < QUIET_US)
        return;
    leat_pg_rivals_name(committer->options.leases_name, name);
    /* Behind a pooler the session is somebody else's in a moment: it keeps its name. */
    if (rivals->named_us == 0 &&
        (committer->connection->is_pooled || bear_name(committer, name) == 0))
        rivals->named_us = now_us;
    if (find_others(committer, name, &others) != 0 ||
        (others.size == 0 && now_us - rivals->named_us < PATIENCE_US))
        return;
    rivals->said_us = now_us;
    say(committer, take, leat_buf_text(&others));
}
