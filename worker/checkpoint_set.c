/*
 * Putting checkpoints elsewhere: progress in the target, then the lease database.
 *
 * Stories it survives. (1) A commit is under way: its fence has the row, we wait for it (bounded), and see what it wrote; what is
 * sent after us meets another commit number and is fenced. (2) The shard is idle: nothing is sent that could be fenced; so its
 * lease's counter grows, and whoever owns it takes again. (3) We die between the two databases: what is busy has noticed; what is
 * idle notices with its next commit or take. So nothing is lost, only late; and the lease database is tried for a while, since the
 * same command again would move back what is busy once more. (4) A consumer has just committed SHARD_END and has yet to say so: it would
 * end the lease behind our back; so ended shards are looked at a second time. (5) Nothing has been committed yet: the row is made,
 * below every lease's counter, and the first take finds it.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/point.h"
#include "lease/rows_operator.h"
#include "postgres/array.h"
#include "worker/checkpoint.h"

#define SECOND_LOOK_MS 1500
#define AGAIN_MS 500
#define AGAIN_TIMES 60

/* Of those that are moved: streams, shards, checkpoints as $3 … $5. */
struct bound {
    struct leat_buf streams, shards, to;
    struct leat_pg_parameters parameters;
};

static void
bind(struct bound *bound, const struct leat_checkpoint *checkpoint)
{
    size_t count = 0;

    for (size_t i = 0; i < checkpoint->count; i++)
        count += !checkpoint->items[i].is_left_alone;
    leat_buf_init(&bound->streams, SIZE_MAX);
    leat_buf_init(&bound->shards, SIZE_MAX);
    leat_buf_init(&bound->to, SIZE_MAX);
    leat_pg_array_begin(&bound->streams, LEAT_PG_TEXT, count);
    leat_pg_array_begin(&bound->shards, LEAT_PG_TEXT, count);
    leat_pg_array_begin(&bound->to, LEAT_PG_TEXT, count);
    for (size_t i = 0; i < checkpoint->count; i++) {
        const struct leat_checkpoint_item *item = &checkpoint->items[i];
        LEAT_AUTO_BUF to = LEAT_BUF_INIT;

        if (item->is_left_alone)
            continue;
        leat_position_format(&item->to, &to);
        leat_pg_array_bytes(&bound->streams, leat_slice_from(item->stream_id));
        leat_pg_array_bytes(&bound->shards, leat_slice_from(item->shard));
        leat_pg_array_bytes(&bound->to, leat_buf_slice(&to));
    }
    leat_pg_parameters_init(&bound->parameters);
    leat_pg_add_text(&bound->parameters, checkpoint->task->database.application);
    leat_pg_add_text(&bound->parameters, checkpoint->processor->name);
    leat_pg_add_array(&bound->parameters, LEAT_PG_TEXT_ARRAY, &bound->streams);
    leat_pg_add_array(&bound->parameters, LEAT_PG_TEXT_ARRAY, &bound->shards);
    leat_pg_add_array(&bound->parameters, LEAT_PG_TEXT_ARRAY, &bound->to);
}

static void
unbind(struct bound *bound)
{
    leat_buf_release(&bound->streams);
    leat_buf_release(&bound->shards);
    leat_buf_release(&bound->to);
}

#define WANTED "unnest($3::text[], $4::text[], $5::text[]) AS w (stream_id, shard, checkpoint)"
#define KEY                                                                                        \
    "p.application = $1 AND p.processor = $2 AND p.tenant = '' AND p.stream_id = w.stream_id AND " \
    "p.shard = w.shard"

static const char read_sql[] =
    "SELECT p.stream_id::text, p.shard::text, p.checkpoint::text, p.sub_sequence FROM " WANTED
    " JOIN leat.progress p ON " KEY " ORDER BY p.stream_id, p.shard";
/* As the fence locks them. */
static const char lock_sql[] =
    "SELECT p.stream_id::text, p.shard::text, p.checkpoint::text, p.sub_sequence FROM " WANTED
    " JOIN leat.progress p ON " KEY " ORDER BY p.application, p.processor, p.tenant, p.stream_id, "
    "p.shard FOR UPDATE OF p";
static const char move_sql[] =
    "INSERT INTO leat.progress AS p (application, processor, stream_id, shard, lease_counter, "
    "lease_owner, checkpoint, commit_seq, takes) SELECT $1, $2, w.stream_id, w.shard, 0, 0, "
    "w.checkpoint, 1, 0 FROM " WANTED " ORDER BY w.stream_id COLLATE \"C\", w.shard COLLATE \"C\" "
    "ON CONFLICT (application, processor, tenant, stream_id, shard) DO UPDATE SET checkpoint = "
    "excluded.checkpoint, sub_sequence = -1, saved_state = NULL, commit_seq = p.commit_seq + 2, "
    "takes = 0, probe_sequence = NULL, probe_sub = NULL";

/* ---- reading --------------------------------------------------------------------------------- */

/* Both are in the same order. */
static int
take_rows(struct leat_checkpoint *checkpoint, const PGresult *result, struct leat_error *err)
{
    size_t at = 0;
    int status = 0;

    for (size_t i = 0; i < checkpoint->count; i++)
        checkpoint->items[i].from = NULL;
    for (int row = 0; status == 0 && row < PQntuples(result); row++) {
        struct leat_checkpoint_item *item;

        while (strcmp(checkpoint->items[at].stream_id, PQgetvalue(result, row, 0)) != 0 ||
               strcmp(checkpoint->items[at].shard, PQgetvalue(result, row, 1)) != 0) {
            at++;
            LEAT_ASSERT(at < checkpoint->count);
        }
        item = &checkpoint->items[at];
        item->from = (const char *)leat_arena_copy(&checkpoint->arena,
                                                   leat_slice_from(PQgetvalue(result, row, 2)))
                         .data;
        item->from_sub = leat_pg_int8(PQgetvalue(result, row, 3));
    }
    for (size_t i = 0; status == 0 && i < checkpoint->count; i++) {
        struct leat_checkpoint_item *item = &checkpoint->items[i];

        status =
            leat_position_parse(leat_slice_from(item->from != NULL ? item->from : item->initial),
                                item->from != NULL ? item->from_sub : -1, &item->at, err);
        if (status != 0)
            leat_error_prefix(err, "progress of shard \"%s\"", item->shard);
    }
    return status;
}

static int
read_with(struct leat_checkpoint *checkpoint, const char *sql, struct leat_error *err)
{
    struct bound bound;
    PGresult *result;
    int status;

    bind(&bound, checkpoint);
    status = leat_pg_execute(checkpoint->target, sql, &bound.parameters, &result, err);
    if (status == 0) {
        status = take_rows(checkpoint, result, err);
        PQclear(result);
    }
    unbind(&bound);
    return status;
}

int
leat_checkpoint_read(struct leat_checkpoint *checkpoint)
{
    struct leat_error err;

    return read_with(checkpoint, read_sql, &err) == 0
               ? LEAT_EXIT_OK
               : leat_command_failed(checkpoint->task->command->name, &err);
}

int
leat_checkpoint_print(const struct leat_checkpoint *checkpoint)
{
    static const struct leat_sheet_column columns[] = {
        {"stream"}, {"stream_id", LEAT_CELL_TEXT, true}, {"shard"}, {"from"}, {"to"}, {"way"},
        {"note"},
    };
    const struct leat_operator *task = checkpoint->task;
    struct leat_sheet sheet;
    struct leat_error err;

    leat_sheet_init(&sheet, task->database.output, columns, LEAT_COUNT_OF(columns), stdout);
    for (size_t i = 0; i < checkpoint->count; i++) {
        const struct leat_checkpoint_item *item = &checkpoint->items[i];
        LEAT_AUTO_BUF to = LEAT_BUF_INIT;

        leat_position_format(&item->to, &to);
        leat_sheet_text(&sheet, item->stream);
        leat_sheet_text(&sheet, item->stream_id);
        leat_sheet_text(&sheet, item->shard);
        leat_sheet_text(&sheet, item->from);
        leat_sheet_text(&sheet, item->is_left_alone ? item->from : leat_buf_text(&to));
        leat_sheet_text(&sheet,
                        item->is_left_alone ? NULL : leat_rewind_direction_names[item->direction]);
        leat_sheet_text(&sheet, item->note);
    }
    return leat_sheet_finish(&sheet, &err) == 0 ? LEAT_EXIT_OK
                                                : leat_command_failed(task->command->name, &err);
}

/* ---- moving ---------------------------------------------------------------------------------- */

static int
move_progress(struct leat_checkpoint *checkpoint, struct leat_error *err)
{
    struct bound bound;
    int status =
        leat_pg_script(checkpoint->target,
                       "BEGIN; SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout "
                       "= '60s'",
                       err);

    /* What is there now, behind whatever was under way. */
    if (status == 0)
        status = read_with(checkpoint, lock_sql, err);
    bind(&bound, checkpoint);
    if (status == 0)
        status = leat_pg_execute(checkpoint->target, move_sql, &bound.parameters, NULL, err);
    unbind(&bound);
    if (status == 0)
        status = leat_pg_script(checkpoint->target, "COMMIT", err);
    if (status != 0 && !leat_pg_is_broken(checkpoint->target))
        leat_pg_script(checkpoint->target, "ROLLBACK", NULL);
    return status;
}

/* The items of one stream, from `first` on. */
static int
tell_stream(struct leat_checkpoint *checkpoint, size_t first, size_t *ret_end, bool is_first,
            struct leat_rewound *sum, struct leat_error *err)
{
    struct leat_operator *task = checkpoint->task;
    struct leat_rewound rewound = {.processor = checkpoint->processor->name,
                                   .stream_id = checkpoint->items[first].stream_id,
                                   .is_first = is_first};
    const char **shards = LEAT_NEW_ARRAY(const char *, checkpoint->count);
    size_t at = first;
    int status = 0;

    for (;
         at < checkpoint->count && strcmp(checkpoint->items[at].stream_id, rewound.stream_id) == 0;
         at++) {
        if (!checkpoint->items[at].is_left_alone)
            shards[rewound.shard_count++] = checkpoint->items[at].shard;
    }
    rewound.shards = shards;
    if (rewound.shard_count > 0)
        status = leat_rows_rewound(task->connection, &task->rows, &rewound, err);
    sum->reopened += rewound.reopened;
    sum->raised += rewound.raised;
    free(shards);
    *ret_end = at;
    return status;
}

static int
tell_leases(struct leat_checkpoint *checkpoint, bool is_first, struct leat_rewound *sum,
            struct leat_error *err)
{
    int status = leat_operator_connect(checkpoint->task, err);

    for (size_t at = 0; status == 0 && at < checkpoint->count;)
        status = tell_stream(checkpoint, at, &at, is_first, sum, err);
    return status;
}

static void
say_moved(const struct leat_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        const struct leat_checkpoint_item *item = &checkpoint->items[i];
        LEAT_AUTO_BUF to = LEAT_BUF_INIT;

        if (item->is_left_alone)
            continue;
        leat_position_format(&item->to, &to);
        leat_operator_says(checkpoint->task, 0, "%s %s: %s -> %s", item->stream, item->shard,
                           item->from != NULL ? item->from : "(nothing)", leat_buf_text(&to));
    }
}

static size_t
moving(const struct leat_checkpoint *checkpoint)
{
    size_t count = 0;

    for (size_t i = 0; i < checkpoint->count; i++)
        count += !checkpoint->items[i].is_left_alone;
    return count;
}

/* It may be away for a moment. */
static int
tell_patiently(struct leat_checkpoint *checkpoint, bool is_first, struct leat_rewound *sum,
               struct leat_error *err)
{
    int status = tell_leases(checkpoint, is_first, sum, err);

    for (int i = 0; status != 0 && err->is_retryable && i < AGAIN_TIMES; i++) {
        poll(NULL, 0, AGAIN_MS);
        status = tell_leases(checkpoint, is_first, sum, err);
    }
    return status;
}

/* Those that had ended and have not done so anew: is their lease still open? */
static int
look_again(struct leat_checkpoint *checkpoint, struct leat_rewound *sum, struct leat_error *err)
{
    int status;

    for (size_t i = 0; i < checkpoint->count; i++) {
        if (checkpoint->items[i].at.kind != LEAT_POSITION_SHARD_END)
            checkpoint->items[i].is_left_alone = true;
    }
    if (moving(checkpoint) == 0)
        return 0;
    poll(NULL, 0, SECOND_LOOK_MS);
    status = read_with(checkpoint, read_sql, err);
    for (size_t i = 0; i < checkpoint->count; i++) {
        if (checkpoint->items[i].at.kind == LEAT_POSITION_SHARD_END)
            checkpoint->items[i].is_left_alone = true;
    }
    return status == 0 ? tell_patiently(checkpoint, false, sum, err) : status;
}

int
leat_checkpoint_move(struct leat_checkpoint *checkpoint)
{
    struct leat_operator *task = checkpoint->task;
    size_t count = moving(checkpoint);
    struct leat_rewound sum = {0};
    struct leat_error err;
    int status;

    if (move_progress(checkpoint, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    say_moved(checkpoint);
    LEAT_POINT("checkpoint.moved");
    status = tell_patiently(checkpoint, true, &sum, &err);
    if (status == 0)
        status = look_again(checkpoint, &sum, &err);
    if (status != 0) {
        leat_error_prefix(&err,
                          "the checkpoints are moved, but the lease database could not be told: "
                          "busy shards go on from there, idle ones with their next record or after "
                          "leat leases release --fence; for shards that had ended, say the same "
                          "again for each");
        return leat_command_failed(task->command->name, &err);
    }
    return leat_operator_says(task, LEAT_EXIT_OK,
                              "%zu checkpoint%s moved, %zu ended lease%s opened again, %zu owner%s "
                              "told",
                              count, count == 1 ? "" : "s", sum.reopened,
                              sum.reopened == 1 ? "" : "s", sum.raised, sum.raised == 1 ? "" : "s");
}
