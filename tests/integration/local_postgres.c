/* The private Postgres: starts, answers, is used again, ends with the process that started it. */
#include "local/postgres.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "postgres/connection.h"
#include "support/patience.h"

static char directory[64];
static struct leat_error err;

static void
setup(void)
{
    snprintf(directory, sizeof directory, "/tmp/leat-local-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void
teardown(void)
{
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;

    leat_buf_printf(&command, "rm -rf %s", directory);
    ck_assert_int_eq(system(leat_buf_text(&command)), 0);
}

static void
run(struct leat_local_postgres *postgres, const char *sql)
{
    LEAT_AUTO_BUF url = LEAT_BUF_INIT;
    struct leat_pg_connection *connection;

    leat_buf_printf(&url, "%s dbname=postgres", leat_local_postgres_conninfo(postgres));
    struct leat_pg_options options = {
        .search_path = "public", .url = leat_buf_text(&url), .application_name = "test"};
    ck_assert_msg(leat_pg_connect(&options, &connection, &err) == 0, "%s", err.text);
    ck_assert_msg(leat_pg_script(connection, sql, &err) == 0, "%s", err.text);
    leat_pg_close(connection);
}

START_TEST(test_starts_and_is_used_again)
{
    struct leat_local_postgres *postgres;

    ck_assert_msg(leat_local_postgres_start(directory, &postgres, &err) == 0, "%s", err.text);
    run(postgres, "CREATE TABLE kept (a int)");
    leat_local_postgres_stop(postgres);
    ck_assert_msg(leat_local_postgres_start(directory, &postgres, &err) == 0, "%s", err.text);
    run(postgres, "SELECT * FROM kept");
    leat_local_postgres_stop(postgres);
}
END_TEST

/* True when the process is gone before the deadline. */
static bool
ends(pid_t pid)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (leat_clock_monotonic_us() < deadline_us) {
        if (kill(pid, 0) != 0)
            return true;
        usleep(10000);
    }
    return false;
}

START_TEST(test_ends_with_its_killed_owner)
{
    struct leat_local_postgres *postgres;
    int told[2], status;
    pid_t owner, server = 0;

    ck_assert_int_eq(pipe(told), 0);
    owner = fork();
    if (owner == 0) {
        if (leat_local_postgres_start(directory, &postgres, &err) == 0)
            server = leat_local_postgres_pid(postgres);
        _exit(write(told[1], &server, sizeof server) == sizeof server && raise(SIGKILL) == 0 ? 0
                                                                                             : 1);
    }
    ck_assert_int_eq(read(told[0], &server, sizeof server), sizeof server);
    ck_assert_int_eq(waitpid(owner, &status, 0), owner);
    ck_assert_int_gt(server, 0);
    ck_assert(ends(server));
}
END_TEST

/* Whoever may connect is a superuser: so nobody else may. What a directory of before had is mended. */
START_TEST(test_others_may_not_connect)
{
    struct leat_local_postgres *postgres;
    LEAT_AUTO_BUF command = LEAT_BUF_INIT;
    struct stat facts;
    char path[100];

    ck_assert_int_eq(chmod(directory, 0777), 0);
    ck_assert_msg(leat_local_postgres_start(directory, &postgres, &err) == 0, "%s", err.text);
    ck_assert_int_eq(stat(directory, &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", directory);
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0700);
    if (geteuid() == 0) { /* even where they can get at the socket */
        ck_assert_int_eq(chmod(directory, 0755), 0);
        leat_buf_printf(&command,
                        "setpriv --reuid=65534 --regid=65534 --clear-groups psql -h %s -U postgres "
                        "-c 'SELECT 1' >/dev/null 2>&1",
                        directory);
        ck_assert_int_ne(system(leat_buf_text(&command)), 0);
    }
    run(postgres, "SELECT 1");
    leat_local_postgres_stop(postgres);
}
END_TEST

START_TEST(test_what_is_wrong_is_named)
{
    struct leat_local_postgres *postgres;
    char deep[200];

    memset(deep, 'x', sizeof deep - 1);
    deep[0] = '/';
    deep[sizeof deep - 1] = '\0';
    ck_assert_int_eq(leat_local_postgres_start(deep, &postgres, &err), LEAT_E_LIMIT);
    setenv("LEAT_POSTGRES_BIN", "/nonexistent", 1);
    ck_assert_int_eq(leat_local_postgres_start(directory, &postgres, &err), LEAT_E_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "initdb.log"));
    unsetenv("LEAT_POSTGRES_BIN");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("local_postgres");
    TCase *tests = tcase_create("local_postgres");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_starts_and_is_used_again);
    tcase_add_test(tests, test_ends_with_its_killed_owner);
    tcase_add_test(tests, test_others_may_not_connect);
    tcase_add_test(tests, test_what_is_wrong_is_named);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
