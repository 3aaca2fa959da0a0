/*
 * See stream_plan.h. An answer that is older than what is known (a service that repeats itself) changes nothing: streams are
 * only ever made anew.
 */
#include "lease/stream_plan.h"

#include <string.h>

struct planning {
    const struct leat_stream_row *rows;
    size_t row_count;
    bool stops_recreated;
    struct leat_stream_change *changes;
    size_t count;
};

static void
add(struct planning *p, enum leat_stream_change_kind kind, const struct leat_source_facts *facts,
    enum leat_stream_state state)
{
    p->changes[p->count++] = (struct leat_stream_change){kind, {*facts, state}};
}

static bool
is_of(const struct leat_stream_row *row, const struct leat_stream_answer *answer)
{
    return strcmp(row->facts.name, answer->name) == 0;
}

/* One that was known, be it gone by now, is younger than what we are told. */
static bool
is_outdated(const struct planning *p, const struct leat_stream_answer *answer)
{
    for (size_t i = 0; i < p->row_count; i++) {
        if (is_of(&p->rows[i], answer) &&
            p->rows[i].facts.created_us / 1000000 > answer->facts->created_us / 1000000)
            return true;
    }
    return false;
}

static void
plan_known(struct planning *p, const struct leat_stream_row *row,
           const struct leat_source_facts *facts)
{
    struct leat_source_facts merged = *facts;
    bool is_other = facts->retention_ms > 0 && facts->retention_ms != row->facts.retention_ms;

    if (facts->retention_ms == 0)
        merged.retention_ms = row->facts.retention_ms;
    if (row->state == LEAT_STREAM_GONE ||
        (row->state == LEAT_STREAM_STOPPED && !p->stops_recreated))
        add(p, LEAT_CHANGE_BACK, &merged, LEAT_STREAM_ACTIVE);
    else if (is_other)
        add(p, LEAT_CHANGE_FACTS, &merged, row->state);
}

static void
plan_answer(struct planning *p, const struct leat_stream_answer *answer)
{
    const struct leat_stream_row *same = NULL;
    bool is_again = false;

    if (answer->facts != NULL && is_outdated(p, answer))
        return;
    for (size_t i = 0; i < p->row_count; i++) {
        const struct leat_stream_row *row = &p->rows[i];

        if (!is_of(row, answer))
            continue;
        if (answer->facts != NULL && strcmp(row->facts.stream_id, answer->facts->stream_id) == 0) {
            same = row;
            continue;
        }
        is_again = true;
        if (row->state != LEAT_STREAM_GONE)
            add(p, LEAT_CHANGE_GONE, &row->facts, LEAT_STREAM_GONE);
    }
    if (answer->facts == NULL)
        return;
    if (same != NULL)
        plan_known(p, same, answer->facts);
    else
        add(p, is_again ? LEAT_CHANGE_REMADE : LEAT_CHANGE_NEW, answer->facts,
            is_again && p->stops_recreated ? LEAT_STREAM_STOPPED : LEAT_STREAM_ACTIVE);
}

size_t
leat_stream_plan(const struct leat_stream_rows *rows, const struct leat_stream_answer *answers,
                 size_t answer_count, bool stops_recreated, struct leat_stream_change *ret_changes)
{
    struct planning p = {rows->rows, rows->count, stops_recreated, ret_changes, 0};

    for (size_t i = 0; i < answer_count; i++)
        plan_answer(&p, &answers[i]);
    return p.count;
}
