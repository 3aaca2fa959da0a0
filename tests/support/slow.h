/*
 * Where everything takes many times as long (valgrind, sanitizers: LEAT_TEST_SLOW=skip), what only repeats with more rounds,
 * or what gcc's run has proved already, is left out.
 */
#ifndef LEAT_TESTS_SLOW_H
#define LEAT_TESTS_SLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool
test_skips_slow(void)
{
    const char *slow = getenv("LEAT_TEST_SLOW");

    return slow != NULL && strcmp(slow, "skip") == 0;
}

/* Of generated cases: all of them, or a tenth. */
static inline size_t
test_rounds(size_t all)
{
    return test_skips_slow() ? (all + 9) / 10 : all;
}

/* Of the cases of a loop test: all, or the first few and a line that tests/run counts. */
static inline int
test_cases(int all, int kept)
{
    if (!test_skips_slow() || all <= kept)
        return all;
    printf("%d skipped: the run without LEAT_TEST_SLOW has them\n", all - kept);
    fflush(stdout); /* before Check forks */
    return kept;
}

#endif
