/*
 * What became of streams (pure), over histories of every kind: streams that are made, deleted and made again, looks that come at any
 * time and answers that are old. And the registry that follows the rows.
 */
#include "lease/streams.h"

#include <check.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

#define NAMES 4
#define ROWS 512
#define SECOND INT64_C(1000000)

/* ---- a service and what is known of it ------------------------------------------------------------- */

struct world {
    struct leat_random random;
    int64_t made_us[NAMES];   /* 0: there is none */
    int64_t before_us[NAMES]; /* as a service says that is behind */
    int64_t now_us;
    struct leat_stream_row rows[ROWS];
    size_t count;
    bool stops;
    unsigned remade, gone, back, stopped;
};

static struct leat_source_facts
facts_of(int name, int64_t made_us)
{
    struct leat_source_facts facts = {.created_us = made_us};

    snprintf(facts.name, sizeof facts.name, "s%d", name);
    snprintf(facts.arn, sizeof facts.arn, "arn:x:stream/s%d", name);
    snprintf(facts.stream_id, sizeof facts.stream_id, "arn:x:stream/s%d@%lld", name,
             (long long)(made_us / SECOND));
    return facts;
}

static void
apply(struct world *world, const struct leat_stream_change *change)
{
    world->remade += change->kind == LEAT_CHANGE_REMADE;
    world->gone += change->kind == LEAT_CHANGE_GONE;
    world->back += change->kind == LEAT_CHANGE_BACK;
    world->stopped += change->row.state == LEAT_STREAM_STOPPED;
    for (size_t i = 0; i < world->count; i++) {
        if (strcmp(world->rows[i].facts.stream_id, change->row.facts.stream_id) == 0) {
            world->rows[i] = change->row;
            return;
        }
    }
    ck_assert_uint_lt(world->count, ROWS);
    world->rows[world->count++] = change->row;
}

static size_t
look(struct world *world, const int64_t *made_us)
{
    struct leat_stream_rows rows = {world->rows, world->count, 0};
    struct leat_source_facts facts[NAMES];
    struct leat_stream_answer answers[NAMES];
    static struct leat_stream_change changes[ROWS + NAMES];
    char names[NAMES][8];
    size_t count;

    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof names[i], "s%d", i);
        facts[i] = facts_of(i, made_us[i]);
        answers[i] = (struct leat_stream_answer){names[i], made_us[i] > 0 ? &facts[i] : NULL};
    }
    count = leat_stream_plan(&rows, answers, NAMES, world->stops, changes);
    for (size_t i = 0; i < count; i++)
        apply(world, &changes[i]);
    return count;
}

static void
ck_as_it_is(const struct world *world)
{
    for (int name = 0; name < NAMES; name++) {
        struct leat_source_facts wanted = facts_of(name, world->made_us[name]);
        unsigned alive = 0, older = 0;

        for (size_t i = 0; i < world->count; i++) {
            const struct leat_stream_row *row = &world->rows[i];

            if (strcmp(row->facts.name, wanted.name) != 0)
                continue;
            older += row->facts.created_us < world->made_us[name];
            if (row->state == LEAT_STREAM_GONE)
                continue;
            alive++;
            ck_assert_str_eq(row->facts.stream_id, wanted.stream_id);
        }
        ck_assert_uint_eq(alive, world->made_us[name] > 0);
        for (size_t i = 0; i < world->count; i++) {
            if (strcmp(world->rows[i].facts.stream_id, wanted.stream_id) != 0 ||
                world->made_us[name] == 0)
                continue;
            if (!world->stops || older == 0)
                ck_assert_int_eq(world->rows[i].state, LEAT_STREAM_ACTIVE);
        }
    }
}

static void
step(struct world *world)
{
    int name = (int)leat_random_below(&world->random, NAMES);

    world->now_us += SECOND;
    switch (leat_random_below(&world->random, 6)) {
    case 0:
        if (world->made_us[name] == 0)
            world->made_us[name] = world->now_us;
        break;
    case 1:
        world->made_us[name] = 0;
        break;
    case 2:
        world->made_us[name] = world->now_us; /* again, unseen in between */
        break;
    case 3:
        memcpy(world->before_us, world->made_us, sizeof world->before_us);
        break;
    case 4:
        look(world, world->before_us); /* an answer that is old */
        look(world, world->made_us);
        ck_as_it_is(world);
        break;
    default:
        look(world, world->made_us);
        ck_as_it_is(world);
        ck_assert_uint_eq(look(world, world->made_us), 0);
    }
}

START_TEST(test_histories)
{
    unsigned remade = 0, gone = 0, back = 0, stopped = 0;

    for (uint64_t seed = 1; seed <= test_rounds(2000); seed++) {
        static struct world world;

        world = (struct world){.stops = seed % 2 == 0};
        leat_random_seed(&world.random, seed);
        for (int i = 0; i < 60; i++)
            step(&world);
        remade += world.remade;
        gone += world.gone;
        back += world.back;
        stopped += world.stopped;
    }
    ck_assert(remade > 100 && gone > 100 && back > 10 && stopped > 100);
}
END_TEST

static void
ck_one(const struct leat_stream_row *known, const struct leat_source_facts *facts, bool stops,
       const char *wanted)
{
    static const char kinds[] = {'n', 'r', 'g', 'b', 'f'}, states[] = {'a', 'g', 's'};
    struct leat_stream_row row = known != NULL ? *known : (struct leat_stream_row){0};
    struct leat_stream_rows rows = {&row, known != NULL, 0};
    struct leat_stream_answer answer = {"s1", facts};
    struct leat_stream_change changes[3];
    char found[16] = "";
    size_t count = leat_stream_plan(&rows, &answer, 1, stops, changes);

    for (size_t i = 0; i < count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%c%c",
                 kinds[changes[i].kind], states[changes[i].row.state]);
    ck_assert_str_eq(found, wanted);
}

START_TEST(test_each_case)
{
    struct leat_source_facts one = facts_of(1, 10 * SECOND), two = facts_of(1, 20 * SECOND);
    struct leat_stream_row active = {one, LEAT_STREAM_ACTIVE}, gone = {one, LEAT_STREAM_GONE},
                           stopped = {one, LEAT_STREAM_STOPPED},
                           younger = {two, LEAT_STREAM_ACTIVE},
                           younger_gone = {two, LEAT_STREAM_GONE}, kept = active;
    struct leat_source_facts told = one;

    ck_one(NULL, &one, false, "na");
    ck_one(NULL, NULL, false, "");
    ck_one(&active, &one, false, "");
    ck_one(&active, NULL, false, "gg");
    ck_one(&active, &two, false, "ggra");
    ck_one(&active, &two, true, "ggrs");
    ck_one(&gone, &two, true, "rs");
    ck_one(&gone, &one, true, "ba");
    ck_one(&gone, NULL, true, "");
    ck_one(&stopped, &one, true, "");
    ck_one(&stopped, &one, false, "ba");
    ck_one(&younger, &one, false, "");
    ck_one(&younger_gone, &one, false, "");
    told.retention_ms = 3600000;
    ck_one(&active, &told, false, "fa");
    kept.facts.retention_ms = 3600000;
    ck_one(&kept, &told, false, "");
    ck_one(&kept, &one, false, ""); /* a listing tells none */
}
END_TEST

/* ---- the registry ----------------------------------------------------------------------------------- */

static int opened, closed, told_active, told_gone, told_stopped;

static void
source_close(struct leat_source *source)
{
    closed++;
    free(source);
}

static const struct leat_source_ops source_ops = {.kind = "test", .close = source_close};

static int
open_source(struct leat_catalog *catalog, const struct leat_source_facts *facts,
            struct leat_source **ret_source, struct leat_error *err)
{
    struct leat_source *source = LEAT_NEW(struct leat_source);

    source->ops = &source_ops;
    source->facts = *facts;
    opened++;
    *ret_source = source;
    return 0;
}

static void
told(void *context, const struct leat_source_facts *facts, enum leat_stream_state state)
{
    told_active += state == LEAT_STREAM_ACTIVE;
    told_gone += state == LEAT_STREAM_GONE;
    told_stopped += state == LEAT_STREAM_STOPPED;
}

START_TEST(test_the_registry_follows_the_rows)
{
    static const struct leat_catalog_ops ops = {.open = open_source};
    static const struct leat_stream_spec specs[] = {
        {"s1", {.kind = LEAT_POSITION_LATEST}},
        {"s*", {.kind = LEAT_POSITION_TRIM_HORIZON}},
        {"arn:x:stream/x", {.kind = LEAT_POSITION_TRIM_HORIZON}}};
    static const char *const some[] = {"s2", "*3"};
    struct leat_catalog catalog = {&ops};
    struct leat_streams_options options = {
        .catalog = &catalog, .specs = specs, .spec_count = 3, .never = "s4"};
    struct leat_streams *streams = leat_streams_new(&options);
    struct leat_stream_row rows[4] = {{facts_of(1, SECOND), LEAT_STREAM_ACTIVE},
                                      {facts_of(2, SECOND), LEAT_STREAM_ACTIVE},
                                      {facts_of(3, SECOND), LEAT_STREAM_STOPPED},
                                      {facts_of(4, SECOND), LEAT_STREAM_ACTIVE}};
    struct leat_stream_rows all = {rows, 4, 7}, old;
    struct leat_slice first = leat_slice_from(rows[0].facts.stream_id);
    struct leat_streams_counts counts;
    struct leat_stream_names names;
    struct leat_stream_set set;
    struct leat_source *held;
    struct leat_error err;
    bool has_changed;

    leat_streams_on_change(streams, told, NULL);
    ck_assert_int_eq(leat_streams_refresh(streams, &all, &has_changed, &err), 0);
    ck_assert(has_changed && opened == 2 && told_active == 2 && told_stopped == 1);
    ck_assert_int_eq(leat_streams_refresh(streams, &all, &has_changed, &err), 0);
    ck_assert(!has_changed && opened == 2 && told_stopped == 1);
    leat_streams_counts(streams, &counts);
    ck_assert(counts.read == 2 && counts.stopped == 1 && counts.waited_for == 1);
    leat_streams_names(streams, some, 2, &names);
    ck_assert_uint_eq(names.count, 1);
    ck_assert_str_eq(names.names[0], "s2");
    leat_stream_names_release(&names);
    leat_streams_snapshot(streams, &set);
    ck_assert_uint_eq(set.count, 2);
    for (size_t i = 0; i < set.count; i++)
        ck_assert_int_eq(set.items[i].start.kind, strcmp(set.items[i].source->facts.name, "s1") == 0
                                                      ? LEAT_POSITION_LATEST
                                                      : LEAT_POSITION_TRIM_HORIZON);
    leat_stream_set_release(&set);
    /* Other facts: no news, but who asks from now on has them. */
    rows[1].facts.retention_ms = 3600000;
    ck_assert_int_eq(leat_streams_refresh(streams, &all, &has_changed, &err), 0);
    ck_assert(!has_changed && opened == 3 && closed == 1 && told_active == 2);
    held = leat_streams_find(streams, leat_slice_from(rows[1].facts.stream_id));
    ck_assert_int_eq(held->facts.retention_ms, 3600000);
    leat_source_unref(held);
    closed = 0;
    opened--;
    /* Gone: its source lives as long as somebody holds it. Rows of before change nothing. */
    held = leat_streams_find(streams, first);
    rows[0].state = LEAT_STREAM_GONE;
    all.version = 8;
    ck_assert_int_eq(leat_streams_refresh(streams, &all, &has_changed, &err), 0);
    ck_assert(has_changed && told_gone == 1 && closed == 0);
    ck_assert(leat_streams_is_gone(streams, first));
    ck_assert_ptr_null(leat_streams_find(streams, first));
    rows[0].state = LEAT_STREAM_ACTIVE;
    old = (struct leat_stream_rows){rows, 4, 7};
    ck_assert_int_eq(leat_streams_refresh(streams, &old, &has_changed, &err), 0);
    ck_assert(!has_changed && leat_streams_is_gone(streams, first));
    leat_source_unref(held);
    ck_assert_int_eq(closed, 1);
    leat_streams_free(streams);
    ck_assert_int_eq(closed, opened);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("streams");
    TCase *tests = tcase_create("streams");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_each_case);
    tcase_add_test(tests, test_histories);
    tcase_add_test(tests, test_the_registry_follows_the_rows);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
