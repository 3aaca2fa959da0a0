/*
 * See stuck.h. What is done about it comes in steps: named, then a rewind after act_after, then the lease is given away half as long
 * after that, and again at three, six, … times act_after: the lease may have nobody to go to, or come back. A call is not
 * interrupted, and nobody else hears a rewind while it runs: there the first step is the second one, and its deadline is waited
 * for.
 */
#include "pipeline/stuck.h"

#define MOST_DOUBLINGS 8

const char *const leat_waits_for_text[] = {
    [LEAT_WAITS_FOR_NOTHING] = "",
    [LEAT_WAITS_FOR_CALL] = "in a call",
    [LEAT_WAITS_FOR_TARGET] = "waiting for the target",
    [LEAT_WAITS_FOR_LETTERS] = "waiting for letters",
    [LEAT_WAITS_FOR_TAKE] = "taking",
    [LEAT_WAITS_FOR_STREAM] = "reading",
    [LEAT_WAITS_FOR_LEASES] = "waiting for the lease database",
    [LEAT_WAITS_FOR_THREAD] = "waiting for a worker thread",
    [LEAT_WAITS_FOR_PARENTS] = "waiting for parents",
    [LEAT_WAITS_FOR_MEMORY] = "waiting for memory",
    [LEAT_WAITS_FOR_RETRY] = "trying again",
    [LEAT_WAITS_FOR_OUTAGE] = "waiting for what is not available",
    [LEAT_WAITS_FOR_OPERATOR] = "blocked or paused",
};

bool
leat_is_stuck(enum leat_waits_for waits_for)
{
    return waits_for >= LEAT_WAITS_FOR_CALL && waits_for <= LEAT_WAITS_FOR_THREAD;
}

static enum leat_waits_for
reading(const struct leat_stuck_facts *facts, const struct leat_stuck_settings *settings,
        int64_t now_us)
{
    /* An idle shard answers, too, about as often as it is asked. */
    bool is_silent = now_us - facts->answered_us >= settings->stuck_after_us / 4;

    return is_silent || facts->behind_ms > 0 ? LEAT_WAITS_FOR_STREAM : LEAT_WAITS_FOR_NOTHING;
}

/* What stands in the way comes first, then what would be done next. */
static enum leat_waits_for
waits_for(const struct leat_stuck_facts *facts, const struct leat_stuck_settings *settings,
          int64_t now_us)
{
    if (facts->is_at_rest)
        return LEAT_WAITS_FOR_OPERATOR;
    if (facts->call_since_us != 0 || facts->is_behind_a_call)
        return LEAT_WAITS_FOR_CALL;
    if (facts->is_blocked)
        return LEAT_WAITS_FOR_OPERATOR;
    if (facts->is_waiting_parents)
        return LEAT_WAITS_FOR_PARENTS;
    if (facts->is_outage)
        return LEAT_WAITS_FOR_OUTAGE;
    if (facts->is_taking)
        return LEAT_WAITS_FOR_TAKE;
    if (facts->has_letters)
        return LEAT_WAITS_FOR_LETTERS;
    if (facts->has_rows)
        return LEAT_WAITS_FOR_TARGET;
    if (facts->is_ending)
        return LEAT_WAITS_FOR_LEASES;
    if (facts->is_retrying)
        return LEAT_WAITS_FOR_RETRY;
    if (facts->is_short_of_memory)
        return LEAT_WAITS_FOR_MEMORY;
    if (facts->has_chunks)
        return LEAT_WAITS_FOR_THREAD;
    return reading(facts, settings, now_us);
}

static int64_t
act_at_us(const struct leat_stuck *stuck, const struct leat_stuck_facts *facts,
          const struct leat_stuck_settings *settings)
{
    int64_t from_us = stuck->acts == 0 ? stuck->since_us : stuck->acted_us;
    int64_t after_us = settings->act_after_us;

    /* A call has its own deadline. */
    if (facts->call_since_us != 0 && facts->call_due_us > from_us)
        from_us = facts->call_due_us;
    if (stuck->acts == 1)
        after_us /= 2;
    else if (stuck->acts > 1)
        after_us = (after_us * 3 / 2)
                   << (stuck->acts - 2 < MOST_DOUBLINGS ? stuck->acts - 2 : MOST_DOUBLINGS);
    return from_us + after_us;
}

static enum leat_stuck_act
act(struct leat_stuck *stuck, const struct leat_stuck_facts *facts,
    const struct leat_stuck_settings *settings, int64_t now_us)
{
    bool is_deaf = stuck->waits_for == LEAT_WAITS_FOR_CALL ||
                   stuck->waits_for == LEAT_WAITS_FOR_THREAD;

    if (settings->act_after_us == 0 || now_us < act_at_us(stuck, facts, settings))
        return LEAT_STUCK_NOTHING;
    stuck->acts++;
    stuck->acted_us = now_us;
    if (stuck->acts == 1 && !is_deaf)
        return LEAT_STUCK_REWIND;
    if (stuck->acts == 1)
        stuck->acts = 2;
    return LEAT_STUCK_GIVE_AWAY;
}

enum leat_stuck_act
leat_stuck_look(struct leat_stuck *stuck, const struct leat_stuck_facts *facts,
                const struct leat_stuck_settings *settings, int64_t now_us)
{
    enum leat_waits_for now_for = waits_for(facts, settings, now_us);
    bool was_named = stuck->is_named;

    if (!leat_is_stuck(now_for) || facts->progress != stuck->progress) {
        *stuck = (struct leat_stuck){.progress = facts->progress, .waits_for = now_for};
        if (leat_is_stuck(now_for))
            stuck->since_us = now_us;
        return was_named ? LEAT_STUCK_OVER : LEAT_STUCK_NOTHING;
    }
    stuck->waits_for = now_for;
    if (stuck->since_us == 0)
        stuck->since_us = now_us;
    if (!was_named) {
        stuck->is_named = now_us - stuck->since_us >= settings->stuck_after_us;
        return stuck->is_named ? LEAT_STUCK_NAME : LEAT_STUCK_NOTHING;
    }
    return act(stuck, facts, settings, now_us);
}
