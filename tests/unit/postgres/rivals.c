/* The name that a session bears: one for each lease database, whatever the server cuts off. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "postgres/committer_inside.h"

#include <check.h>

#define HOST "leat-leases-production.cluster-abcdefghijkl.eu-central-1.rds.amazonaws.com:5432"
#define PREFIX "leat committer of "

/* Each is another lease database than its neighbours. */
static const char *const names[] = {
    "db:5432/leat",
    "db:5432/leat2",
    HOST "/leat",
    HOST "/leat2",
    HOST "/leat_of_the_team_with_a_name_that_is_longer_than_all_that_fits_in_here",
    HOST "/leat.of_the_team_with_a_name_that_is_longer_than_all_that_fits_in_here",
    "another." HOST "/leat",
    "db:5432/caf\xc3\xa9",
    "db:5432/caf\xc3\xa8",
    "db:5432/caf??",
    "/a/folder/with/a/long/name/for/sockets/of/tests:/leases_1",
    "/a/folder/with/a/long/name/for/sockets/of/tests:/rivals_1",
};

START_TEST(each_has_its_own)
{
    char name[LEAT_PG_SESSION_NAME_BYTES + 1], other[LEAT_PG_SESSION_NAME_BYTES + 1];

    leat_pg_rivals_name(names[_i], name);
    ck_assert_uint_le(strlen(name), LEAT_PG_SESSION_NAME_BYTES);
    ck_assert_msg(strncmp(name, PREFIX, strlen(PREFIX)) == 0, "%s", name);
    for (const char *at = name; *at != '\0'; at++)
        ck_assert_msg(*at >= ' ' && *at <= '~', "%s", name);
    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++) {
        leat_pg_rivals_name(names[i], other);
        ck_assert_msg((strcmp(name, other) == 0) == (i == (size_t)_i), "%s and %s: %s", names[_i],
                      names[i], name);
    }
}
END_TEST

START_TEST(the_database_can_be_read)
{
    char name[LEAT_PG_SESSION_NAME_BYTES + 1];

    leat_pg_rivals_name("db:5432/leat", name);
    ck_assert_str_eq(name, PREFIX "db:5432/leat");
    leat_pg_rivals_name(HOST "/leat", name);
    ck_assert_ptr_nonnull(strstr(name, "rds.amazonaws.com:5432/leat"));
    leat_pg_rivals_name("", name);
    ck_assert_str_eq(name, PREFIX);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rivals");
    TCase *tests = tcase_create("names");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, each_has_its_own, 0, (int)LEAT_COUNT_OF(names));
    tcase_add_test(tests, the_database_can_be_read);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
