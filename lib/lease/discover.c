/*
 * Which streams there are: names are described, patterns compared with one listing, and what changed is stored in leat.streams for
 * the whole fleet (rows_streams.h: claims). Everybody follows those rows; nobody else asks the service.
 *
 * Stories. (1) The service allows 20 DescribeStreamSummary a second and 5 ListStreams for the account: a listing tells facts for
 * many streams at once, one that lacks nothing is not described, and beyond the first ten a look paces itself. (2) A stream is
 * missing in a listing that is a little old: it is gone only when it is asked for by name and is not there. (3) One name is refused
 * (a right is missing): the others are stored, it alone is looked up again. (4) A look is cut by a crash: nothing of it is stored,
 * the claim is somebody else's. (5) Names are refused, or answered with garbage, or not at all, or the listing is: each is said by
 * name, the others are asked all the same, and what has no answer is asked for again, by whoever comes next. Only when there is
 * nothing at all to read, at a start, is what is refused a reason to end: a name or a key is wrong, and a person looks.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "lease/abreast.h"
#include "lease/inside.h"
#include "stream/spec.h"

#define AT_ONCE 10
#define AT_A_TIME 20
#define FRESH_US (3 * LEAT_SECOND_US)
#define PACE_US (60 * LEAT_MS_US)

struct asked {
    char name[sizeof((struct leat_source_facts *)NULL)->name];
    struct leat_source_facts facts;
    bool is_missing, is_answered, is_listed, is_wanted;
    int code;               /* of its own error; 0: none */
    int status;             /* of what was asked by name */
    struct leat_error *why; /* its own, whatever it is; NULL: none, or it was not asked */
};

/* One look. */
struct looking {
    struct leat_lease_manager *manager;
    struct leat_pg_connection *connection;
    const struct leat_streams_options *options;
    const char **specs;
    bool *is_ours, *is_forced;
    struct leat_stream_rows rows;
    struct asked *asked;
    size_t count, capacity;
    bool is_list_missing; /* it was asked for, and not told */
    size_t *asking;       /* of asked: whom to ask by name, and how many */
    size_t asking_count;
    int64_t asking_since_us;
    struct leat_error first; /* of single names */
};

static void
say(const struct leat_lease_manager *manager, enum leat_log_level level, const char *what,
    const char *stream, const char *detail)
{
    const struct leat_lease_events *events = &manager->options.events;

    if (events->stream != NULL)
        events->stream(events->context, level, what, stream, detail);
}

/* ---- following ------------------------------------------------------------------------------- */

static void
told(void *context, const struct leat_source_facts *facts, enum leat_stream_state state)
{
    struct leat_lease_manager *manager = context;
    /* What a worker begins with is no news. */
    enum leat_log_level level = manager->has_synced ? LEAT_LOG_INFO : LEAT_LOG_DEBUG;

    if (state == LEAT_STREAM_ACTIVE)
        say(manager, level, "a stream is read from now on", facts->name, facts->stream_id);
    else if (state == LEAT_STREAM_GONE)
        say(manager, LEAT_LOG_INFO, "a stream is not read any more", facts->name, facts->stream_id);
    else
        say(manager, LEAT_LOG_ERROR,
            "a stream stands still: it was deleted and made again, and leases.on_recreated is "
            "stop; start the workers with start_over to read it from its start",
            facts->name, facts->stream_id);
}

void
leat_manager_tell_streams(struct leat_lease_manager *manager)
{
    leat_streams_on_change(manager->options.streams, told, manager);
}

int
leat_manager_follow_streams(struct leat_lease_manager *manager,
                            struct leat_pg_connection *connection, struct leat_error *err)
{
    struct leat_streams *streams = manager->options.streams;
    struct leat_stream_rows rows;
    bool has_changed;
    int status;

    if (leat_streams_options(streams)->spec_count == 0)
        return 0;
    status = leat_rows_streams(connection, &manager->rows, &rows, err);
    if (status != 0)
        return status;
    status = leat_streams_refresh(streams, &rows, &has_changed, err);
    free(rows.rows);
    if (has_changed)
        leat_sync_want(manager); /* to say so, and for its shards */
    return status;
}

/* ---- whom to ask about ----------------------------------------------------------------------- */

static struct asked *
find_asked(struct looking *look, const char *name)
{
    for (size_t i = 0; i < look->count; i++) {
        if (strcmp(look->asked[i].name, name) == 0)
            return &look->asked[i];
    }
    return NULL;
}

static struct asked *
add_asked(struct looking *look, const char *name)
{
    struct asked *asked = find_asked(look, name);

    if (asked != NULL)
        return asked;
    LEAT_GROW(look->asked, look->count, look->capacity);
    asked = &look->asked[look->count++];
    *asked = (struct asked){.name = ""};
    snprintf(asked->name, sizeof asked->name, "%s", name);
    return asked;
}

static bool
is_by_our_pattern(const struct looking *look, const char *name, const char *arn)
{
    for (size_t i = 0; i < look->options->spec_count; i++) {
        if (look->is_ours[i] && leat_stream_spec_is_pattern(look->specs[i]) &&
            leat_stream_spec_matches(look->specs[i], name, arn))
            return true;
    }
    return false;
}

static int
see_listed(void *context, const struct leat_catalog_item *item)
{
    struct looking *look = context;
    struct asked *asked = find_asked(look, item->facts.name);

    if (look->options->never != NULL &&
        leat_stream_spec_matches(look->options->never, item->facts.name, item->facts.arn))
        return 0;
    /* A listing that tells names alone is taken for all that an ARN could ask for. */
    if (asked == NULL && !is_by_our_pattern(look, item->facts.name,
                                            item->facts.arn[0] != '\0' ? item->facts.arn : "arn:"))
        return look->manager->is_stopping ? LEAT_E_CANCELLED : 0;
    asked = add_asked(look, item->facts.name);
    asked->is_listed = true;
    asked->facts = item->facts;
    if (!item->is_ready) {
        asked->is_answered = true; /* that there is nothing to say yet */
        asked->code = LEAT_E_CONFLICT;
    }
    return 0;
}

/* Without it names are looked up all the same, and what patterns found before stays as it is. */
static int
list_all(struct looking *look, struct leat_error *err)
{
    struct leat_catalog *catalog = look->options->catalog;
    int status = catalog->ops->list(catalog, see_listed, look, err);

    if (status == 0 || status == LEAT_E_CANCELLED)
        return status;
    look->is_list_missing = true;
    look->first = *err;
    leat_error_prefix(&look->first, "could not list streams");
    return 0;
}

/* Names that are ours to look up; what is known by our patterns; and what the listing has for them. */
static int
collect(struct looking *look, struct leat_error *err)
{
    bool has_pattern = false;

    for (size_t i = 0; i < look->options->spec_count; i++) {
        bool is_pattern = leat_stream_spec_is_pattern(look->specs[i]);

        has_pattern = has_pattern || (look->is_ours[i] && is_pattern);
        if (look->is_ours[i] && !is_pattern)
            add_asked(look, leat_stream_spec_name(look->specs[i]))->is_wanted = true;
    }
    for (size_t i = 0; has_pattern && i < look->rows.count; i++) {
        const struct leat_source_facts *facts = &look->rows.rows[i].facts;

        if (look->rows.rows[i].state != LEAT_STREAM_GONE && strncmp(facts->arn, "arn:", 4) == 0 &&
            is_by_our_pattern(look, facts->name, facts->arn))
            add_asked(look, facts->name);
    }
    return has_pattern ? list_all(look, err) : 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool
knows_retention(const struct looking *look, const struct leat_source_facts *facts)
{
    for (size_t i = 0; i < look->rows.count; i++) {
        if (strcmp(look->rows.rows[i].facts.stream_id, facts->stream_id) == 0)
            return look->rows.rows[i].facts.retention_ms > 0;
    }
    return false;
}

/* The first few at once, the others in step. false: stopped. */
static bool
pace(const struct looking *look, size_t place)
{
    struct leat_lease_manager *manager = look->manager;
    int64_t until_us = look->asking_since_us;

    if (place >= AT_ONCE)
        until_us += (int64_t)(place - AT_ONCE + 1) * PACE_US;
    leat_mutex_lock(&manager->lock);
    while (!manager->is_stopping && leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&manager->stopping, &manager->lock, until_us);
    leat_mutex_unlock(&manager->lock);
    return !manager->is_stopping;
}

static bool
is_of_one_name(int code)
{
    return code == LEAT_E_CONFLICT || code == LEAT_E_DENIED || code == LEAT_E_INVALID;
}

/* One name; on a thread of its own, which touches nothing but what belongs to this name. */
static void
ask(void *context, size_t place)
{
    struct looking *look = context;
    struct leat_catalog *catalog = look->options->catalog;
    struct asked *asked = &look->asked[look->asking[place]];
    struct leat_error own = {0};
    int status = LEAT_E_CANCELLED;

    if (pace(look, place))
        status = catalog->ops->describe(catalog, asked->name, &asked->facts, &own);
    asked->status = status;
    asked->is_answered = status == 0 || status == LEAT_E_NOT_FOUND || is_of_one_name(status);
    asked->is_missing = status == LEAT_E_NOT_FOUND;
    asked->code = is_of_one_name(status) ? status : 0;
    if (status == 0 || status == LEAT_E_CANCELLED)
        return;
    leat_error_prefix(&own, "stream \"%s\"", asked->name);
    asked->why = leat_alloc(sizeof *asked->why);
    *asked->why = own;
}

/* What came of it, in order. One that is missing is news for a start alone: later it is waited for. */
static int
gather(struct looking *look, struct leat_error *err)
{
    for (size_t i = 0; i < look->asking_count; i++) {
        const struct asked *asked = &look->asked[look->asking[i]];

        if (asked->status == LEAT_E_CANCELLED)
            return leat_error_set(err, LEAT_E_CANCELLED, "stopped while streams were looked up");
        if (asked->why != NULL && asked->status != LEAT_E_CONFLICT &&
            (look->first.code == 0 || look->first.code == LEAT_E_NOT_FOUND))
            look->first = *asked->why;
    }
    return 0;
}

/* A listing that has all facts answers for a stream; retention is asked for later, a few at a time. What is known by a pattern is
   found in the list, or, without it, stays as it is. */
static int
ask_all(struct looking *look, struct leat_error *err)
{
    unsigned lacking = 0;

    look->asking = LEAT_NEW_ARRAY(size_t, look->count + 1);
    look->asking_since_us = leat_clock_monotonic_us();
    for (size_t i = 0; i < look->count; i++) {
        struct asked *asked = &look->asked[i];
        bool is_told = asked->is_listed && asked->facts.stream_id[0] != '\0';

        if (asked->is_answered || (look->is_list_missing && !asked->is_wanted && !is_told))
            continue;
        if (is_told && (knows_retention(look, &asked->facts) || lacking++ >= AT_ONCE))
            asked->is_answered = true;
        else
            look->asking[look->asking_count++] = i;
    }
    leat_abreast(look->asking_count, ask, look);
    return gather(look, err);
}

/* ---- storing --------------------------------------------------------------------------------- */

static void
say_change(const struct looking *look, const struct leat_stream_change *change, bool is_remade)
{
    const struct leat_stream_row *row = &change->row;

    if (change->kind == LEAT_CHANGE_GONE && !is_remade)
        say(look->manager, LEAT_LOG_WARNING,
            "a stream is gone: it was deleted; what was read of it is processed, then its leases "
            "end",
            row->facts.name, row->facts.stream_id);
    if (change->kind == LEAT_CHANGE_REMADE && row->state == LEAT_STREAM_ACTIVE)
        say(look->manager, LEAT_LOG_WARNING,
            "a stream was deleted and made again: its old leases end where they are, the new one "
            "is read from its start (leases.on_recreated: start_over)",
            row->facts.name, row->facts.stream_id);
    if (change->kind == LEAT_CHANGE_REMADE && row->state == LEAT_STREAM_STOPPED)
        say(look->manager, LEAT_LOG_ERROR,
            "a stream was deleted and made again: its old leases end where they are, the new one "
            "is not read (leases.on_recreated: stop)",
            row->facts.name, row->facts.stream_id);
    if (change->kind == LEAT_CHANGE_BACK)
        say(look->manager, LEAT_LOG_INFO, "a stream is read again", row->facts.name,
            row->facts.stream_id);
}

static void
say_changes(const struct looking *look, const struct leat_stream_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool is_remade = false;

        for (size_t n = i + 1; n < count; n++)
            is_remade = is_remade ||
                        (changes[n].kind == LEAT_CHANGE_REMADE &&
                         strcmp(changes[n].row.facts.name, changes[i].row.facts.name) == 0);
        if (!changes[i].is_left)
            say_change(look, &changes[i], is_remade);
    }
}

/* An ARN whose account or region is another one's: the name stands for a stream that nobody asked for. */
static bool
is_read_here(struct looking *look, struct asked *asked)
{
    if (leat_streams_spec_of(look->manager->options.streams, &asked->facts) <
        look->options->spec_count)
        return true;
    if (asked->is_wanted && look->first.code == 0)
        leat_error_set(&look->first, LEAT_E_INVALID,
                       "stream \"%s\" has the ARN %.300s here, which is not the configured one: "
                       "check region and account",
                       asked->name, asked->facts.arn);
    return false;
}

/* Done: all that a spec asked for has an answer. One that is being made or deleted has none yet, so it is asked for again soon. */
static bool
is_done(const struct looking *look, const char *spec)
{
    if (look->is_list_missing && leat_stream_spec_is_pattern(spec))
        return false;
    for (size_t i = 0; i < look->count; i++) {
        const struct asked *asked = &look->asked[i];

        if ((asked->code != 0 || !asked->is_answered) &&
            (strcmp(leat_stream_spec_name(spec), asked->name) == 0 ||
             leat_stream_spec_matches(spec, asked->name, asked->facts.arn)))
            return false;
    }
    return true;
}

static int
store(struct looking *look, struct leat_error *err)
{
    struct leat_stream_answer *answers = LEAT_NEW_ARRAY(struct leat_stream_answer, look->count + 1);
    struct leat_stream_change *changes =
        LEAT_NEW_ARRAY(struct leat_stream_change, look->count + look->rows.count + 1);
    struct leat_claim done = {.incarnation = look->manager->incarnation};
    const char **names = LEAT_NEW_ARRAY(const char *, look->options->spec_count + 1);
    size_t count = 0;
    int status;

    for (size_t i = 0; i < look->count; i++) {
        struct asked *asked = &look->asked[i];

        if (asked->is_answered && asked->code == 0 &&
            (asked->is_missing || is_read_here(look, asked)))
            answers[count++] =
                (struct leat_stream_answer){asked->name, asked->is_missing ? NULL : &asked->facts};
    }
    count = leat_stream_plan(&look->rows, answers, count, look->options->stops_recreated, changes);
    for (size_t i = 0; i < look->options->spec_count; i++) {
        if (look->is_ours[i] && is_done(look, look->specs[i]))
            names[done.count++] = look->specs[i];
    }
    done.names = names;
    LEAT_POINT("streams.looked");
    status = leat_rows_looked(look->connection, &look->manager->rows, changes, count, &done, err);
    if (status == 0)
        say_changes(look, changes, count);
    free(answers);
    free(changes);
    free(names);
    return status;
}

static int
look_up(struct looking *look, struct leat_error *err)
{
    int status = leat_rows_streams(look->connection, &look->manager->rows, &look->rows, err);

    if (status == 0)
        status = collect(look, err);
    if (status == 0)
        status = ask_all(look, err);
    if (status == 0)
        status = store(look, err);
    if (status == 0)
        status = leat_rows_end_gone(look->connection, &look->manager->rows, err);
    return status;
}

/* Names that there is no stream for: said once each, and again after they were there. */
static void
say_missing(struct looking *look)
{
    for (size_t i = 0; i < look->options->spec_count; i++) {
        bool *is_told = &look->manager->is_missing_told[i];
        const struct asked *asked;

        if (!look->is_ours[i] || leat_stream_spec_is_pattern(look->specs[i]))
            continue;
        asked = find_asked(look, leat_stream_spec_name(look->specs[i]));
        if (asked == NULL || asked->is_missing == *is_told || !asked->is_answered)
            continue;
        *is_told = asked->is_missing;
        if (asked->is_missing)
            say(look->manager, LEAT_LOG_WARNING,
                "there is no such stream: it is waited for, others go on; check name, region and "
                "endpoint",
                asked->name, "");
    }
}

/* Names that could not be looked up, each: said when that begins, when the reason is another one, and when it is over. */
static void
say_refused(struct looking *look)
{
    struct leat_lease_manager *manager = look->manager;

    for (size_t i = 0; i < look->count; i++) {
        const struct asked *asked = &look->asked[i];
        struct leat_slice name = leat_slice_from(asked->name);
        const char *told = leat_map_get(&manager->refused_told, name);
        bool is_refused = asked->why != NULL && asked->status != LEAT_E_NOT_FOUND &&
                          asked->status != LEAT_E_CONFLICT;

        if (is_refused && (told == NULL || strcmp(told, asked->why->text) != 0)) {
            say(manager, LEAT_LOG_WARNING,
                "a stream cannot be looked up: it is tried again, others go on", asked->name,
                asked->why->text);
            free(leat_map_put(&manager->refused_told, name, leat_strdup(asked->why->text)));
        } else if (!is_refused && told != NULL && asked->is_answered) {
            say(manager, LEAT_LOG_INFO, "a stream can be looked up again", asked->name, "");
            free(leat_map_remove(&manager->refused_told, name));
        }
    }
}

/* At start, when nothing at all can be read: what is wrong is a reason not to start; what may be over in a moment is waited for. */
static int
outcome(struct looking *look, struct leat_error *err)
{
    struct leat_streams_counts counts;
    bool may_come = look->options->spec_count > AT_A_TIME; /* by a later look, or a pattern */

    for (size_t i = 0; i < look->options->spec_count; i++)
        may_come = may_come || leat_stream_spec_is_pattern(look->specs[i]);
    leat_streams_counts(look->manager->options.streams, &counts);
    /* With something to read, what is wrong with another one is no reason not to start: it is looked up again, and told then. */
    if (look->first.code == 0 || (!look->manager->has_looked && counts.read + counts.stopped > 0) ||
        (look->first.code == LEAT_E_NOT_FOUND && (look->manager->has_looked || may_come)))
        return 0;
    *err = look->first;
    /* A name, an ARN, a key are wrong; whatever else was answered, or not answered, may be another one in a moment. */
    if (err->code != LEAT_E_NOT_FOUND && err->code != LEAT_E_DENIED && err->code != LEAT_E_INVALID)
        err->is_retryable = true;
    return err->code;
}

/* A few at a time, so that the first ones are read while the others are asked for; what is left is for the next round, which
   comes at once. */
static int
claim_some(struct looking *look, struct leat_claim *claim, bool *ret_has_any,
           struct leat_error *err)
{
    size_t count = look->options->spec_count;
    int status = 0;

    *ret_has_any = false;
    for (size_t begin = 0; begin < count && status == 0 && !*ret_has_any; begin += AT_A_TIME) {
        claim->names = look->specs + begin;
        claim->is_ours = look->is_ours + begin;
        claim->is_forced = look->is_forced + begin;
        claim->count = count - begin < AT_A_TIME ? count - begin : AT_A_TIME;
        status = leat_rows_claim_looks(look->connection, &look->manager->rows, claim, err);
        for (size_t i = 0; i < claim->count && status == 0; i++)
            *ret_has_any = *ret_has_any || claim->is_ours[i];
        if (*ret_has_any && begin + AT_A_TIME < count)
            leat_sync_want(look->manager);
    }
    return status;
}

/* Only who has nothing to read yet waits for a look; it finds the first few, and the sync thread the others. */
int
leat_discover_at_start(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                       struct leat_error *err)
{
    struct leat_streams_counts counts;
    /* Again: since it registered somebody may have stored what he found. */
    int status = leat_manager_follow_streams(manager, connection, err);

    if (status != 0)
        return status;
    leat_streams_counts(manager->options.streams, &counts);
    if (counts.read + counts.stopped == 0)
        return leat_discover(manager, connection, err);
    manager->has_looked = true;
    return 0;
}

int
leat_discover(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
              struct leat_error *err)
{
    struct looking look = {manager, connection, leat_streams_options(manager->options.streams)};
    size_t count = look.options->spec_count;
    struct leat_claim claim = {.incarnation = manager->incarnation,
                               .age_us = look.options->interval_us / 8 * 7};
    bool has_any = false;
    struct leat_streams_counts counts;
    int status;

    if (count == 0)
        return 0;
    look.specs = LEAT_NEW_ARRAY(const char *, count);
    look.is_ours = LEAT_NEW_ARRAY(bool, count);
    look.is_forced = LEAT_NEW_ARRAY(bool, count);
    for (size_t i = 0; i < count; i++)
        look.specs[i] = look.options->specs[i].spec;
    leat_doubts_force(manager, look.is_forced);
    /* A start that finds nothing to read does not take somebody's old word for it; a fleet that starts together does. */
    leat_streams_counts(manager->options.streams, &counts);
    if (!manager->has_looked && counts.read + counts.stopped == 0 && claim.age_us > FRESH_US)
        claim.age_us = FRESH_US;
    status = claim_some(&look, &claim, &has_any, err);
    if (status == 0 && has_any)
        status = look_up(&look, err);
    if (status == 0)
        status = leat_manager_follow_streams(manager, connection, err);
    if (status == 0) {
        say_missing(&look);
        say_refused(&look);
        status = outcome(&look, err);
        manager->has_looked = true;
    }
    free(look.rows.rows);
    for (size_t i = 0; i < look.count; i++)
        free(look.asked[i].why);
    free(look.asking);
    free(look.asked);
    free(look.specs);
    free(look.is_ours);
    free(look.is_forced);
    return status;
}
