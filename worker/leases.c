/*
 * `leat leases`: who reads which shard, who read it before, and how to take a lease from its owner. Ages are by the database's
 * clock; how far a shard is behind is what its owner said when it was asked.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "lease/rows_operator.h"
#include "worker/operator.h"

#define DEFAULT_SINCE_US (INT64_C(3600) * 1000000)
#define DEFAULT_LIMIT 1000
#define ATTEMPTS 5

static void
help(void)
{
    fputs(
        "leat leases: who reads which shard, and how far behind\n\n"
        "  leat leases -c leat.yaml\n"
        "  leat leases --state unowned --watch\n"
        "  leat leases -o json | jq 'select(.lag_seconds > 60)'\n"
        "  leat leases history --shard 7 --since 2h\n"
        "  leat leases release --worker worker-3          # hand all of its leases to others\n"
        "  leat leases release --stream orders --shard 7\n"
        "  leat leases release --stream orders --shard 7 --fence   # the owner hangs: take it away "
        "now\n\n"
        "ls        is what it does when nothing is said. States: active, handoff (on its way to "
        "NEXT\n"
        "          OWNER), unowned, ended (read to its end by all who need it)\n"
        "history   who had it, who got it and why; 50,000 moves or 7 days are kept. --since "
        "(default: 1h),\n"
        "          --limit N (default: 1000, the latest)\n"
        "release   asks the owner to hand over: it finishes what it is doing, as at any handoff. "
        "With\n"
        "          --fence it loses the lease at once: what it has not committed is done again by "
        "the next\n"
        "          owner, and nothing is written twice. --dry-run says what would move\n\n"
        "lag is the stream's own figure of the owner's last answer; lag age: when the owner told "
        "it. \"-\":\n"
        "nobody knows (no owner, or it did not answer). lost in: the stream's retention less the "
        "lag.\n\n" LEAT_OPERATOR_FILTER_HELP LEAT_OPERATOR_WATCH_HELP LEAT_DATABASE_HELP,
        stdout);
}

/* ---- ls -------------------------------------------------------------------------------------- */

#define STATE                                                                                      \
    "CASE WHEN l.state = 'ended' THEN 'ended' WHEN l.lease_owner IS NULL THEN 'unowned' "          \
    "WHEN l.next_owner IS NOT NULL THEN 'handoff' ELSE 'active' END"
#define JOINS                                                                                      \
    " LEFT JOIN leat.streams s ON s.application = l.application AND s.stream_id = l.stream_id"     \
    " LEFT JOIN leat.workers o ON o.application = l.application AND o.incarnation = "              \
    "l.lease_owner LEFT JOIN leat.workers n ON n.application = l.application AND n.incarnation = " \
    "l.next_owner"
#define FILTERS                                                                                    \
    " WHERE ($1::text IS NULL OR l.application = $1) AND ($2::text IS NULL OR s.name = $2 OR "     \
    "l.stream_id = $2) AND ($3::text IS NULL OR l.shard = $3) AND ($4::text IS NULL OR "           \
    "o.worker_id = $4 OR n.worker_id = $4)"

/* An owner whose row is gone is still the owner: shown by his number. */
static const char ls_sql[] =
    "WITH %s, starts AS MATERIALIZED (SELECT application, stream_id, "
    "json_object_agg(processor, start ORDER BY processor)::text AS starts FROM leat.starts "
    "WHERE $1::text IS NULL OR application = $1 GROUP BY 1, 2) SELECT l.application::text, "
    "coalesce(s.name, l.stream_id)::text, l.stream_id::text, l.shard::text, %s, "
    "coalesce(o.worker_id, '#' || l.lease_owner)::text, round((g.behind_ms / "
    "1000.0)::numeric, 1)::text, round((g.age)::numeric, 1)::text, "
    "round(((nullif(s.retention_ms, 0) - g.behind_ms) / 1000.0)::numeric, 1)::text, "
    "l.lease_owner::text, l.lease_counter::text, coalesce(n.worker_id, '#' || "
    "l.next_owner)::text, round(extract(epoch FROM clock_timestamp() - "
    "l.handoff_at)::numeric, 3)::text, l.last_worker_id::text, b.starts, "
    "l.starting_hash_key::text, l.ending_hash_key::text, array_to_json(l.ended_by)::text, "
    "array_to_json(l.parents)::text, array_to_json(l.children)::text FROM leat.leases l%s "
    "LEFT JOIN lags g ON g.application = l.application AND g.incarnation = l.lease_owner "
    "AND g.stream_id = l.stream_id AND g.shard = l.shard LEFT JOIN starts b ON "
    "b.application = l.application AND b.stream_id = l.stream_id%s AND ($6::text IS NULL "
    "OR %s = $6) ORDER BY l.application, l.stream_id, l.shard";

static int
read_leases(struct leat_operator *task, struct leat_error *err)
{
    static const struct leat_sheet_column columns[] = {
        {"application"},
        {"stream", LEAT_CELL_TEXT},
        {"stream_id", LEAT_CELL_TEXT, true},
        {"shard"},
        {"state"},
        {"owner"},
        {"lag_seconds", LEAT_CELL_RAW},
        {"lag_age_seconds", LEAT_CELL_RAW, true},
        {"lost_in_seconds", LEAT_CELL_RAW},
        {"lease_owner", LEAT_CELL_TEXT, true}, /* 63 bits: more than a JSON number holds */
        {"lease_counter", LEAT_CELL_RAW},
        {"next_owner"},
        {"handoff_seconds", LEAT_CELL_RAW, true},
        {"last_worker_id", LEAT_CELL_TEXT, true},
        {"starts", LEAT_CELL_RAW, true}, /* by processor, of the stream */
        {"starting_hash_key", LEAT_CELL_TEXT, true},
        {"ending_hash_key", LEAT_CELL_TEXT, true},
        {"ended_by", LEAT_CELL_RAW},
        {"parents", LEAT_CELL_RAW},
        {"children", LEAT_CELL_RAW, true},
    };
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql, ls_sql, leat_operator_seen_sql, STATE, JOINS, FILTERS, STATE);
    return leat_operator_sheet(task, leat_buf_text(&sql), columns, LEAT_COUNT_OF(columns), err);
}

static int
list(struct leat_operator *task)
{
    return leat_operator_show(task, read_leases);
}

/* ---- history --------------------------------------------------------------------------------- */

static int
read_history(struct leat_operator *task, struct leat_error *err)
{
    static const struct leat_sheet_column columns[] = {
        {"application", LEAT_CELL_TEXT, true},
        {"moved_at"},
        {"stream"},
        {"shard"},
        {"from"},
        {"to"},
        {"why"},
        {"lease_counter", LEAT_CELL_RAW},
        {"stream_id", LEAT_CELL_TEXT, true},
    };
    static const char sql[] = "SELECT * FROM (SELECT m.application::text, " LEAT_UTC(
        "m.moved_at") ", coalesce(s.name, m.stream_id)::text, m.shard::text, m.from_worker::text,"
                      " m.to_worker::text, m.why, m.lease_counter::text, m.stream_id::text"
                      " FROM leat.lease_moves m LEFT JOIN leat.streams s ON s.application = "
                      "m.application"
                      " AND s.stream_id = m.stream_id WHERE ($1::text IS NULL OR m.application = "
                      "$1)"
                      " AND ($2::text IS NULL OR s.name = $2 OR m.stream_id = $2)"
                      " AND ($3::text IS NULL OR m.shard = $3)"
                      " AND ($4::text IS NULL OR m.from_worker = $4 OR m.to_worker = $4)"
                      " AND m.moved_at > clock_timestamp() - $7 * interval '1 us'"
                      " ORDER BY m.moved_at DESC, m.move DESC LIMIT $8) latest ORDER BY 2, 4";

    return leat_operator_sheet(task, sql, columns, LEAT_COUNT_OF(columns), err);
}

/* What moved once is a name, also when its lease is gone; what never did has to be there now. An exit code. */
static int
check_history_names(struct leat_operator *task)
{
    static const char sql[] =
        "SELECT 'moved' FROM leat.lease_moves m LEFT JOIN leat.streams s ON s.application = "
        "m.application AND s.stream_id = m.stream_id WHERE ($1::text IS NULL OR m.application = "
        "$1) "
        "AND ($2::text IS NULL OR s.name = $2 OR m.stream_id = $2) AND ($3::text IS NULL OR "
        "m.shard "
        "= $3) AND ($4::text IS NULL OR m.from_worker = $4 OR m.to_worker = $4) LIMIT 1";
    struct leat_error err;
    PGresult *moves;
    bool has_moved;

    if (leat_operator_read(task, sql, &moves, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    has_moved = PQntuples(moves) > 0;
    PQclear(moves);
    return has_moved ? LEAT_EXIT_OK : leat_operator_check_filters(task);
}

static int
history(struct leat_operator *task)
{
    struct leat_error err;
    int code = check_history_names(task);

    if (code != LEAT_EXIT_OK)
        return code;
    if (task->since_us == 0)
        task->since_us = DEFAULT_SINCE_US;
    if (task->limit == 0)
        task->limit = DEFAULT_LIMIT;
    return read_history(task, &err) == 0 ? LEAT_EXIT_OK
                                         : leat_command_failed(task->command->name, &err);
}

/* ---- release --------------------------------------------------------------------------------- */

static const char *
name_of(const struct leat_operator_leases *leases, int64_t incarnation)
{
    for (size_t i = 0; i < leases->worker_count; i++) {
        if (leases->workers[i].incarnation == incarnation)
            return leases->workers[i].worker_id;
    }
    return "nobody";
}

static void
print_plan(const struct leat_operator *task, const struct leat_operator_leases *leases)
{
    static const struct leat_sheet_column columns[] = {{"stream"}, {"shard"}, {"from"}, {"to"}};
    struct leat_sheet sheet;
    struct leat_error unread;

    leat_sheet_init(&sheet, task->database.output, columns, LEAT_COUNT_OF(columns), stdout);
    for (size_t i = 0; i < leases->count; i++) {
        const struct leat_operator_lease *lease = &leases->leases[i];

        leat_sheet_text(&sheet, lease->stream);
        leat_sheet_text(&sheet, lease->shard);
        leat_sheet_text(&sheet, lease->owner_id);
        leat_sheet_text(&sheet, task->is_fence           ? "nobody"
                                : lease->is_under_way    ? "under way"
                                : lease->next_owner != 0 ? name_of(leases, lease->next_owner)
                                                         : NULL);
    }
    leat_sheet_finish(&sheet, &unread);
}

/* Nothing to release: why. */
static int
say_none(struct leat_operator *task)
{
    static const char workers_sql[] =
        "SELECT worker_id::text FROM leat.workers WHERE application = $1 ORDER BY 1";
    static const char shard_sql[] =
        "SELECT coalesce('it is ' || CASE WHEN l.state = 'ended' THEN 'ended' WHEN l.lease_owner IS"
        " NULL THEN 'unowned' ELSE 'owned' END, '') FROM leat.leases l LEFT JOIN leat.streams s"
        " USING (application, stream_id) WHERE l.application = $1 AND (s.name = $2 OR l.stream_id ="
        " $2) AND l.shard = $3";
    LEAT_AUTO_BUF near = LEAT_BUF_INIT;
    struct leat_error err;
    PGresult *rows;
    bool is_known = false;
    int code = LEAT_EXIT_FAILED;

    if (leat_operator_read(task, task->worker != NULL ? workers_sql : shard_sql, &rows, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    if (task->worker == NULL) {
        if (PQntuples(rows) == 0)
            leat_operator_says(task, code,
                               "stream \"%s\" has no lease of a shard \"%s\"; see "
                               "leat leases --stream %s",
                               task->stream, task->shard, task->stream);
        else
            leat_operator_says(task, code, "shard \"%s\" has no owner to release it: %s",
                               task->shard, PQgetvalue(rows, 0, 0));
    } else {
        for (int i = 0; i < PQntuples(rows); i++)
            is_known = is_known || strcmp(PQgetvalue(rows, i, 0), task->worker) == 0;
        leat_operator_near(rows, task->worker, &near);
        if (is_known)
            code = leat_operator_says(task, LEAT_EXIT_OK, "worker \"%s\" holds no leases",
                                      task->worker);
        else
            leat_operator_says(task, code, "there is no worker \"%s\"%s; see leat workers",
                               task->worker, leat_buf_text(&near));
    }
    PQclear(rows);
    return code;
}

static int
do_release(struct leat_operator *task, struct leat_operator_leases *leases)
{
    struct leat_error err;
    size_t planned = 0, moved = 0;
    int status = 0;

    for (size_t i = 0; i < leases->count; i++)
        planned += task->is_fence || leases->leases[i].next_owner != 0;
    if (planned == 0)
        return leat_operator_says(
            task, LEAT_EXIT_FAILED,
            leases->leases[0].is_under_way
                ? "a handoff is under way already; --fence does not wait for it"
                : "no other worker is alive that could take it: start one, or say --fence to take "
                  "the lease away all the same");
    print_plan(task, leases);
    if (task->is_dry_run)
        return leat_operator_says(task, LEAT_EXIT_OK, "dry run: nothing was changed");
    /* Others lock the same rows in another order: the server picks one of us to try again. */
    for (int i = 0; i < ATTEMPTS; i++) {
        status = leat_rows_operator_release(task->connection, &task->rows, leases, task->is_fence,
                                            &moved, &err);
        if (status == 0 || strncmp(err.sqlstate, "40", 2) != 0)
            break;
    }
    if (status != 0)
        return leat_command_failed(task->command->name, &err);
    if (moved < planned)
        return leat_operator_says(task, LEAT_EXIT_FAILED,
                                  "%zu of %zu leases: the world moved meanwhile, look again with "
                                  "leat leases",
                                  moved, planned);
    return leat_operator_says(task, LEAT_EXIT_OK, "%zu lease%s %s", moved,
                              moved == 1 ? " is" : "s are",
                              task->is_fence ? "taken away; the next pass gives them to somebody"
                                             : "on the way; see leat leases --state handoff");
}

static int
release(struct leat_operator *task)
{
    struct leat_operator_leases leases;
    struct leat_error err;
    int code;

    if ((task->worker == NULL) == (task->stream == NULL) ||
        (task->stream == NULL) != (task->shard == NULL))
        return leat_operator_says(task, LEAT_EXIT_USAGE,
                                  "say which: --worker ID, or --stream NAME and --shard SHARD");
    code = leat_operator_application(task);
    if (code != LEAT_EXIT_OK)
        return code;
    leat_operator_leases_init(&leases);
    if (leat_rows_operator_leases(
            task->connection, &task->rows,
            &(struct leat_operator_filter){task->worker, task->stream, task->shard}, &leases,
            &err) != 0)
        code = leat_command_failed(task->command->name, &err);
    else
        code = leases.count == 0 ? say_none(task) : do_release(task, &leases);
    leat_operator_leases_release(&leases);
    return code;
}

int
leat_command_leases(int argc, char **argv)
{
    static const char *const states[] = {"active", "handoff", "unowned", "ended", NULL};
    static const struct leat_operator_action actions[] = {
        {"ls", "leases [ls] [--stream NAME] [--shard SHARD] [--worker ID] [--state STATE]", 0,
         LEAT_TAKES_STREAM | LEAT_TAKES_SHARD | LEAT_TAKES_WORKER | LEAT_TAKES_STATE |
             LEAT_TAKES_WATCH,
         list},
        {"history", "leases history [--stream NAME] [--shard SHARD] [--worker ID] [--since 1h]", 0,
         LEAT_TAKES_STREAM | LEAT_TAKES_SHARD | LEAT_TAKES_WORKER | LEAT_TAKES_SINCE |
             LEAT_TAKES_LIMIT,
         history},
        {"release",
         "leases release (--worker ID | --stream NAME --shard SHARD) [--fence] [--dry-run]", 0,
         LEAT_TAKES_STREAM | LEAT_TAKES_SHARD | LEAT_TAKES_WORKER | LEAT_TAKES_FENCE |
             LEAT_TAKES_DRY_RUN,
         release},
    };
    static const struct leat_operator_command command = {
        "leases", help, actions, LEAT_COUNT_OF(actions), states, false};

    return leat_operator_run(argc, argv, &command);
}
