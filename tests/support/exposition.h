/*
 * A page of /metrics as a strict scraper reads it. What Prometheus would refuse, or would only take because it is lenient, aborts
 * the test with the line: a head that comes twice or after its samples, samples of a name that are not together, a series twice,
 * a label or a number that is malformed, a counter without _total, a histogram whose buckets do not add up.
 */
#ifndef LEAT_TESTS_EXPOSITION_H
#define LEAT_TESTS_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

struct test_sample {
    char *name, *labels; /* labels: what stands between the braces, "" for none */
    double value;
};

struct test_family {
    char *name, *type, *help;
    struct test_sample *samples;
    size_t count, capacity;
};

struct test_page {
    struct test_family *families;
    size_t count, capacity;
};

void test_page_parse(struct test_page *page, const char *text);
void test_page_release(struct test_page *page);
const struct test_family *test_page_family(const struct test_page *page, const char *name);
/* Over the samples of this name ("x_count" for a histogram's) that have all of these labels: pieces as "stream=\"a\"", NULL-ended. */
double test_page_sum(const struct test_page *page, const char *name, const char *const *labels);
size_t test_page_samples(const struct test_page *page, const char *name, const char *const *labels);
/* Nothing that only grows is smaller than before, or gone. */
void test_page_ck_grew(const struct test_page *before, const struct test_page *after);

#define TEST_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TEST_ALL ((const char *const[]){NULL})

#endif
