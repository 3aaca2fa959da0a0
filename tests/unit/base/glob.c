/* Patterns: known ones, and all short ones against a matcher that tries everything. */
#include "tests/unit/base/suite.h"

#include "base/glob.h"
#include "base/random.h"
#include "support/slow.h"

START_TEST(known_patterns)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "orders", true},
        {"orders-*", "orders-eu", true},
        {"orders-*", "orders-", true},
        {"orders-*", "orders", false},
        {"orders-*", "my-orders-eu", false},
        {"*-orders", "eu-orders", true},
        {"*-*", "a-b-c", true},
        {"a*b*c", "a-b-b-c", true},
        {"a*b*c", "acb", false},
        {"orders-?", "orders-1", true},
        {"orders-?", "orders-", false},
        {"orders-?", "orders-12", false},
        {"??*", "a", false},
        {"a.b", "axb", false},
        {"a_b", "a-b", false},
        {"a%", "ab", false},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++)
        ck_assert_msg(leat_glob_matches(cases[i].pattern, cases[i].text) == cases[i].matches,
                      "%s %s", cases[i].pattern, cases[i].text);
    ck_assert(leat_is_glob("a*") && leat_is_glob("?") && !leat_is_glob("a-b.c_d"));
}
END_TEST

static bool
matches_slowly(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*')
        return matches_slowly(pattern + 1, text) ||
               (*text != '\0' && matches_slowly(pattern, text + 1));
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           matches_slowly(pattern + 1, text + 1);
}

static void
make(struct leat_random *random, const char *letters, char *out, size_t most)
{
    size_t size = leat_random_below(random, most + 1);

    for (size_t i = 0; i < size; i++)
        out[i] = letters[leat_random_below(random, strlen(letters))];
    out[size] = '\0';
}

START_TEST(generated_patterns)
{
    struct leat_random random;
    size_t matched = 0;

    leat_random_seed(&random, 7);
    for (size_t i = 0; i < test_rounds(200000); i++) {
        char pattern[9], text[9];
        bool wanted;

        make(&random, "ab*?", pattern, 8);
        make(&random, "ab", text, 8);
        wanted = matches_slowly(pattern, text);
        matched += wanted;
        ck_assert_msg(leat_glob_matches(pattern, text) == wanted, "%s %s", pattern, text);
    }
    ck_assert_uint_gt(matched, test_rounds(10000));
}
END_TEST

/* One that would take for ever if stars were tried one inside the other. */
START_TEST(no_pattern_is_slow)
{
    char pattern[201], text[20001];

    for (size_t i = 0; i < 200; i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    pattern[199] = 'b';
    pattern[200] = '\0';
    memset(text, 'a', 20000);
    text[20000] = '\0';
    ck_assert(!leat_glob_matches(pattern, text));
}
END_TEST

SUITE_MAIN("glob", known_patterns, generated_patterns, no_pattern_is_slow)
