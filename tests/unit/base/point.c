/* Test points: what each action does, and when. Skipped where they are compiled out. */
#include "tests/unit/base/suite.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/point.h"

#ifdef LEAT_TEST_POINTS

/* Points are parsed once in a process: each look at one has its own. Returns the status of waitpid. */
static int
pass(const char *points, const char *name, int times, int options)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        setenv("LEAT_POINTS", points, 1);
        for (int i = 1; i <= times; i++) {
            if (LEAT_POINT_FAILS(name))
                _exit(10 + i);
        }
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, options), child);
    if (WIFSTOPPED(status)) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    return status;
}

START_TEST(actions)
{
    int status = pass("a=crash@3", "a", 3, 0);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ck_assert_int_eq(pass("a=crash@3", "a", 2, 0), 0);
    ck_assert_int_eq(WEXITSTATUS(pass("a=exit", "a", 1, 0)), 1);
    ck_assert(WIFSTOPPED(pass("a=stop", "a", 1, WUNTRACED)));
    ck_assert_int_eq(WEXITSTATUS(pass("b=exit,a=fail@2", "a", 5, 0)), 12);
    ck_assert_int_eq(pass("a=fail", "b", 5, 0), 0);
    status = pass("a=nonsense", "a", 1, 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    status = pass("a=fail@0", "a", 1, 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

START_TEST(pause_takes_its_time)
{
    int64_t began_us = leat_clock_monotonic_us();

    ck_assert_int_eq(pass("a=pause:30ms@1", "a", 3, 0), 0);
    ck_assert_int_ge(leat_clock_monotonic_us() - began_us, 30 * LEAT_MS_US);
}
END_TEST

/* Told before it is done, also by one that dies of it. */
START_TEST(firing_is_told)
{
    char path[] = "/tmp/leat-points-XXXXXX", line[64] = "";
    int fd = mkstemp(path);
    FILE *in;

    ck_assert_int_ge(fd, 0);
    close(fd);
    setenv("LEAT_POINTS_LOG", path, 1);
    ck_assert(WIFSIGNALED(pass("a=crash@2,b=pause:1ms", "a", 2, 0)));
    ck_assert_int_eq(pass("a=crash@2,b=pause:1ms@1", "b", 2, 0), 0);
    unsetenv("LEAT_POINTS_LOG");
    in = fopen(path, "r");
    ck_assert_ptr_nonnull(fgets(line, sizeof line, in));
    ck_assert_int_eq(strncmp(line, "a crash ", 8), 0);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, in));
    ck_assert_int_eq(strncmp(line, "b pause ", 8), 0);
    ck_assert_ptr_null(fgets(line, sizeof line, in));
    fclose(in);
    unlink(path);
}
END_TEST

SUITE_MAIN("point", actions, pause_takes_its_time, firing_is_told)

#else

int
main(void)
{
    puts("skipped: built without test points (MODE=test has them)");
    return 77;
}

#endif
