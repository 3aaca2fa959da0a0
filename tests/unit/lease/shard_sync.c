/* The worked cases of the KCL's HierarchicalShardSyncer (graphs A, B and C), and lineages of every shape. Then what is made
   of them: which shards a processor begins in, passes, and needs leases for. */
#include "lease/beginning.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

/* "id<parent,parent" ; a '!' behind: open. */
static const char *const graphs[][12] = {
    {"0", "1", "2", "3", "4!", "5", "6<0,1", "7<2,3", "8<6,7!", "9<5!", "10<5!", NULL},
    {"0", "1", "2<0,1", "3<2", "4<2", "5<3,4", "6<5", "7<5", "8<6,7", "9<8!", "10<8!", NULL},
    {"0", "1!", "2", "3", "4<0", "5<0", "6<2,3!", "7<4,5!", "8<4,5!", "9<4,5!", "10<4,5!", NULL},
    {"0", "1!", NULL},               /* 0 is closed, its children are not listed yet */
    {"0!", "1<0!", "2<1", NULL},     /* parents that are open still, or open again */
    {"2<1!", "1<0", "0", "3", NULL}, /* children first */
};

static const struct {
    int graph;
    const char *leases, *latest, *trim_horizon, *at_timestamp; /* NULL: not looked at */
} cases[] = {
    {0, "3,4,5", "2,6", "0,1,2", "0,1,2"},
    {0, "4,5,7", "6", "0,1", "0,1"},
    {0, "2,6", "3,4,9,10", "3,4,5", "3,4,5"},
    {0, "4,9,10", "8", "0,1,2,3", "0,1,2,3"},
    {0, "4,5,6,7", "", "", ""},
    {0, "0,1,2,3,4,5,6,7", "", "", ""},
    {0, "0,1,4,7,9,10", "", "", ""},
    {0, "", "4,8,9,10", "0,1,2,3,4,5", "0,1,2,3,4,5"},
    {1, "6", "7", NULL, NULL},
    {1, "5", "", "", ""},
    {1, "0,1,2,3,4,5", "", "", ""},
    {1, "", "9,10", "0,1", "0,1"},
    {2, "9,10", "1,6,7,8", NULL, NULL},
};

static bool
is_in(const char *list, const char *id)
{
    size_t size = strlen(id);

    for (const char *at = list; (at = strstr(at, id)) != NULL; at += size) {
        if ((at == list || at[-1] == ',') && (at[size] == '\0' || at[size] == ','))
            return true;
    }
    return false;
}

static void
add(struct leat_shard_list *list, const char *text)
{
    struct leat_shard_facts facts = {.is_closed = strchr(text, '!') == NULL};
    const char *less = strchr(text, '<');

    facts.shard = leat_slice_make(text, strcspn(text, "<!"));
    while (less != NULL && *less != '\0' && *less != '!') {
        size_t size = strcspn(less + 1, ",!");

        facts.parents[facts.parent_count++] = leat_slice_make(less + 1, size);
        less += 1 + size;
    }
    leat_shard_list_add(list, &facts);
}

static void
expect(int which, enum leat_sync_position position, const char *wanted)
{
    struct leat_shard_list list;
    struct leat_new_lease found[16];
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    bool has_lease[16] = {false};
    size_t count;

    if (wanted == NULL)
        return;
    leat_shard_list_init(&list);
    for (const char *const *shard = graphs[cases[which].graph]; *shard != NULL; shard++)
        add(&list, *shard);
    for (size_t i = 0; i < list.count; i++)
        has_lease[i] = is_in(cases[which].leases, (const char *)list.shards[i].shard.data);
    count = leat_shard_sync(&list, has_lease, position, found);
    for (size_t i = 0; i < count; i++)
        leat_buf_printf(&text, "%s%s", i > 0 ? "," : "",
                        (const char *)list.shards[found[i].shard].shard.data);
    ck_assert_msg(strcmp(leat_buf_text(&text), wanted) == 0,
                  "case %d, position %d: got \"%s\", wanted \"%s\"", which, (int)position,
                  leat_buf_text(&text), wanted);
    leat_shard_list_release(&list);
}

START_TEST(test_the_worked_cases)
{
    expect(_i, LEAT_SYNC_LATEST, cases[_i].latest);
    expect(_i, LEAT_SYNC_TRIM_HORIZON, cases[_i].trim_horizon);
    expect(_i, LEAT_SYNC_AT_TIMESTAMP, cases[_i].at_timestamp);
}
END_TEST

START_TEST(test_a_long_lineage_and_a_cycle_end)
{
    struct leat_shard_list list;
    struct leat_new_lease *found = LEAT_NEW_ARRAY(struct leat_new_lease, 20002);
    bool *has_lease = LEAT_NEW_ARRAY(bool, 20002);
    char text[40];

    leat_shard_list_init(&list);
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, i == 0 ? "s%d" : "s%d<s%d%s", i, i - 1, i == 19999 ? "!" : "");
        add(&list, text);
    }
    ck_assert_uint_eq(leat_shard_sync(&list, has_lease, LEAT_SYNC_TRIM_HORIZON, found), 1);
    ck_assert_uint_eq(found[0].shard, 0);
    add(&list, "x<y!");
    add(&list, "y<x!");
    leat_shard_sync(&list, has_lease, LEAT_SYNC_TRIM_HORIZON, found);
    leat_shard_list_release(&list);
    free(found);
    free(has_lease);
}
END_TEST

/* ---- roles -------------------------------------------------------------------------------------- */

static const struct {
    int graph;
    enum leat_sync_position position;
    const char *start, *passed; /* the rest: later */
} roles[] = {
    {0, LEAT_SYNC_LATEST, "4,8,9,10", "0,1,2,3,5,6,7"},
    {0, LEAT_SYNC_TRIM_HORIZON, "0,1,2,3,4,5", ""},
    {0, LEAT_SYNC_AT_TIMESTAMP, "0,1,2,3,4,5,6,7,8,9,10", ""},
    {1, LEAT_SYNC_LATEST, "9,10", "0,1,2,3,4,5,6,7,8"},
    {1, LEAT_SYNC_TRIM_HORIZON, "0,1", ""},
    {2, LEAT_SYNC_LATEST, "1,6,7,8,9,10", "0,2,3,4,5"},
    {2, LEAT_SYNC_TRIM_HORIZON, "0,1,2,3", ""},
    {3, LEAT_SYNC_TRIM_HORIZON, "0,1", ""},
    {3, LEAT_SYNC_LATEST, "1", "0"},
    {4, LEAT_SYNC_LATEST, "0,1", ""},
    {4, LEAT_SYNC_TRIM_HORIZON, "0", ""},
    {5, LEAT_SYNC_LATEST, "2", "0,1,3"},
    {5, LEAT_SYNC_TRIM_HORIZON, "0,3", ""},
};

static void
make_list(struct leat_shard_list *list, int graph)
{
    leat_shard_list_init(list);
    for (const char *const *shard = graphs[graph]; *shard != NULL; shard++)
        add(list, *shard);
}

START_TEST(test_roles)
{
    struct leat_shard_list list;
    enum leat_shard_role found[16];

    make_list(&list, roles[_i].graph);
    leat_shard_roles(&list, roles[_i].position, found);
    for (size_t i = 0; i < list.count; i++) {
        const char *id = (const char *)list.shards[i].shard.data;
        enum leat_shard_role wanted = is_in(roles[_i].start, id)    ? LEAT_SHARD_START
                                      : is_in(roles[_i].passed, id) ? LEAT_SHARD_PASSED
                                                                    : LEAT_SHARD_LATER;

        ck_assert_msg(found[i] == wanted, "shard %s: role %d, not %d", id, found[i], wanted);
    }
    leat_shard_list_release(&list);
}
END_TEST

START_TEST(test_a_beginning_knows_its_shards)
{
    struct leat_beginnings beginnings;
    struct leat_beginning *beginning;
    struct leat_slice p = leat_slice_from("p"), q = leat_slice_from("q"),
                      stream = leat_slice_from("arn@1");
    const struct leat_beginning *found;

    leat_beginnings_init(&beginnings);
    leat_beginnings_add(&beginnings, q, stream, leat_slice_from("TRIM_HORIZON"));
    beginning = leat_beginnings_add(&beginnings, p, stream, leat_slice_from("AT_TIMESTAMP:7"));
    leat_beginning_set(beginning, leat_slice_from("a"), LEAT_SHARD_START);
    leat_beginning_set(beginning, leat_slice_from("b"), LEAT_SHARD_PASSED);
    leat_beginning_set(beginning, leat_slice_from("c"), LEAT_SHARD_LATER);
    ck_assert_ptr_null(leat_beginnings_find(&beginnings, p, leat_slice_from("arn@2")));
    found = leat_beginnings_find(&beginnings, p, stream);
    ck_assert_int_eq(leat_beginning_role(found, leat_slice_from("b")), LEAT_SHARD_PASSED);
    ck_assert_int_eq(leat_beginning_role(found, leat_slice_from("c")), LEAT_SHARD_LATER);
    ck_assert(
        leat_slice_is(leat_beginning_checkpoint(found, leat_slice_from("a")), "AT_TIMESTAMP:7"));
    /* What came after it was met is nobody's start: its parents are. */
    ck_assert(
        leat_slice_is(leat_beginning_checkpoint(found, leat_slice_from("d")), "TRIM_HORIZON"));
    leat_beginnings_release(&beginnings);
}
END_TEST

/* ---- missing leases ------------------------------------------------------------------------------ */

static const struct {
    int graph;
    const char *leases, *ended, *needed; /* NULL: all */
    const char *missing;
} gaps[] = {
    {0, "", "", NULL, "0,1,2,3,4,5"},
    {0, "", "", "4,8,9,10", "4,8,9,10"},
    {0, "4,8,9,10", "", "4,8,9,10", ""},
    {0, "4,8,9,10", "", NULL, "0,1,2,3,5,6,7"}, /* one more processor, from the beginning */
    {0, "0,1,2,3,4,5", "", NULL, ""},           /* made at their parents' ends */
    {0, "0,1,2,3,4,5", "0", NULL, "6"},         /* which was: the row is lost */
    {0, "0,1,2,3,4,5,7", "", NULL, ""},
    {0, "7,8", "", "6,7,8,9,10", "6,9,10"}, /* 5 is not needed, so 9 and 10 are nobody's children */
    {0, "0,1,2", "2", NULL, "3,4,5"},       /* 7 would wait for 2 alone */
    {0, "0,1,2,3,4,5", "2", NULL, "7"},
    {1, "5", "", NULL, "0,1,2,3,4"},
    {1, "5", "", "5,6,7,8,9,10", ""},
    {3, "", "", NULL, "0,1"},
};

START_TEST(test_missing_leases)
{
    struct leat_shard_list list;
    struct leat_shard_mark marks[16];
    size_t found[16], count;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    make_list(&list, gaps[_i].graph);
    for (size_t i = 0; i < list.count; i++) {
        const char *id = (const char *)list.shards[i].shard.data;

        marks[i] = (struct leat_shard_mark){is_in(gaps[_i].leases, id), is_in(gaps[_i].ended, id),
                                            gaps[_i].needed == NULL || is_in(gaps[_i].needed, id)};
    }
    count = leat_shard_missing(&list, marks, found);
    for (size_t i = 0; i < count; i++)
        leat_buf_printf(&text, "%s%s", i > 0 ? "," : "",
                        (const char *)list.shards[found[i]].shard.data);
    ck_assert_str_eq(leat_buf_text(&text), gaps[_i].missing);
    leat_shard_list_release(&list);
}
END_TEST

/* ---- whole lives --------------------------------------------------------------------------------- */

#define LIFE 60

struct life {
    struct leat_random random;
    struct leat_shard_list list;
    struct leat_shard_mark marks[LIFE];
};

/* Splits and merges of open shards. */
static void
reshard(struct life *life, size_t wanted)
{
    char text[64];

    while (life->list.count < wanted) {
        size_t a = leat_random_below(&life->random, life->list.count);
        size_t b = leat_random_below(&life->random, 2) == 0
                       ? a
                       : leat_random_below(&life->random, life->list.count);
        size_t children = a == b ? 2 : 1;

        if (life->list.shards[a].is_closed || life->list.shards[b].is_closed)
            continue;
        life->list.shards[a].is_closed = life->list.shards[b].is_closed = true;
        for (size_t c = 0; c < children; c++) {
            int size = snprintf(text, sizeof text, "%zu<%.*s", life->list.count,
                                (int)life->list.shards[a].shard.size,
                                (const char *)life->list.shards[a].shard.data);

            if (a != b)
                size += snprintf(text + size, sizeof text - (size_t)size, ",%.*s",
                                 (int)life->list.shards[b].shard.size,
                                 (const char *)life->list.shards[b].shard.data);
            snprintf(text + size, sizeof text - (size_t)size, "!");
            add(&life->list, text);
        }
    }
}

static size_t
make_missing(struct life *life)
{
    size_t missing[LIFE];
    size_t count = leat_shard_missing(&life->list, life->marks, missing);

    for (size_t i = 0; i < count; i++) {
        ck_assert(life->marks[missing[i]].is_needed && !life->marks[missing[i]].has_lease);
        life->marks[missing[i]].has_lease = true;
    }
    return count;
}

static size_t
find(const struct life *life, struct leat_slice shard)
{
    const struct leat_shard_facts *facts = leat_shard_list_find(&life->list, shard);

    ck_assert_ptr_nonnull(facts);
    return (size_t)(facts - life->list.shards);
}

/* What a parent's end does. */
static void
make_children(struct life *life, size_t parent)
{
    for (size_t c = 0; c < life->list.count; c++) {
        const struct leat_shard_facts *child = &life->list.shards[c];
        bool is_child = false, has_all = true;

        for (size_t p = 0; p < child->parent_count; p++) {
            is_child = is_child || find(life, child->parents[p]) == parent;
            has_all = has_all && life->marks[find(life, child->parents[p])].has_lease;
        }
        life->marks[c].has_lease = life->marks[c].has_lease || (is_child && has_all);
    }
}

/* Some of the shards that may end do: all needed parents are, which must have leases to be waited for. */
static size_t
end_some(struct life *life, uint64_t share)
{
    size_t ended = 0;

    for (size_t i = 0; i < life->list.count; i++) {
        const struct leat_shard_facts *shard = &life->list.shards[i];
        bool is_waiting = false;

        if (!life->marks[i].has_lease || !life->marks[i].is_needed || life->marks[i].has_ended)
            continue;
        for (size_t p = 0; p < shard->parent_count; p++) {
            const struct leat_shard_mark *parent = &life->marks[find(life, shard->parents[p])];

            ck_assert(!parent->is_needed || parent->has_lease);
            is_waiting = is_waiting || (parent->is_needed && !parent->has_ended);
        }
        if (is_waiting || !shard->is_closed || leat_random_below(&life->random, share) > 0)
            continue;
        life->marks[i].has_ended = true;
        make_children(life, i);
        ended++;
    }
    return ended;
}

/* A processor meets the stream at LATEST; the stream lives on; then one comes that wants all of it. Whenever leases are looked
   after, each needed shard waits for its needed parents, and in the end all that is needed was read and nothing else. */
static void
live(uint64_t seed)
{
    struct life life = {0};
    enum leat_shard_role first[LIFE];
    size_t met, later;

    leat_random_seed(&life.random, seed);
    leat_shard_list_init(&life.list);
    add(&life.list, "0!");
    add(&life.list, "1!");
    reshard(&life, met = 2 + leat_random_below(&life.random, 20));
    met = life.list.count;
    leat_shard_roles(&life.list, LEAT_SYNC_LATEST, first);
    for (size_t i = 0; i < met; i++)
        life.marks[i].is_needed = first[i] != LEAT_SHARD_PASSED;
    make_missing(&life);
    reshard(&life, met + leat_random_below(&life.random, 15));
    later = life.list.count;
    for (size_t i = met; i < later; i++)
        life.marks[i].is_needed = true;
    for (int round = 0; round < 3; round++) {
        end_some(&life, 3);
        make_missing(&life);
    }
    for (size_t i = 0; i < met; i++)
        ck_assert(!life.marks[i].has_lease || life.marks[i].is_needed);
    /* What had ended is opened again for the new one. */
    for (size_t i = 0; i < later; i++) {
        life.marks[i].is_needed = true;
        life.marks[i].has_ended = false;
    }
    do
        make_missing(&life);
    while (end_some(&life, 1) > 0);
    for (size_t i = 0; i < later; i++)
        ck_assert(life.marks[i].has_lease &&
                  life.marks[i].has_ended == life.list.shards[i].is_closed);
    leat_shard_list_release(&life.list);
}

START_TEST(test_processors_that_come_later)
{
    for (uint64_t seed = 1; seed <= test_rounds(200); seed++)
        live(seed);
}
END_TEST

/* has: what has progress. passed, start: what comes of it; all others come later. */
static const struct {
    int graph;
    const char *has, *passed, *start;
} again[] = {
    {1, "", "", "0,1"},
    {1, "0,1", "", "0,1"},
    {1, "0,1,2", "", "0,1"},
    /* It began at 3 and 4, behind 0, 1 and 2, and 5 came since. */
    {1, "3,4", "0,1,2", ""},
    {1, "9,10", "0,1,2,3,4,5,6,7,8", ""},
    {1, "7,8", "0,1,2,3,4,5,6", ""},
    {0, "4,6", "0,1", "2,3,4,5"},
    /* Rows of shards that are not listed any more prove nothing of those that are. */
    {0, "99", "", "0,1,2,3,4,5"},
};

START_TEST(test_roles_when_it_is_met_again)
{
    enum leat_shard_role found[16];
    struct leat_shard_list list;
    bool has_progress[16] = {false};

    leat_shard_list_init(&list);
    for (const char *const *shard = graphs[again[_i].graph]; *shard != NULL; shard++)
        add(&list, *shard);
    for (size_t i = 0; i < list.count; i++)
        has_progress[i] = is_in(again[_i].has, (const char *)list.shards[i].shard.data);
    leat_shard_roles_again(&list, has_progress, found);
    for (size_t i = 0; i < list.count; i++) {
        const char *shard = (const char *)list.shards[i].shard.data;
        enum leat_shard_role wanted = is_in(again[_i].passed, shard)  ? LEAT_SHARD_PASSED
                                      : is_in(again[_i].start, shard) ? LEAT_SHARD_START
                                                                      : LEAT_SHARD_LATER;

        ck_assert_msg(found[i] == wanted, "case %d, shard %s: %d", _i, shard, (int)found[i]);
    }
    leat_shard_list_release(&list);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("shard_sync");
    TCase *tests = tcase_create("shard_sync");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, test_the_worked_cases, 0, (int)LEAT_COUNT_OF(cases));
    tcase_add_test(tests, test_a_long_lineage_and_a_cycle_end);
    tcase_add_loop_test(tests, test_roles, 0, (int)LEAT_COUNT_OF(roles));
    tcase_add_loop_test(tests, test_roles_when_it_is_met_again, 0, (int)LEAT_COUNT_OF(again));
    tcase_add_test(tests, test_a_beginning_knows_its_shards);
    tcase_add_loop_test(tests, test_missing_leases, 0, (int)LEAT_COUNT_OF(gaps));
    tcase_add_test(tests, test_processors_that_come_later);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
