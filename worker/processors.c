/*
 * `leat processors`: what is registered, who runs it, how far it is; and the operator's word on each: active, paused, retired. The
 * word is a row that workers read when assignment_version moves: what they do about it is in lib/lease/processors.c.
 */
#include <string.h>

#include "base/memory.h"
#include "lease/rows_operator.h"
#include "worker/operator.h"
#include "worker/retarget.h"

static void
help(void)
{
    fputs(
        "leat processors: what is registered, who runs it, how far it is\n\n"
        "  leat processors -c leat.yaml\n"
        "  leat processors pause rollup       # commits nothing more; it keeps its place\n"
        "  leat processors resume rollup\n"
        "  leat processors retire rollup      # for ever: shards end without it\n"
        "  leat processors retarget rollup -c leat.yaml   # its target was rebuilt\n\n"
        "ls       is what it does when nothing is said. States: active, paused, retired\n"
        "pause    other processors of the same shards go on. A paused one falls behind: past the "
        "stream's\n"
        "         retention its records are lost (LOST IN). Shards do not end while it is paused\n"
        "retire   nobody waits for it any more; its progress rows and tables stay. Refused while "
        "a living\n"
        "         worker has it in its configuration: take it out there first. --force: those "
        "workers stop\n"
        "         running it, and refuse to start with it again\n"
        "         A name that was retired is not used again: a processor that is to begin anew "
        "gets a new one\n"
        "retarget the configuration's target is the processor's from now on. Workers refuse any "
        "other than the\n"
        "         registered one, by its own id, so that a mixed-up address writes nothing: this "
        "is "
        "the word for one\n"
        "         that was rebuilt or replaced on purpose\n\n"
        "  --processor NAME, --state STATE   only these\n"
        "  --dry-run  says what would be\n"
        "  --yes      retarget does not ask\n" LEAT_OPERATOR_WATCH_HELP LEAT_DATABASE_HELP,
        stdout);
}

/* A worker of an older build does not say, and is taken to run all. */
#define RUNS "coalesce((w.runs -> 'processors') ? p.processor, true)"

static const char ls_sql[] =
    "WITH %s, worst AS MATERIALIZED (SELECT e.application, e.processor, CASE WHEN "
    "bool_and(e.behind_ms IS NOT NULL OR e.consumer = 'ended') THEN max(e.behind_ms) END "
    "AS behind_ms, min(nullif(s.retention_ms, 0) - e.behind_ms) AS left_ms, max(e.age) AS "
    "age, count(*) FILTER (WHERE e.consumer = 'blocked') AS blocked, "
    "count(*) FILTER (WHERE e.consumer = 'unavailable') AS unavailable, "
    "count(*) FILTER (WHERE e.consumer = 'retrying') AS retrying FROM seen e LEFT JOIN "
    "leat.streams s ON s.application = e.application AND s.stream_id = e.stream_id GROUP "
    "BY 1, 2), shards AS MATERIALIZED (SELECT p.application, p.processor, count(l.shard) "
    "AS shards, count(*) FILTER (WHERE p.processor = ANY (l.ended_by)) AS ended FROM "
    "leat.processors p JOIN leat.streams s ON s.application = p.application AND (p.streams "
    "IS NULL OR s.name = ANY (p.streams)) JOIN leat.leases l ON l.application = "
    "s.application AND l.stream_id = s.stream_id GROUP BY 1, 2) SELECT "
    "p.application::text, p.processor::text, p.state, array_to_json(p.streams)::text, "
    "(SELECT count(*)::text FROM leat.workers w WHERE w.application = p.application AND "
    "w.state <> 'dead' AND %s), coalesce(h.shards, 0)::text, coalesce(h.ended, 0)::text, "
    "coalesce(b.blocked, 0)::text, coalesce(b.unavailable, 0)::text, "
    "coalesce(b.retrying, 0)::text, round((b.behind_ms / 1000.0)::numeric, 1)::text, "
    "round((b.age)::numeric, 1)::text, round((b.left_ms / 1000.0)::numeric, 1)::text, "
    "p.target_id, to_char(p.registered_at AT TIME ZONE 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM leat.processors p LEFT JOIN worst b USING "
    "(application, processor) LEFT JOIN shards h USING (application, processor) WHERE "
    "($1::text IS NULL OR p.application = $1) AND ($5::text IS NULL OR p.processor = $5) "
    "AND ($6::text IS NULL OR p.state = $6) ORDER BY 1, 2";

static int
read_processors(struct leat_operator *task, struct leat_error *err)
{
    static const struct leat_sheet_column columns[] = {
        {"application"},
        {"processor"},
        {"state"},
        {"streams", LEAT_CELL_RAW}, /* null: all */
        {"workers", LEAT_CELL_RAW},
        {"shards", LEAT_CELL_RAW},
        {"ended", LEAT_CELL_RAW},
        {"blocked", LEAT_CELL_RAW},
        {"unavailable", LEAT_CELL_RAW},
        {"retrying", LEAT_CELL_RAW},
        {"lag_seconds", LEAT_CELL_RAW},
        {"lag_age_seconds", LEAT_CELL_RAW, true},
        {"lost_in_seconds", LEAT_CELL_RAW},
        {"target_id", LEAT_CELL_TEXT, true},
        {"registered_at", LEAT_CELL_TEXT, true},
    };
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;

    leat_buf_printf(&sql, ls_sql, leat_operator_seen_sql, RUNS);
    return leat_operator_sheet(task, leat_buf_text(&sql), columns, LEAT_COUNT_OF(columns), err);
}

static int
list(struct leat_operator *task)
{
    return leat_operator_show(task, read_processors);
}

/* ---- the operator's word --------------------------------------------------------------------- */

struct word {
    const char *verb, *state, *done;
};
static const struct word pause_word = {"pause", "paused",
                                       "paused: it keeps its place and falls behind"};
static const struct word resume_word = {"resume", "active", "active again"};
static const struct word retire_word = {
    "retire", "retired",
    "retired: shards end without it; its tables and its progress "
    "stay where they are"};

/* Living workers that have it in their configuration, by name. An exit code. */
static int
find_runners(struct leat_operator *task, struct leat_buf *out)
{
    static const char sql[] =
        "SELECT w.worker_id::text FROM leat.workers w, (SELECT $5::text AS processor) p WHERE "
        "w.application = $1 AND w.state <> 'dead' AND " RUNS " ORDER BY 1 LIMIT 20";
    struct leat_error err;
    PGresult *runners;

    if (leat_operator_read(task, sql, &runners, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    if (PQntuples(runners) > 0)
        leat_operator_names(runners, out);
    PQclear(runners);
    return LEAT_EXIT_OK;
}

static int
refuse_unknown(struct leat_operator *task, const PGresult *rows)
{
    LEAT_AUTO_BUF near = LEAT_BUF_INIT;
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;

    leat_operator_near(rows, task->operand, &near);
    leat_operator_names(rows, &all);
    return leat_operator_says(
        task, LEAT_EXIT_FAILED, "application \"%s\" has no processor \"%s\"%s; there are: %s",
        task->database.application, task->operand, leat_buf_text(&near), leat_buf_text(&all));
}

/* May it be said? An exit code, or -1: yes. seen: its state. */
static int
check(struct leat_operator *task, const struct word *word, const char *seen)
{
    LEAT_AUTO_BUF runners = LEAT_BUF_INIT;
    int code;

    if (strcmp(seen, word->state) == 0)
        return leat_operator_says(task, LEAT_EXIT_OK, "processor \"%s\" is %s already",
                                  task->operand, seen);
    if (strcmp(seen, "retired") == 0)
        return leat_operator_says(
            task, LEAT_EXIT_FAILED,
            "processor \"%s\" is retired, for ever: nobody has waited for it since, so a shard may "
            "have ended without it; give it a new name to begin anew",
            task->operand);
    if (word != &retire_word)
        return -1;
    code = find_runners(task, &runners);
    if (code != LEAT_EXIT_OK || runners.size == 0)
        return code != LEAT_EXIT_OK ? code : -1;
    if (!task->is_forced)
        return leat_operator_says(task, LEAT_EXIT_FAILED,
                                  "processor \"%s\" is in the configuration of %s: take it out "
                                  "there first, or say --force: then they stop running it, and "
                                  "refuse to start with it again",
                                  task->operand, leat_buf_text(&runners));
    leat_operator_says(task, 0, "%s stop running it", leat_buf_text(&runners));
    return -1;
}

static int
say(struct leat_operator *task, const struct word *word)
{
    static const char sql[] =
        "SELECT processor::text, state FROM leat.processors WHERE application = $1 ORDER BY 1";
    struct leat_error err;
    PGresult *rows;
    const char *seen = NULL;
    size_t moved = 0;
    int code = leat_operator_application(task);

    if (code != LEAT_EXIT_OK)
        return code;
    task->database.processor = task->operand;
    if (leat_operator_read(task, sql, &rows, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    for (int i = 0; i < PQntuples(rows); i++) {
        if (strcmp(PQgetvalue(rows, i, 0), task->operand) == 0)
            seen = PQgetvalue(rows, i, 1);
    }
    code = seen == NULL ? refuse_unknown(task, rows) : check(task, word, seen);
    if (code < 0 && task->is_dry_run)
        code = leat_operator_says(task, LEAT_EXIT_OK,
                                  "dry run: processor \"%s\" is %s and would be %s", task->operand,
                                  seen, word->state);
    if (code < 0 && leat_rows_set_processor(task->connection, &task->rows, task->operand, seen,
                                            word->state, &moved, &err) != 0)
        code = leat_command_failed(task->command->name, &err);
    if (code < 0)
        code = moved == 1 ? leat_operator_says(task, LEAT_EXIT_OK, "processor \"%s\" is %s",
                                               task->operand, word->done)
                          : leat_operator_says(task, LEAT_EXIT_FAILED,
                                               "processor \"%s\" is not %s any more: the world "
                                               "moved, look again with leat processors",
                                               task->operand, seen);
    PQclear(rows);
    return code;
}

static int
say_pause(struct leat_operator *task)
{
    return say(task, &pause_word);
}

static int
say_resume(struct leat_operator *task)
{
    return say(task, &resume_word);
}

static int
say_retire(struct leat_operator *task)
{
    return say(task, &retire_word);
}

int
leat_command_processors(int argc, char **argv)
{
    static const char *const states[] = {"active", "paused", "retired", NULL};
    static const struct leat_operator_action actions[] = {
        {"ls", "processors [ls] [--processor NAME] [--state STATE]", 0,
         LEAT_TAKES_PROCESSOR | LEAT_TAKES_STATE | LEAT_TAKES_WATCH, list},
        {"pause", "processors pause NAME [--dry-run]", 1, LEAT_TAKES_DRY_RUN, say_pause},
        {"resume", "processors resume NAME [--dry-run]", 1, LEAT_TAKES_DRY_RUN, say_resume},
        {"retire", "processors retire NAME [--force] [--dry-run]", 1,
         LEAT_TAKES_FORCE | LEAT_TAKES_DRY_RUN, say_retire},
        {"retarget", "processors retarget NAME -c FILE [--yes] [--dry-run]", 1,
         LEAT_TAKES_YES | LEAT_TAKES_DRY_RUN, leat_processors_retarget},
    };
    static const struct leat_operator_command command = {"processors",           help,   actions,
                                                         LEAT_COUNT_OF(actions), states, false};

    return leat_operator_run(argc, argv, &command);
}
