/* The KCL's worked cases (kcl.md §4.3, its graphs A, B and C), and lineages of every shape. */
#include "lease/shard_sync.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

/* "id<parent,parent" ; a '!' behind: open. */
static const char *const graphs[][12] = {
    {"0", "1", "2", "3", "4!", "5", "6<0,1", "7<2,3", "8<6,7!", "9<5!", "10<5!", NULL},
    {"0", "1", "2<0,1", "3<2", "4<2", "5<3,4", "6<5", "7<5", "8<6,7", "9<8!", "10<8!", NULL},
    {"0", "1!", "2", "3", "4<0", "5<0", "6<2,3!", "7<4,5!", "8<4,5!", "9<4,5!", "10<4,5!", NULL},
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

int
main(void)
{
    Suite *suite = suite_create("shard_sync");
    TCase *tests = tcase_create("shard_sync");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, test_the_worked_cases, 0, (int)LEAT_COUNT_OF(cases));
    tcase_add_test(tests, test_a_long_lineage_and_a_cycle_end);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
