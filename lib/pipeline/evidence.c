/*
 * See evidence.h. A judgement is one transaction that holds known rows first and the questionable ones behind them: so a table that
 * is dropped and made again between two statements of ours accuses nobody.
 *
 * Bounds: so many kinds are remembered, with a small row each; so many rows of a flush are tried for each kind; and a kind that
 * was looked for in vain is not looked for again at once, since a thousand shards may wait for the same table.
 */
#include "pipeline/evidence.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define MOST_KINDS 64
#define ROW_BYTES 4096
#define RENEW_US (5 * LEAT_SECOND_US)
#define IN_VAIN_US (1 * LEAT_SECOND_US)
#define MOST_TRIED 16
#define COLUMNS 256

struct kind {
    size_t table_index, width;
    enum leat_operation operation;
    uint64_t present[COLUMNS / 64];
};

/* What is known of a kind; its row's bytes are the arena's. */
struct remembered {
    struct kind kind;
    struct leat_flush_rows row; /* count 0: none */
    struct leat_arena arena;
    int64_t seen_us, in_vain_us; /* monotonic; 0: never */
};

struct leat_evidence {
    struct leat_mutex lock;
    struct remembered kinds[MOST_KINDS] LEAT_FIELD_GUARDED_BY(lock);
    size_t kind_count LEAT_FIELD_GUARDED_BY(lock);
    _Atomic size_t turn; /* of many rows others are tried each time */
};

struct leat_evidence *
leat_evidence_new(void)
{
    struct leat_evidence *evidence = LEAT_NEW(struct leat_evidence);

    leat_mutex_init(&evidence->lock);
    return evidence;
}

void
leat_evidence_free(struct leat_evidence *evidence)
{
    if (evidence == NULL)
        return;
    leat_is_unshared();
    for (size_t i = 0; i < evidence->kind_count; i++)
        leat_arena_release(&evidence->kinds[i].arena);
    leat_mutex_release(&evidence->lock);
    free(evidence);
}

/* ---- kinds ------------------------------------------------------------------------------------ */

static struct kind
kind_of(const struct leat_flush_rows *rows)
{
    struct kind kind = {rows->table_index, rows->width, rows->operation, {0}};

    for (size_t c = 0; c < rows->width && c < COLUMNS; c++) {
        if (rows->values[c].type != LEAT_ABSENT)
            kind.present[c / 64] |= (uint64_t)1 << (c % 64);
    }
    return kind;
}

static bool
is_same(const struct kind *a, const struct kind *b)
{
    return a->table_index == b->table_index && a->operation == b->operation &&
           memcmp(a->present, b->present, sizeof a->present) == 0;
}

static struct remembered *
find(struct leat_evidence *evidence, const struct kind *kind) LEAT_REQUIRES(evidence->lock)
{
    for (size_t i = 0; i < evidence->kind_count; i++) {
        if (is_same(&evidence->kinds[i].kind, kind))
            return &evidence->kinds[i];
    }
    return NULL;
}

/* Its place; a new kind takes that of the one that was not seen for longest when there are many. */
static struct remembered *
place_for(struct leat_evidence *evidence, const struct kind *kind) LEAT_REQUIRES(evidence->lock)
{
    struct remembered *place = find(evidence, kind);

    if (place != NULL)
        return place;
    if (evidence->kind_count < MOST_KINDS) {
        place = &evidence->kinds[evidence->kind_count++];
        leat_arena_init(&place->arena);
    } else {
        place = &evidence->kinds[0];
        for (size_t i = 1; i < MOST_KINDS; i++) {
            if (evidence->kinds[i].seen_us < place->seen_us)
                place = &evidence->kinds[i];
        }
        leat_arena_reset(&place->arena);
    }
    place->kind = *kind;
    place->row = (struct leat_flush_rows){0};
    place->seen_us = place->in_vain_us = 0;
    return place;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static bool
has_bytes(const struct leat_value *value)
{
    return value->type == LEAT_TEXT || value->type == LEAT_BYTES || value->type == LEAT_JSON ||
           value->type == LEAT_DECIMAL;
}

static size_t
row_bytes(const struct leat_flush_rows *rows, size_t row)
{
    size_t bytes = rows->width * sizeof(struct leat_value);

    for (size_t c = 0; c < rows->width; c++) {
        const struct leat_value *value = &rows->values[row * rows->width + c];

        if (has_bytes(value))
            bytes += leat_value_slice(value).size;
    }
    return bytes;
}

static struct leat_flush_rows
one_row(const struct leat_flush_rows *rows, size_t row)
{
    struct leat_flush_rows one = *rows;

    one.values += row * rows->width;
    one.count = 1;
    return one;
}

static struct leat_flush_rows
copy_row(const struct leat_flush_rows *row, struct leat_arena *arena)
{
    struct leat_value *values = leat_arena_alloc(arena, row->width * sizeof *values);
    struct leat_flush_rows copy = *row;

    for (size_t c = 0; c < row->width; c++) {
        values[c] = row->values[c];
        if (has_bytes(&values[c]))
            values[c].as.bytes.data = leat_arena_copy(arena, leat_value_slice(&values[c])).data;
    }
    copy.values = values;
    return copy;
}

static void
remember(struct leat_evidence *evidence, const struct leat_flush_rows *row, int64_t now_us)
{
    struct kind kind = kind_of(row);
    struct remembered *place;

    if (row_bytes(row, 0) > ROW_BYTES)
        return;
    leat_mutex_lock(&evidence->lock);
    place = place_for(evidence, &kind);
    if (place->row.count == 0 || now_us - place->seen_us >= RENEW_US) {
        leat_arena_reset(&place->arena);
        place->row = copy_row(row, &place->arena);
        place->seen_us = now_us;
    }
    place->in_vain_us = 0;
    leat_mutex_unlock(&evidence->lock);
}

/* False: there is none. */
static bool
recall(struct leat_evidence *evidence, const struct kind *kind, struct leat_arena *arena,
       struct leat_flush_rows *ret_row)
{
    struct remembered *place;
    bool has_row;

    leat_mutex_lock(&evidence->lock);
    place = find(evidence, kind);
    has_row = place != NULL && place->row.count > 0;
    if (has_row)
        *ret_row = copy_row(&place->row, arena);
    leat_mutex_unlock(&evidence->lock);
    return has_row;
}

static bool
was_in_vain(struct leat_evidence *evidence, const struct kind *kind)
{
    struct remembered *place;
    bool was;

    leat_mutex_lock(&evidence->lock);
    place = find(evidence, kind);
    was = place != NULL && place->in_vain_us != 0 &&
          leat_clock_monotonic_us() - place->in_vain_us < IN_VAIN_US;
    leat_mutex_unlock(&evidence->lock);
    return was;
}

static void
say_in_vain(struct leat_evidence *evidence, const struct kind *kind)
{
    leat_mutex_lock(&evidence->lock);
    place_for(evidence, kind)->in_vain_us = leat_clock_monotonic_us();
    leat_mutex_unlock(&evidence->lock);
}

void
leat_evidence_see(struct leat_evidence *evidence, const struct leat_flush *flush)
{
    int64_t now_us = leat_clock_monotonic_us();

    for (size_t g = 0; g < flush->group_count; g++) {
        struct leat_flush_rows row = one_row(&flush->groups[g], 0);

        remember(evidence, &row, now_us);
    }
}

/* ---- a judgement ------------------------------------------------------------------------------ */

struct judging {
    struct leat_evidence *evidence;
    const struct leat_evidence_question *question;
    struct leat_arena arena;
    struct leat_flush_rows *known; /* one row for each group of the flush */
};

static int
try_row(struct judging *judging, const struct leat_flush_rows *row, bool *ret_is_taken,
        struct leat_error *err)
{
    struct leat_trial trial = {.size = sizeof trial, .groups = row, .group_count = 1};
    enum leat_trial_outcome outcome = LEAT_TRIAL_REFUSED;
    int status =
        judging->question->ops->try_rows(judging->question->committer, &trial, &outcome, err);

    if (status == 0)
        *ret_is_taken = outcome == LEAT_TRIAL_TAKEN;
    return status;
}

/* A row of the group's kind that the target takes now: the remembered one, or one of the group's own. */
static int
find_known(struct judging *judging, const struct leat_flush_rows *rows, bool *ret_has_one,
           struct leat_flush_rows *ret_row, struct leat_error *err)
{
    struct kind kind = kind_of(rows);
    size_t step = rows->count > MOST_TRIED ? rows->count / MOST_TRIED : 1, tried = 0;
    size_t first = step > 1 ? judging->evidence->turn++ % step : 0;
    bool is_taken = false;
    int status = 0;

    *ret_has_one = false;
    if (!judging->question->is_thorough && was_in_vain(judging->evidence, &kind))
        return 0;
    if (recall(judging->evidence, &kind, &judging->arena, ret_row))
        status = try_row(judging, ret_row, &is_taken, err);
    for (size_t i = first; status == 0 && !is_taken && i < rows->count && tried < MOST_TRIED;
         i += step, tried++) {
        *ret_row = one_row(rows, i);
        status = try_row(judging, ret_row, &is_taken, err);
    }
    if (status != 0)
        return status;
    *ret_has_one = is_taken;
    if (is_taken)
        remember(judging->evidence, ret_row, leat_clock_monotonic_us());
    else
        say_in_vain(judging->evidence, &kind);
    return 0;
}

static int
judge(struct judging *judging, enum leat_guilt *ret_guilt, struct leat_error *err)
{
    const struct leat_flush *flush = judging->question->flush;
    struct leat_trial trial = {.size = sizeof trial,
                               .known = judging->known,
                               .known_count = flush->group_count,
                               .groups = flush->groups,
                               .group_count = flush->group_count};
    enum leat_trial_outcome outcome = LEAT_TRIAL_KNOWN_REFUSED;
    int status;

    *ret_guilt = LEAT_GUILT_UNPROVEN;
    for (size_t g = 0; g < flush->group_count; g++) {
        bool has_one = false;

        status = find_known(judging, &flush->groups[g], &has_one, &judging->known[g], err);
        if (status != 0 || !has_one)
            return status;
    }
    status = judging->question->ops->try_rows(judging->question->committer, &trial, &outcome, err);
    if (status != 0 && judging->question->is_lost) {
        outcome = LEAT_TRIAL_REFUSED;
        status = 0;
    }
    if (status == 0 && outcome == LEAT_TRIAL_REFUSED)
        *ret_guilt = LEAT_GUILT_ROWS;
    if (status == 0 && outcome == LEAT_TRIAL_TAKEN)
        *ret_guilt = LEAT_GUILT_GONE;
    return status;
}

static bool
can_try(const struct leat_target *ops)
{
    return ops->size >= offsetof(struct leat_target, try_rows) + sizeof(ops->try_rows) &&
           ops->try_rows != NULL;
}

int
leat_evidence_judge(struct leat_evidence *evidence, const struct leat_evidence_question *question,
                    enum leat_guilt *ret_guilt, struct leat_error *err)
{
    struct judging judging = {.evidence = evidence, .question = question};
    int status;

    *ret_guilt = LEAT_GUILT_UNPROVEN;
    if (!can_try(question->ops))
        return 0;
    leat_arena_init(&judging.arena);
    judging.known = leat_arena_alloc(&judging.arena,
                                     (question->flush->group_count + 1) * sizeof *judging.known);
    status = judge(&judging, ret_guilt, err);
    leat_arena_release(&judging.arena);
    return status;
}

int
leat_evidence_ask(const struct leat_evidence_question *question, enum leat_guilt *ret_guilt,
                  struct leat_error *err)
{
    struct leat_trial trial = {.size = sizeof trial,
                               .groups = question->flush->groups,
                               .group_count = question->flush->group_count};
    enum leat_trial_outcome outcome = LEAT_TRIAL_REFUSED;
    int status;

    *ret_guilt = LEAT_GUILT_ROWS;
    if (!can_try(question->ops) || trial.group_count == 0)
        return 0;
    status = question->ops->try_rows(question->committer, &trial, &outcome, err);
    if (status == 0 && outcome == LEAT_TRIAL_TAKEN)
        *ret_guilt = LEAT_GUILT_GONE;
    return status;
}
