/* `leat workers`: the worker processes, their health and what they hold; and how to empty one without going there. */
#include <string.h>

#include "base/memory.h"
#include "lease/rows_operator.h"
#include "worker/operator.h"

static void
help(void)
{
    fputs("leat workers: the worker processes, their health and what they hold\n\n"
          "  leat workers -c leat.yaml\n"
          "  leat workers --watch\n"
          "  leat workers -o json | jq 'select(.state == \"silent\")'\n"
          "  leat workers drain worker-3        # hands all its leases over, gets no new ones\n"
          "  leat workers drain worker-3 --undo\n\n"
          "ls      is what it does when nothing is said. States: alive; silent: its time has run "
          "out, it is\n"
          "        being judged or nobody is there to judge it; drained; leaving: it is stopping; "
          "dead\n"
          "drain   as SIGTERM from afar, but the process goes on: what others can take is handed "
          "over, what\n"
          "        nobody can take stays. Ends when the worker is started again, or with --undo. "
          "Leases of a\n"
          "        worker that hangs: leat leases release --worker ID --fence\n\n"
          "  --worker ID, --state STATE   only these\n" LEAT_OPERATOR_WATCH_HELP LEAT_DATABASE_HELP,
          stdout);
}

#define STATE                                                                                      \
    "CASE WHEN w.state <> 'dead' AND w.expires_at < clock_timestamp() THEN 'silent' "              \
    "WHEN w.state = 'leaving' AND w.drained_at IS NOT NULL THEN 'drained' ELSE w.state END"

static const char ls_sql[] =
    "WITH %s, held AS MATERIALIZED (SELECT application, lease_owner, count(*) AS leases "
    "FROM leat.leases WHERE lease_owner IS NOT NULL GROUP BY 1, 2), worst AS MATERIALIZED "
    "(SELECT application, incarnation, max(behind_ms) AS behind_ms FROM lags GROUP BY 1, "
    "2) SELECT w.application::text, w.worker_id::text, w.incarnation::text, %s, "
    "round(extract(epoch FROM clock_timestamp() - w.heartbeat_at)::numeric, 3)::text, "
    "round(extract(epoch FROM w.expires_at - clock_timestamp())::numeric, 3)::text, "
    "coalesce(h.leases, 0)::text, round((b.behind_ms / 1000.0)::numeric, 1)::text, "
    "round((extract(epoch FROM clock_timestamp() - r.reported_at))::numeric, 1)::text, "
    "w.max_leases::text, w.weight::text, w.host::text, w.pid::text, w.build::text, "
    "to_char(w.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "to_char(w.drained_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "to_char(w.died_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM "
    "leat.workers w LEFT JOIN held h ON h.application = w.application AND h.lease_owner = "
    "w.incarnation LEFT JOIN worst b ON b.application = w.application AND b.incarnation = "
    "w.incarnation LEFT JOIN leat.reports r ON r.application = w.application AND "
    "r.worker_id = w.worker_id AND r.incarnation = w.incarnation WHERE ($1::text IS NULL "
    "OR w.application = $1) AND ($4::text IS NULL OR w.worker_id = $4) AND ($6::text IS "
    "NULL OR %s = $6) ORDER BY w.application, w.worker_id";

static int
read_workers(struct leat_operator *task, struct leat_error *err)
{
    static const struct leat_sheet_column columns[] = {
        {"application"},
        {"worker_id"},
        {"incarnation", LEAT_CELL_TEXT, true},
        {"state"},
        {"heartbeat_age_seconds", LEAT_CELL_RAW},
        {"expires_in_seconds", LEAT_CELL_RAW},
        {"leases", LEAT_CELL_RAW},
        {"lag_seconds", LEAT_CELL_RAW},
        {"lag_age_seconds", LEAT_CELL_RAW, true},
        {"max_leases", LEAT_CELL_RAW, true},
        {"weight", LEAT_CELL_RAW, true},
        {"host"},
        {"pid", LEAT_CELL_RAW},
        {"build"},
        {"started_at", LEAT_CELL_TEXT, true},
        {"drained_at", LEAT_CELL_TEXT, true},
        {"died_at", LEAT_CELL_TEXT, true},
    };
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql, ls_sql, leat_operator_seen_sql, STATE, STATE);
    return leat_operator_sheet(task, leat_buf_text(&sql), columns, LEAT_COUNT_OF(columns), err);
}

static int
list(struct leat_operator *task)
{
    return leat_operator_show(task, read_workers);
}

/* ---- drain ----------------------------------------------------------------------------------- */

/* Why nothing moved; an exit code. */
static int
say_why(struct leat_operator *task)
{
    static const char sql[] = "SELECT w.worker_id::text, " STATE
                              " FROM leat.workers w WHERE w.application = $1 ORDER BY 1";
    LEAT_AUTO_BUF near = LEAT_BUF_INIT;
    struct leat_error err;
    PGresult *workers;
    const char *state = NULL;

    if (leat_operator_read(task, sql, &workers, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    for (int i = 0; i < PQntuples(workers); i++) {
        if (strcmp(PQgetvalue(workers, i, 0), task->operand) == 0)
            state = PQgetvalue(workers, i, 1);
    }
    leat_operator_near(workers, task->operand, &near);
    if (state == NULL)
        leat_operator_says(task, LEAT_EXIT_FAILED, "there is no worker \"%s\"%s; see leat workers",
                           task->operand, leat_buf_text(&near));
    else
        leat_operator_says(task, LEAT_EXIT_FAILED, "worker \"%s\" is %s: there is nothing to %s",
                           task->operand, state, task->is_undo ? "undo" : "drain");
    PQclear(workers);
    return LEAT_EXIT_FAILED;
}

/* What it holds and who could take it. */
static int
say_plan(struct leat_operator *task)
{
    struct leat_operator_filter filter = {.worker_id = task->operand};
    struct leat_operator_leases leases;
    struct leat_error err;
    size_t stays = 0;

    leat_operator_leases_init(&leases);
    if (leat_rows_operator_leases(task->connection, &task->rows, &filter, &leases, &err) != 0) {
        leat_operator_leases_release(&leases);
        return leat_command_failed(task->command->name, &err);
    }
    for (size_t i = 0; i < leases.count; i++)
        stays += leases.leases[i].next_owner == 0 && !leases.leases[i].is_under_way;
    leat_operator_says(task, 0, "worker \"%s\" %s: %zu lease%s to hand over", task->operand,
                       task->is_dry_run ? "would be drained" : "is drained", leases.count - stays,
                       leases.count - stays == 1 ? "" : "s");
    if (stays > 0)
        leat_operator_says(
            task, 0,
            "%zu stay with it until another worker can take them; leat leases release "
            "--worker %s --fence takes them away all the same",
            stays, task->operand);
    leat_operator_leases_release(&leases);
    return LEAT_EXIT_OK;
}

static int
drain(struct leat_operator *task)
{
    struct leat_error err;
    size_t moved = 0;
    int code = leat_operator_application(task);

    if (code != LEAT_EXIT_OK)
        return code;
    if (task->is_dry_run)
        return say_plan(task);
    if (leat_rows_drain(task->connection, &task->rows, task->operand, task->is_undo, &moved,
                        &err) != 0)
        return leat_command_failed(task->command->name, &err);
    if (moved == 0)
        return say_why(task);
    if (task->is_undo)
        return leat_operator_says(task, LEAT_EXIT_OK, "worker \"%s\" gets leases again",
                                  task->operand);
    return say_plan(task);
}

int
leat_command_workers(int argc, char **argv)
{
    static const char *const states[] = {"alive", "silent", "drained", "leaving", "dead", NULL};
    static const struct leat_operator_action actions[] = {
        {"ls", "workers [ls] [--worker ID] [--state STATE]", 0,
         LEAT_TAKES_WORKER | LEAT_TAKES_STATE | LEAT_TAKES_WATCH, list},
        {"drain", "workers drain ID [--undo | --dry-run]", 1, LEAT_TAKES_UNDO | LEAT_TAKES_DRY_RUN,
         drain},
    };
    static const struct leat_operator_command command = {
        "workers", help, actions, LEAT_COUNT_OF(actions), states, false};

    return leat_operator_run(argc, argv, &command);
}
