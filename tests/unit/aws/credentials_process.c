/* A program that prints credentials, and those that do everything else. */
#include "aws/credentials_process.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"

#include <check.h>

#define GOOD                                                                                       \
    "echo "                                                                                        \
    "'{\"Version\":1,\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\"}'"

static struct leat_credentials_context surroundings;
static struct leat_credentials credentials;
static struct leat_error err;

static int
run(const char *command, int64_t timeout_us)
{
    leat_error_clear(&err);
    leat_credentials_release(&credentials);
    return leat_credentials_process_run(&surroundings, command, timeout_us, &credentials, &err);
}

static const struct {
    const char *command;
    int result;
    const char *part; /* of the error */
} cases[] = {
    {GOOD, 0, NULL},
    {"cat >/dev/null; " GOOD, 0, NULL},      /* its input is empty */
    {"echo loud words >&2; " GOOD, 0, NULL}, /* what it says there is not ours */
    {GOOD "; exec >&-; sleep 0.2", 0, NULL}, /* closing its output is not its end */
    {"sleep 300 & " GOOD, 0, NULL},          /* what it leaves running keeps nobody */
    {GOOD "; exit 1", LEAT_E_DENIED, "exit code 1"},
    {"echo hidden; exit 3", LEAT_E_DENIED, "exit code 3"},
    {"echo hidden >&2; kill -9 $$", LEAT_E_DENIED, "signal 9"},
    {"/no/such/program", LEAT_E_DENIED, "exit code 127"},
    {"true", LEAT_E_FORMAT, "no JSON"},
    {"echo hidden", LEAT_E_FORMAT, "no JSON"},
    {"head -c 10000000 /dev/zero", LEAT_E_LIMIT, "more than 65536 bytes"},
    {"yes", LEAT_E_LIMIT, "more than 65536 bytes"},
};

START_TEST(programs)
{
    ck_assert_msg(run(cases[_i].command, PATIENCE_US) == cases[_i].result, "%s: %d %s",
                  cases[_i].command, err.code, err.text);
    ck_assert_ptr_null(strstr(err.text, "hidden"));
    if (cases[_i].result == 0)
        ck_assert_str_eq(credentials.session_token, "t");
    else
        ck_assert_msg(strstr(err.text, cases[_i].part) != NULL, "%s: %s", cases[_i].command,
                      err.text);
}
END_TEST

/* It is ended, and what it started with it. */
START_TEST(one_that_hangs)
{
    char file[] = "/tmp/leat-process-XXXXXX", command[200], text[32] = "";
    int fd = mkstemp(file);
    int64_t begun_us = leat_clock_monotonic_us();
    pid_t child;

    ck_assert_int_ge(fd, 0);
    snprintf(command, sizeof command, "sleep 1000 & echo $! >%s; trap '' TERM; wait", file);
    ck_assert_int_eq(run(command, 500 * LEAT_MS_US), LEAT_E_TIMEOUT);
    ck_assert_int_ge(leat_clock_monotonic_us() - begun_us, 500 * LEAT_MS_US);
    ck_assert_int_gt(read(fd, text, sizeof text - 1), 0);
    child = (pid_t)strtol(text, NULL, 10);
    ck_assert_int_gt(child, 1);
    /* Reaped by init, or a zombie for a moment. */
    for (int64_t by_us = leat_clock_monotonic_us() + PATIENCE_US; kill(child, 0) == 0;) {
        char path[64], state[512] = "";
        FILE *stat;

        ck_assert_int_lt(leat_clock_monotonic_us(), by_us);
        snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
        stat = fopen(path, "re");
        if (stat == NULL)
            break;
        if (fgets(state, sizeof state, stat) != NULL && strstr(state, ") Z ") != NULL) {
            fclose(stat);
            break;
        }
        fclose(stat);
        usleep(1000);
    }
    close(fd);
    unlink(file);
}
END_TEST

static bool
yes(void)
{
    return true;
}

START_TEST(a_stop)
{
    int64_t begun_us = leat_clock_monotonic_us();

    surroundings.is_stopped = yes;
    ck_assert_int_eq(run("sleep 1000", 0), LEAT_E_CANCELLED);
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("credentials_process");
    TCase *tests = tcase_create("credentials_process");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, programs, 0, (int)LEAT_COUNT_OF(cases));
    tcase_add_test(tests, one_that_hangs);
    tcase_add_test(tests, a_stop);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
