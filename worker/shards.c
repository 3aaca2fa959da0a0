/*
 * `leat shards`: each shard of each processor: its lease (lease database), how far it is (its target's progress) and how it fares
 * (what its owner told when it was asked). Three sources that are joined here; what cannot be had is "-", and said.
 */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"
#include "postgres/array.h"
#include "worker/operator.h"
#include "worker/progress.h"

static void
help(void)
{
    fputs(
        "leat shards: each shard of each processor: who runs it, how far it is, how it fares\n\n"
        "  leat shards -c leat.yaml\n"
        "  leat shards -c leat.yaml --processor rollup --state blocked\n"
        "  leat shards -c leat.yaml --stream orders --shard 7 -o wide\n"
        "  leat shards -c leat.yaml -o json | jq 'select(.lost_in_seconds < 3600)'\n\n"
        "With -c the configuration says where progress is (checkpoint, takes, …). Without it, it "
        "is "
        "looked for in\n"
        "the lease database alone: a \"-\" then means that it may be elsewhere.\n\n"
        "States: running, and as its owner tells: waiting_parents, taking, retrying, unavailable "
        "(stream\n"
        "or target away), isolating (looking for a bad record), draining, blocked (the owner's log "
        "says\n"
        "why); stuck (the watchdog says so, and why); paused; unowned; owned (the owner did not "
        "answer);\n"
        "not_run (the owner's configuration lacks the processor); ended\n"
        "takes: taken so often in a row with a call of the processor and without a commit; three "
        "or more\n"
        "mean that something ends the worker again and again: the log of the last one says what. "
        "Moves of a\n"
        "shard with nothing to read are not counted.\n"
        "A checkpoint's middle is left out in the table; -o wide and -o json have all of "
        "it.\n\n" LEAT_OPERATOR_FILTER_HELP LEAT_OPERATOR_WATCH_HELP LEAT_DATABASE_HELP,
        stdout);
}

/* ---- progress -------------------------------------------------------------------------------- */

#define PROGRESS_COLUMNS 7 /* of the sheet, in the order of progress_sql behind its key */

static const char progress_sql[] =
    "SELECT application::text, processor::text, stream_id::text, shard::text, checkpoint::text, "
    "takes::text, sub_sequence::text, commit_seq::text, octet_length(saved_state)::text, "
    "probe_sequence::text, lease_counter::text FROM leat.progress WHERE tenant = '' AND ($1::text "
    "IS NULL OR application = $1) AND ($2::text[] IS NULL OR processor = ANY ($2)) AND ($3::text "
    "IS NULL OR shard = $3)";

struct progress_rows {
    PGresult *results[64]; /* one a database */
    size_t count;
    struct leat_map places; /* key -> result * 2^32 + row + 1 */
};

static void
add_key(struct leat_buf *key, const PGresult *result, int row, const int *columns)
{
    for (int i = 0; i < 4; i++) {
        leat_buf_add_text(key, PQgetvalue(result, row, columns[i]));
        leat_buf_add_byte(key, '\n');
    }
}

/* processors: an array of their names; NULL: of all that are there. */
static int
read_progress(struct leat_operator *task, struct leat_pg_connection *connection,
              const struct leat_buf *processors, struct progress_rows *progress,
              struct leat_error *err)
{
    static const int key_columns[] = {0, 1, 2, 3};
    struct leat_pg_parameters parameters;
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    PGresult *result;
    int status;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, task->database.application);
    if (processors != NULL)
        leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, processors);
    else
        leat_pg_add_null(&parameters, LEAT_PG_TEXT_ARRAY);
    leat_pg_add_text(&parameters, task->shard);
    status = leat_pg_execute(connection, progress_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    for (int row = 0; row < PQntuples(result); row++) {
        uint64_t place = ((uint64_t)progress->count << 32) + (uint64_t)row + 1;

        leat_buf_clear(&key);
        add_key(&key, result, row, key_columns);
        leat_map_put(&progress->places, leat_buf_slice(&key), (void *)(uintptr_t)place);
    }
    progress->results[progress->count++] = result;
    return 0;
}

/* The lease database, when it has the target's tables, too. */
static int
read_here(struct leat_operator *task, struct progress_rows *progress, struct leat_error *err)
{
    PGresult *has;
    int status = leat_pg_execute(
        task->connection, "SELECT to_regclass('leat.progress') IS NOT NULL", NULL, &has, err);

    if (status != 0)
        return status;
    if (PQgetvalue(has, 0, 0)[0] != 0)
        status = read_progress(task, task->connection, NULL, progress, err);
    PQclear(has);
    return status;
}

/* What is missing is said beside the rows, not over them. */
static void
say_missing(const struct leat_operator *task, const char *processor, const struct leat_error *err)
{
    FILE *out = task->watch_us > 0 && task->database.output != LEAT_OUTPUT_JSON ? task->out
                                                                                : stderr;

    fprintf(out, "leat shards: no progress of processor \"%s\": %s\n", processor, err->text);
}

/* Those whose target it is; what another target says of a processor is not said here. */
static void
add_names(struct leat_operator *task, struct leat_pg_connection *connection, char *const *urls,
          size_t first, struct leat_buf *names)
{
    const struct leat_config *config = task->database.config;
    bool *is_there = LEAT_NEW_ARRAY(bool, config->processor_count);
    struct leat_error err;
    size_t count = 0;

    for (size_t i = first; i < config->processor_count; i++) {
        if (urls[i] == NULL || strcmp(urls[i], urls[first]) != 0)
            continue;
        is_there[i] = leat_progress_check_target(task, &config->processors[i], connection,
                                                 urls[first], &err) == 0;
        count += is_there[i];
        if (!is_there[i])
            say_missing(task, config->processors[i].name, &err);
    }
    leat_pg_array_begin(names, LEAT_PG_TEXT, count);
    for (size_t i = first; i < config->processor_count; i++) {
        if (is_there[i])
            leat_pg_array_bytes(names, leat_slice_from(config->processors[i].name));
    }
    free(is_there);
}

/* One database, for those whose progress is there by the configuration: another one's rows of the same name are not its own. */
static void
read_target(struct leat_operator *task, char *const *urls, size_t first,
            struct progress_rows *progress)
{
    const struct leat_config *config = task->database.config;
    struct leat_pg_connection *connection = NULL;
    struct leat_error err;
    struct leat_buf names;
    int status = leat_progress_connect(urls[first], task->command->name, &connection, &err);

    leat_buf_init(&names, SIZE_MAX);
    if (status == 0)
        add_names(task, connection, urls, first, &names);
    if (status == 0)
        status = read_progress(task, connection, &names, progress, &err);
    leat_buf_release(&names);
    leat_pg_close(connection);
    if (status != 0)
        say_missing(task, config->processors[first].name, &err);
}

static bool
is_first(char *const *urls, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (urls[i] != NULL && strcmp(urls[i], urls[place]) == 0)
            return false;
    }
    return true;
}

/* What one target cannot tell is missing, and said; the others are shown. */
static void
read_targets(struct leat_operator *task, struct progress_rows *progress)
{
    const struct leat_config *config = task->database.config;
    char **urls = LEAT_NEW_ARRAY(char *, config->processor_count);

    for (size_t i = 0; i < config->processor_count; i++) {
        const struct leat_config_processor *processor = &config->processors[i];
        LEAT_AUTO_BUF url = LEAT_BUF_INIT;
        struct leat_error err;

        if (task->database.processor != NULL &&
            strcmp(task->database.processor, processor->name) != 0)
            continue;
        if (leat_progress_url(config, processor, &url, &err) != 0)
            say_missing(task, processor->name, &err);
        else
            urls[i] = leat_strdup(leat_buf_text(&url));
    }
    for (size_t i = 0; i < config->processor_count; i++) {
        if (urls[i] != NULL && is_first(urls, i) &&
            progress->count < LEAT_COUNT_OF(progress->results))
            read_target(task, urls, i, progress);
    }
    for (size_t i = 0; i < config->processor_count; i++)
        free(urls[i]);
    free(urls);
}

/* ---- the rows -------------------------------------------------------------------------------- */

#define STATE                                                                                      \
    "CASE WHEN l.state = 'ended' OR p.processor = ANY (l.ended_by) THEN 'ended' WHEN p.state = "   \
    "'paused' THEN 'paused' WHEN l.lease_owner IS NULL THEN 'unowned' WHEN k.why IS NOT NULL "     \
    "THEN "                                                                                        \
    "'stuck' WHEN e.consumer IS NOT NULL THEN e.consumer WHEN NOT (o.runs -> 'processors') ? "     \
    "p.processor THEN 'not_run' ELSE 'owned' END"

static const struct leat_sheet_column columns[] = {
    {"application", LEAT_CELL_TEXT, true},
    {"processor"},
    {"stream"},
    {"stream_id", LEAT_CELL_TEXT, true},
    {"shard"},
    {"state"},
    {"owner"},
    {"lag_seconds", LEAT_CELL_RAW},
    {"lag_age_seconds", LEAT_CELL_RAW, true},
    {"lost_in_seconds", LEAT_CELL_RAW},
    {"reason"},
    {"lease_counter", LEAT_CELL_RAW, true},
    {"next_owner", LEAT_CELL_TEXT, true},
    {"parents", LEAT_CELL_RAW, true},
    {"children", LEAT_CELL_RAW, true},
    /* Of progress. */
    {"checkpoint", LEAT_CELL_LONG},
    {"takes", LEAT_CELL_RAW},
    {"sub_sequence", LEAT_CELL_RAW, true},
    {"commit_seq", LEAT_CELL_RAW, true},
    {"saved_state_bytes", LEAT_CELL_RAW, true},
    {"probing", LEAT_CELL_TEXT, true},
    {"progress_counter", LEAT_CELL_RAW, true},
};

static void
show_row(struct leat_sheet *sheet, const PGresult *result, int row,
         const struct progress_rows *progress)
{
    static const int key_columns[] = {0, 1, 3, 4};
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    uint64_t place;

    leat_sheet_row(sheet, result, row);
    add_key(&key, result, row, key_columns);
    place = (uintptr_t)leat_map_get(&progress->places, leat_buf_slice(&key));
    for (int i = 0; i < PROGRESS_COLUMNS; i++) {
        const PGresult *of = place != 0 ? progress->results[place >> 32] : NULL;
        int at = (int)((place & UINT32_MAX) - 1);

        leat_sheet_text(
            sheet, of == NULL || PQgetisnull(of, at, 4 + i) ? NULL : PQgetvalue(of, at, 4 + i));
    }
}

static int
show_rows(struct leat_operator *task, const PGresult *result, struct leat_error *err)
{
    struct progress_rows progress = {.count = 0};
    struct leat_sheet sheet;
    int status = 0;

    leat_map_init(&progress.places);
    if (task->database.config != NULL)
        read_targets(task, &progress);
    else
        status = read_here(task, &progress, err);
    if (status == 0) {
        leat_sheet_init(&sheet, task->database.output, columns, LEAT_COUNT_OF(columns), task->out);
        LEAT_ASSERT(PQnfields(result) + PROGRESS_COLUMNS == LEAT_COUNT_OF(columns));
        for (int row = 0; row < PQntuples(result); row++)
            show_row(&sheet, result, row, &progress);
        status = leat_sheet_finish(&sheet, err);
    }
    for (size_t i = 0; i < progress.count; i++)
        PQclear(progress.results[i]);
    leat_map_release(&progress.places, NULL);
    return status;
}

static const char ls_sql[] =
    "WITH %s, stuck AS MATERIALIZED (SELECT w.application, w.incarnation, k ->> "
    "'processor' AS processor, k ->> 'stream_id' AS stream_id, k ->> 'shard' AS shard, "
    "coalesce(k ->> 'why', '') AS why FROM leat.workers w, jsonb_array_elements(w.stuck) k "
    "WHERE ($1::text IS NULL OR w.application = $1) AND w.state <> 'dead' AND "
    "jsonb_typeof(w.stuck) = 'array') SELECT l.application::text, p.processor::text, "
    "s.name, l.stream_id::text, l.shard::text, %s, coalesce(o.worker_id, '#' || "
    "l.lease_owner)::text, round((e.behind_ms / 1000.0)::numeric, 1)::text, "
    "round((e.age)::numeric, 1)::text, round(((nullif(s.retention_ms, 0) - e.behind_ms) / "
    "1000.0)::numeric, 1)::text, coalesce(k.why, e.reason), l.lease_counter::text, "
    "coalesce(n.worker_id, '#' || l.next_owner)::text, array_to_json(l.parents)::text, "
    "array_to_json(l.children)::text FROM leat.processors p JOIN leat.streams s ON "
    "s.application = p.application AND (p.streams IS NULL OR s.name = ANY (p.streams)) "
    "JOIN leat.leases l ON l.application = s.application AND l.stream_id = s.stream_id "
    "LEFT JOIN leat.workers o ON o.application = l.application AND o.incarnation = "
    "l.lease_owner LEFT JOIN leat.workers n ON n.application = l.application AND "
    "n.incarnation = l.next_owner LEFT JOIN seen e ON e.application = l.application AND "
    "e.incarnation = l.lease_owner AND e.processor = p.processor AND e.stream_id = "
    "l.stream_id AND e.shard = l.shard LEFT JOIN stuck k ON k.application = l.application "
    "AND k.incarnation = l.lease_owner AND k.processor = p.processor AND k.stream_id = "
    "l.stream_id AND k.shard = l.shard LEFT JOIN leat.start_shards b ON b.application = "
    "l.application AND b.processor = p.processor AND b.stream_id = l.stream_id AND b.shard "
    "= l.shard AND b.is_passed WHERE b.shard IS NULL AND ($1::text IS NULL OR "
    "l.application = $1) AND ($2::text IS NULL OR s.name = $2 OR s.stream_id = $2) AND "
    "($3::text IS NULL OR l.shard = $3) AND ($4::text IS NULL OR o.worker_id = $4 OR "
    "n.worker_id = $4) AND (CASE WHEN $5::text IS NULL THEN p.state <> 'retired' ELSE "
    "p.processor = $5 END) AND ($6::text IS NULL OR %s = $6) ORDER BY l.application, "
    "p.processor, l.stream_id, l.shard";

static int
read_shards(struct leat_operator *task, struct leat_error *err)
{
    LEAT_AUTO_BUF sql = LEAT_BUF_INIT;
    PGresult *result;
    int status;

    leat_buf_printf(&sql, ls_sql, leat_operator_seen_sql, STATE, STATE);
    status = leat_operator_read(task, leat_buf_text(&sql), &result, err);
    if (status == 0) {
        status = show_rows(task, result, err);
        PQclear(result);
    }
    return status;
}

static int
list(struct leat_operator *task)
{
    return leat_operator_show(task, read_shards);
}

int
leat_command_shards(int argc, char **argv)
{
    static const char *const states[] = {
        "running",  "waiting_parents", "taking",  "retrying", "unavailable", "isolating",
        "draining", "ending",          "lost",    "blocked",  "stuck",       "paused",
        "unowned",  "owned",           "not_run", "ended",    NULL};
    static const struct leat_operator_action actions[] = {
        {"ls",
         "shards [ls] [--processor NAME] [--stream NAME] [--shard SHARD] [--worker ID] [--state "
         "STATE]",
         0,
         LEAT_TAKES_PROCESSOR | LEAT_TAKES_STREAM | LEAT_TAKES_SHARD | LEAT_TAKES_WORKER |
             LEAT_TAKES_STATE | LEAT_TAKES_WATCH,
         list},
    };
    static const struct leat_operator_command command = {
        "shards", help, actions, LEAT_COUNT_OF(actions), states, false};

    return leat_operator_run(argc, argv, &command);
}
