/* Problems are told in the order in which a file is mended, then those from outside, each in one line. */
#include "suite.h"

static struct leat_problems problems;
static struct leat_arena arena;

static struct leat_place
at(int line, int column)
{
    return (struct leat_place){.line = line, .column = column};
}

START_TEST(test_the_order)
{
    struct leat_place set = {.layer = LEAT_LAYER_SET, .origin = "--set a"};
    struct leat_place environment = {.layer = LEAT_LAYER_ENVIRONMENT, .origin = "environment B"};

    leat_arena_init(&arena);
    problems = (struct leat_problems){.arena = &arena, .file = "f"};
    leat_problem_add(&problems, set, "seventh");
    leat_problem_add(&problems, environment, "sixth");
    leat_problem_add(&problems, at(2, 1), "fourth");
    leat_problem_add(&problems, at(10, 1), "fifth");
    leat_problem_add(&problems, at(1, 10), "second");
    leat_problem_add(&problems, at(1, 10), "third: %s", "a\nb\x7f");
    leat_problem_add(&problems, at(1, 2), "first");
    leat_problem_add(&problems, at(0, 0), "of the whole file");
    leat_problems_tell(&problems, suite_tell, NULL);
    suite_expect(leat_buf_text(&told), "f: of the whole file\n"
                                       "f:1:2: first\n"
                                       "f:1:10: second\n"
                                       "f:1:10: third: a?b?\n"
                                       "f:2:1: fourth\n"
                                       "f:10:1: fifth\n"
                                       "environment B: sixth\n"
                                       "--set a: seventh\n");
    leat_arena_release(&arena);
}
END_TEST

START_TEST(test_did_you_mean)
{
    static const char *const words[] = {"budget", "linger", NULL};

    leat_arena_init(&arena);
    problems = (struct leat_problems){.arena = &arena, .file = "f"};
    leat_problem_unknown(&problems, at(1, 1), "key", "bugdet", "memory", words);
    leat_problem_unknown(&problems, at(2, 1), "key", "something", "", words);
    leat_problems_tell(&problems, suite_tell, NULL);
    suite_expect(leat_buf_text(&told),
                 "f:1:1: there is no key \"bugdet\" in memory, did you mean \"budget\"?\n"
                 "f:2:1: there is no key \"something\"\n");
    leat_arena_release(&arena);
}
END_TEST

SUITE_MAIN("config/problem", test_the_order, test_did_you_mean)
