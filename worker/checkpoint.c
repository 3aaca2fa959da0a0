/*
 * `leat checkpoint`: where a processor is in its shards, and how to put it elsewhere. The checkpoint is the progress row in the
 * processor's target, and nothing else; so that is what is shown and changed. This file finds out which rows are meant.
 */
#include "worker/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "worker/progress.h"

static void
help(void)
{
    fputs(
        "leat checkpoint: where a processor is in its shards, and how to put it elsewhere\n\n"
        "  leat checkpoint show -c leat.yaml --processor rollup\n"
        "  leat checkpoint set -c leat.yaml --processor rollup --all --to trim-horizon --dry-run\n"
        "  leat checkpoint set -c leat.yaml --processor rollup --all --to "
        "time=2026-11-26T03:00:00Z\n"
        "  leat checkpoint set -c leat.yaml --processor rollup --stream orders --shard 7 --to "
        "seq=49…\n"
        "  leat checkpoint set -c leat.yaml --processor rollup --all --to latest --yes\n\n"
        "set acts on the processor's progress in its target, while workers run or not: the commit "
        "number grows,\n"
        "so whatever is under way is thrown away, the saved state is dropped, and the shard goes "
        "on "
        "from there\n"
        "within a second or two.\n"
        "  back     what is read again is processed again: sums double, rows without a key come "
        "twice. For a\n"
        "           result as if for the first time, empty the processor's tables beforehand, with "
        "it paused\n"
        "  forward  what lies between is skipped: never processed, in no archive\n"
        "A shard that had ended is opened again. Its children, and theirs, wait until it has ended "
        "anew, as at any\n"
        "reshard; where they are themselves does not change.\n\n"
        "  --to trim-horizon   the oldest record that the stream keeps\n"
        "  --to latest         now, by the service's clock\n"
        "  --to time=TIME      2026-11-26T03:00:00Z (UTC where no zone is said), or -2h: two hours "
        "ago\n"
        "  --to seq=NUMBER     of one --shard: that record counts as done, the next one is read\n"
        "  --stream NAME       may be left out when the processor reads one\n"
        "  --shard SHARD, --all\n"
        "  --dry-run           says what would be; asks the stream, changes nothing\n"
        "  --yes               does not ask\n" LEAT_DATABASE_HELP,
        stdout);
}

/* ---- which --------------------------------------------------------------------------------- */

/* An exit code. */
static int
find_processor(struct leat_checkpoint *checkpoint)
{
    struct leat_operator *task = checkpoint->task;
    const struct leat_config *config = task->database.config;
    const char *name = task->database.processor, *nearest;
    LEAT_AUTO_FREE const char **names = NULL;
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;

    if (config == NULL)
        return leat_operator_says(task, LEAT_EXIT_USAGE,
                                  "say -c FILE: the configuration says where the progress and the "
                                  "stream are");
    names = leat_alloc_zero(config->processor_count + 1, sizeof *names);
    for (size_t i = 0; i < config->processor_count; i++) {
        names[i] = config->processors[i].name;
        leat_buf_printf(&all, "%s%s", i > 0 ? ", " : "", names[i]);
        if (name != NULL && strcmp(names[i], name) == 0)
            checkpoint->processor = &config->processors[i];
    }
    if (checkpoint->processor != NULL)
        return LEAT_EXIT_OK;
    if (name == NULL)
        return leat_operator_says(task, LEAT_EXIT_USAGE, "say --processor NAME; there are: %s",
                                  leat_buf_text(&all));
    nearest = leat_did_you_mean(name, names);
    return leat_operator_says(
        task, LEAT_EXIT_USAGE, "the configuration has no processor \"%s\"%s%s%s; there are: %s",
        name, nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
        nearest != NULL ? "\"?" : "", leat_buf_text(&all));
}

static int
open_target(struct leat_checkpoint *checkpoint)
{
    struct leat_operator *task = checkpoint->task;
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_error err;

    if (leat_progress_url(task->database.config, checkpoint->processor, &url, &err) != 0 ||
        leat_progress_connect(leat_buf_text(&url), task->command->name, &checkpoint->target,
                              &err) != 0 ||
        leat_progress_check_target(task, checkpoint->processor, checkpoint->target,
                                   leat_buf_text(&url), &err) != 0)
        return leat_command_failed(task->command->name, &err);
    return LEAT_EXIT_OK;
}

static const char *
copy(struct leat_checkpoint *checkpoint, const PGresult *result, int row, int column)
{
    return (const char *)leat_arena_copy(&checkpoint->arena,
                                         leat_slice_from(PQgetvalue(result, row, column)))
        .data;
}

/* The leases of the shards that are meant. An exit code. */
static int
find_items(struct leat_checkpoint *checkpoint)
{
    static const char sql[] =
        "SELECT l.stream_id::text, s.name, l.shard::text, CASE WHEN b.shard IS NOT NULL THEN "
        "k.start ELSE 'TRIM_HORIZON' END::text FROM leat.processors p JOIN leat.streams s ON "
        "s.application = p.application AND (p.streams IS NULL OR s.name = ANY (p.streams)) JOIN "
        "leat.leases l ON l.application = s.application AND l.stream_id = s.stream_id LEFT JOIN "
        "leat.starts k ON k.application = l.application AND k.processor = p.processor AND "
        "k.stream_id = l.stream_id LEFT JOIN leat.start_shards b ON b.application = l.application "
        "AND b.processor = p.processor AND b.stream_id = l.stream_id AND b.shard = l.shard "
        "WHERE p.application = $1 AND p.processor = $5 AND ($2::text IS NULL OR s.name = $2 OR "
        "s.stream_id = $2) AND ($3::text IS NULL OR l.shard = $3) AND b.is_passed IS NOT TRUE "
        "ORDER BY l.stream_id, l.shard";
    struct leat_operator *task = checkpoint->task;
    struct leat_error err;
    PGresult *result;

    if (leat_operator_read(task, sql, &result, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    checkpoint->count = (size_t)PQntuples(result);
    checkpoint->items =
        leat_arena_alloc_zero(&checkpoint->arena, checkpoint->count + 1, sizeof *checkpoint->items);
    for (int i = 0; i < PQntuples(result); i++)
        checkpoint->items[i] = (struct leat_checkpoint_item){
            .stream_id = copy(checkpoint, result, i, 0),
            .stream = copy(checkpoint, result, i, 1),
            .shard = copy(checkpoint, result, i, 2),
            .initial = copy(checkpoint, result, i, 3),
        };
    PQclear(result);
    return LEAT_EXIT_OK;
}

/* Nothing was found: the nearest reason. */
static int
say_none(struct leat_checkpoint *checkpoint)
{
    static const char processors_sql[] =
        "SELECT processor::text FROM leat.processors WHERE application = $1 AND processor = $5";
    static const char streams_sql[] =
        "SELECT s.name FROM leat.processors p JOIN leat.streams s ON s.application = p.application "
        "AND (p.streams IS NULL OR s.name = ANY (p.streams)) WHERE p.application = $1 AND "
        "p.processor = $5 ORDER BY 1";
    static const char passed_sql[] = "SELECT 1 FROM leat.start_shards b WHERE b.application = $1 "
                                     "AND b.processor = $5 AND b.shard "
                                     "= $3 AND b.is_passed";
    struct leat_operator *task = checkpoint->task;
    PGresult *processors = NULL, *streams = NULL, *passed = NULL;
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;
    struct leat_error err;
    int status = leat_operator_read(task, processors_sql, &processors, &err);

    if (status == 0)
        status = leat_operator_read(task, streams_sql, &streams, &err);
    if (status == 0)
        status = leat_operator_read(task, passed_sql, &passed, &err);
    if (status != 0) {
        leat_command_failed(task->command->name, &err);
    } else if (PQntuples(processors) == 0) {
        leat_operator_says(
            task, 0, "processor \"%s\" is not registered in application \"%s\": it has never run",
            task->database.processor, task->database.application);
    } else if (task->shard != NULL && PQntuples(passed) > 0) {
        leat_operator_says(
            task, 0, "shard \"%s\" lies before the start of processor \"%s\": it does not read it",
            task->shard, task->database.processor);
    } else {
        leat_operator_names(streams, &all);
        leat_operator_says(task, 0,
                           "processor \"%s\" has no lease of %s%s%s%s%s; its streams: %s; see leat "
                           "shards --processor %s",
                           task->database.processor, task->shard != NULL ? "shard \"" : "any shard",
                           task->shard != NULL ? task->shard : "", task->shard != NULL ? "\"" : "",
                           task->stream != NULL ? " in stream " : "",
                           task->stream != NULL ? task->stream : "", leat_buf_text(&all),
                           task->database.processor);
    }
    PQclear(processors);
    PQclear(streams);
    PQclear(passed);
    return status != 0 && err.is_retryable ? LEAT_EXIT_UNAVAILABLE : LEAT_EXIT_FAILED;
}

static bool
has_several_streams(const struct leat_checkpoint *checkpoint)
{
    for (size_t i = 1; i < checkpoint->count; i++) {
        if (strcmp(checkpoint->items[i].stream, checkpoint->items[0].stream) != 0)
            return true;
    }
    return false;
}

static int
check_words(struct leat_checkpoint *checkpoint)
{
    struct leat_operator *task = checkpoint->task;
    struct leat_error err;

    if (task->to == NULL)
        return leat_operator_says(task, LEAT_EXIT_USAGE,
                                  "say --to trim-horizon, latest, time=2026-11-26T03:00:00Z or "
                                  "seq=NUMBER");
    if (leat_rewind_parse(task->to, leat_clock_wall_us(), &checkpoint->to, &err) != 0)
        return leat_operator_says(task, LEAT_EXIT_USAGE, "%s", err.text);
    if ((task->shard != NULL) == task->is_all)
        return leat_operator_says(task, LEAT_EXIT_USAGE, "say which: --shard SHARD or --all");
    if (checkpoint->to.kind == LEAT_POSITION_SEQUENCE && task->shard == NULL)
        return leat_operator_says(task, LEAT_EXIT_USAGE,
                                  "a sequence number is of one shard: say --shard SHARD");
    return LEAT_EXIT_OK;
}

/* ---- show ------------------------------------------------------------------------------------ */

static int
show_rows(struct leat_checkpoint *checkpoint)
{
    static const struct leat_sheet_column columns[] = {
        {"stream"},     {"stream_id", LEAT_CELL_TEXT, true},   {"shard"},
        {"checkpoint"}, {"sub_sequence", LEAT_CELL_RAW, true},
    };
    struct leat_operator *task = checkpoint->task;
    struct leat_sheet sheet;
    struct leat_error err;

    leat_sheet_init(&sheet, task->database.output, columns, LEAT_COUNT_OF(columns), stdout);
    for (size_t i = 0; i < checkpoint->count; i++) {
        const struct leat_checkpoint_item *item = &checkpoint->items[i];
        char sub[24];

        snprintf(sub, sizeof sub, "%lld", (long long)item->from_sub);
        leat_sheet_text(&sheet, item->stream);
        leat_sheet_text(&sheet, item->stream_id);
        leat_sheet_text(&sheet, item->shard);
        leat_sheet_text(&sheet, item->from);
        leat_sheet_text(&sheet, item->from != NULL ? sub : NULL);
    }
    return leat_sheet_finish(&sheet, &err) == 0 ? LEAT_EXIT_OK
                                                : leat_command_failed(task->command->name, &err);
}

/* ---- both ------------------------------------------------------------------------------------ */

/* What they begin with. An exit code. */
static int
open_and_find(struct leat_checkpoint *checkpoint)
{
    struct leat_operator *task = checkpoint->task;
    int code = find_processor(checkpoint);

    if (code == LEAT_EXIT_OK)
        code = leat_operator_application(task);
    if (code == LEAT_EXIT_OK)
        code = find_items(checkpoint);
    if (code == LEAT_EXIT_OK && checkpoint->count == 0)
        code = say_none(checkpoint);
    if (code == LEAT_EXIT_OK && task->shard != NULL && has_several_streams(checkpoint))
        code = leat_operator_says(task, LEAT_EXIT_USAGE,
                                  "more than one stream has a shard \"%s\": say --stream NAME",
                                  task->shard);
    if (code == LEAT_EXIT_OK)
        code = open_target(checkpoint);
    return code == LEAT_EXIT_OK ? leat_checkpoint_read(checkpoint) : code;
}

static void
release(struct leat_checkpoint *checkpoint)
{
    leat_pg_close(checkpoint->target);
    leat_arena_release(&checkpoint->arena);
}

static int
show(struct leat_operator *task)
{
    struct leat_checkpoint checkpoint = {.task = task};
    int code;

    leat_arena_init(&checkpoint.arena);
    code = open_and_find(&checkpoint);
    if (code == LEAT_EXIT_OK)
        code = show_rows(&checkpoint);
    release(&checkpoint);
    return code;
}

/* What it means, in sentences. */
static void
say_meaning(const struct leat_checkpoint *checkpoint)
{
    const struct leat_operator *task = checkpoint->task;
    bool has[4] = {false};

    for (size_t i = 0; i < checkpoint->count; i++) {
        if (!checkpoint->items[i].is_left_alone)
            has[checkpoint->items[i].direction] = true;
    }
    if (has[LEAT_REWIND_BACK] || has[LEAT_REWIND_EITHER])
        leat_operator_says(task, 0,
                           "where it goes back, records that were committed come again: sums of "
                           "processor \"%s\" double by them",
                           checkpoint->processor->name);
    if (has[LEAT_REWIND_FORWARD] || has[LEAT_REWIND_EITHER])
        leat_operator_says(task, 0,
                           "where it goes forward, records between are skipped: they are never "
                           "processed and are in no archive");
}

static int
set(struct leat_operator *task)
{
    struct leat_checkpoint checkpoint = {.task = task};
    int code = check_words(&checkpoint);

    leat_arena_init(&checkpoint.arena);
    if (code == LEAT_EXIT_OK)
        code = open_and_find(&checkpoint);
    if (code == LEAT_EXIT_OK)
        code = leat_checkpoint_ask_streams(&checkpoint);
    if (code == LEAT_EXIT_OK) {
        code = leat_checkpoint_print(&checkpoint);
        say_meaning(&checkpoint);
    }
    if (code == LEAT_EXIT_OK && task->is_dry_run) {
        leat_operator_says(task, 0, "dry run: nothing was changed");
    } else if (code == LEAT_EXIT_OK) {
        code = leat_operator_confirm(task, "Put the checkpoints there?");
        if (code == LEAT_EXIT_OK)
            code = leat_checkpoint_move(&checkpoint);
    }
    release(&checkpoint);
    return code;
}

int
leat_command_checkpoint(int argc, char **argv)
{
    static const struct leat_operator_action actions[] = {
        {"show", "checkpoint show -c FILE --processor NAME [--stream NAME] [--shard SHARD]", 0,
         LEAT_TAKES_PROCESSOR | LEAT_TAKES_STREAM | LEAT_TAKES_SHARD, show},
        {"set",
         "checkpoint set -c FILE --processor NAME [--stream NAME] (--shard SHARD | --all) --to "
         "WHERE "
         "[--dry-run] [--yes]",
         0,
         LEAT_TAKES_PROCESSOR | LEAT_TAKES_STREAM | LEAT_TAKES_SHARD | LEAT_TAKES_ALL |
             LEAT_TAKES_TO | LEAT_TAKES_DRY_RUN | LEAT_TAKES_YES,
         set},
    };
    static const struct leat_operator_command command = {"checkpoint",           help, actions,
                                                         LEAT_COUNT_OF(actions), NULL, true};

    return leat_operator_run(argc, argv, &command);
}
