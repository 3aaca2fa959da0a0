/* Line by line, by the grammar of the text format 0.0.4. */
#include "support/exposition.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/encoding.h"
#include "base/memory.h"

#include <check.h>

/* ---- names and values ------------------------------------------------------------------------------ */

static size_t
name_size(const char *text, bool is_label)
{
    size_t size = 0;

    if (isdigit((unsigned char)text[0]))
        return 0;
    while (isalnum((unsigned char)text[size]) || text[size] == '_' ||
           (text[size] == ':' && !is_label))
        size++;
    return size;
}

static char *
piece(const char *text, size_t size)
{
    return leat_slice_strdup(leat_slice_make(text, size));
}

/* Behind the closing quote; NULL: malformed. */
static const char *
skip_value(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if (*at == '\0' || *at == '\n')
            return NULL;
        if (*at == '\\' && strchr("\\\"n", *++at) == NULL)
            return NULL;
    }
    return at + 1;
}

/* From behind the opening brace to the closing one; NULL: malformed. */
static const char *
skip_labels(const char *at)
{
    while (*at != '}') {
        size_t size = name_size(at, true);

        if (size == 0 || at[size] != '=')
            return NULL;
        at = skip_value(at + size + 1);
        if (at == NULL || (*at != ',' && *at != '}'))
            return NULL;
        at += *at == ',' && at[1] != '}';
    }
    return at;
}

static bool
is_number(const char *text, double *ret_value)
{
    char *end;

    if (strcmp(text, "NaN") == 0 || strcmp(text, "+Inf") == 0 || strcmp(text, "-Inf") == 0) {
        *ret_value = strtod(text, NULL);
        return true;
    }
    if (*text == '\0' || strspn(text, "0123456789.eE+-") != strlen(text))
        return false;
    *ret_value = strtod(text, &end);
    return *end == '\0';
}

static bool
ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);

    return size > end_size && strcmp(text + size - end_size, end) == 0;
}

/* ---- families ------------------------------------------------------------------------------------------ */

const struct test_family *
test_page_family(const struct test_page *page, const char *name)
{
    for (size_t i = 0; i < page->count; i++) {
        if (strcmp(page->families[i].name, name) == 0)
            return &page->families[i];
    }
    return NULL;
}

static void
begin_family(struct test_page *page, const char *line)
{
    const char *name = line + strlen("# HELP ");
    size_t size = name_size(name, false);
    struct test_family family = {0};

    ck_assert_msg(size > 0 && name[size] == ' ', "no name: %s", line);
    family.name = piece(name, size);
    family.help = leat_strdup(name + size + 1);
    ck_assert_msg(test_page_family(page, family.name) == NULL, "its head again: %s", line);
    LEAT_GROW(page->families, page->count, page->capacity);
    page->families[page->count++] = family;
}

static void
set_type(struct test_page *page, const char *line)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "untyped"};
    struct test_family *family = page->count > 0 ? &page->families[page->count - 1] : NULL;
    const char *name = line + strlen("# TYPE ");
    size_t size = name_size(name, false);
    bool is_known = false;

    ck_assert_msg(family != NULL && family->type == NULL && size == strlen(family->name) &&
                      strncmp(name, family->name, size) == 0 && name[size] == ' ',
                  "no HELP of it before: %s", line);
    family->type = leat_strdup(name + size + 1);
    for (size_t i = 0; i < LEAT_COUNT_OF(types); i++)
        is_known |= strcmp(types[i], family->type) == 0;
    ck_assert_msg(is_known, "no type: %s", line);
    ck_assert_msg(strcmp(family->type, "counter") != 0 || ends_with(family->name, "_total"),
                  "a counter without _total: %s", line);
}

static bool
belongs_to(const struct test_family *family, const char *name)
{
    size_t size = strlen(family->name);

    if (strcmp(name, family->name) == 0)
        return strcmp(family->type, "histogram") != 0;
    return strcmp(family->type, "histogram") == 0 && strncmp(name, family->name, size) == 0 &&
           (strcmp(name + size, "_bucket") == 0 || strcmp(name + size, "_sum") == 0 ||
            strcmp(name + size, "_count") == 0);
}

static void
add_sample(struct test_page *page, const char *line)
{
    struct test_family *family = page->count > 0 ? &page->families[page->count - 1] : NULL;
    size_t size = name_size(line, false);
    const char *labels = line + size, *end = labels;
    struct test_sample sample = {0};

    ck_assert_msg(size > 0, "no name: %s", line);
    if (*labels == '{') {
        end = skip_labels(++labels);
        ck_assert_msg(end != NULL, "malformed labels: %s", line);
    }
    sample.name = piece(line, size);
    sample.labels = piece(labels, (size_t)(end - labels));
    end += *end == '}';
    ck_assert_msg(*end == ' ' && is_number(end + 1, &sample.value), "no number: %s", line);
    ck_assert_msg(family != NULL && family->type != NULL && belongs_to(family, sample.name),
                  "not behind its own head: %s", line);
    for (size_t i = 0; i < family->count; i++)
        ck_assert_msg(strcmp(family->samples[i].name, sample.name) != 0 ||
                          strcmp(family->samples[i].labels, sample.labels) != 0,
                      "twice: %s", line);
    LEAT_GROW(family->samples, family->count, family->capacity);
    family->samples[family->count++] = sample;
}

/* ---- histograms ------------------------------------------------------------------------------------------ */

static bool
starts_series(const struct test_sample *bucket, const char *labels)
{
    size_t size = strlen(labels);

    return ends_with(bucket->name, "_bucket") && strncmp(bucket->labels, labels, size) == 0 &&
           strncmp(bucket->labels + size, size > 0 ? ",le=\"" : "le=\"", size > 0 ? 5 : 4) == 0;
}

/* Of one series: in order, growing, the last one +Inf and the count. */
static void
ck_series(const struct test_family *family, const struct test_sample *count)
{
    double last = 0;
    bool has_end = false;

    for (size_t i = 0; i < family->count; i++) {
        const struct test_sample *bucket = &family->samples[i];

        if (!starts_series(bucket, count->labels))
            continue;
        ck_assert_msg(!has_end && bucket->value >= last, "%s{%s} shrinks", bucket->name,
                      bucket->labels);
        last = bucket->value;
        has_end = strstr(bucket->labels, "le=\"+Inf\"") != NULL;
    }
    ck_assert_msg(has_end && last == count->value, "%s{%s} is %g, its buckets %g", count->name,
                  count->labels, count->value, last);
}

static void
ck_histogram(const struct test_family *family)
{
    for (size_t i = 0; i < family->count; i++) {
        if (ends_with(family->samples[i].name, "_count"))
            ck_series(family, &family->samples[i]);
    }
}

/* ---- a page ------------------------------------------------------------------------------------------------ */

void
test_page_parse(struct test_page *page, const char *text)
{
    *page = (struct test_page){0};
    ck_assert_msg(leat_utf8_is_valid(leat_slice_from(text)), "no UTF-8");
    ck_assert_msg(*text != '\0' && text[strlen(text) - 1] == '\n', "the last line has no end");
    for (const char *end; *text != '\0'; text = end + 1) {
        LEAT_AUTO_FREE char *line = NULL;

        end = strchr(text, '\n');
        line = piece(text, (size_t)(end - text));
        if (strncmp(line, "# HELP ", 7) == 0)
            begin_family(page, line);
        else if (strncmp(line, "# TYPE ", 7) == 0)
            set_type(page, line);
        else
            add_sample(page, line);
    }
    for (size_t i = 0; i < page->count; i++) {
        ck_assert_msg(page->families[i].type != NULL, "%s has no type", page->families[i].name);
        if (strcmp(page->families[i].type, "histogram") == 0)
            ck_histogram(&page->families[i]);
    }
}

void
test_page_release(struct test_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        struct test_family *family = &page->families[i];

        for (size_t n = 0; n < family->count; n++) {
            free(family->samples[n].name);
            free(family->samples[n].labels);
        }
        free(family->samples);
        free(family->name);
        free(family->type);
        free(family->help);
    }
    free(page->families);
    *page = (struct test_page){0};
}

static bool
has_labels(const struct test_sample *sample, const char *const *labels)
{
    for (; *labels != NULL; labels++) {
        if (strstr(sample->labels, *labels) == NULL)
            return false;
    }
    return true;
}

static size_t
look_at(const struct test_page *page, const char *name, const char *const *labels, double *ret_sum)
{
    size_t count = 0;

    *ret_sum = 0;
    for (size_t i = 0; i < page->count; i++) {
        const struct test_family *family = &page->families[i];

        for (size_t n = 0; n < family->count; n++) {
            if (strcmp(family->samples[n].name, name) != 0 ||
                !has_labels(&family->samples[n], labels))
                continue;
            *ret_sum += family->samples[n].value;
            count++;
        }
    }
    return count;
}

double
test_page_sum(const struct test_page *page, const char *name, const char *const *labels)
{
    double sum;

    look_at(page, name, labels, &sum);
    return sum;
}

size_t
test_page_samples(const struct test_page *page, const char *name, const char *const *labels)
{
    double sum;

    return look_at(page, name, labels, &sum);
}

static void
ck_grew(const struct test_page *after, const struct test_family *before)
{
    const struct test_family *family = test_page_family(after, before->name);

    ck_assert_msg(family != NULL, "%s is gone", before->name);
    for (size_t i = 0; i < before->count; i++) {
        const struct test_sample *old = &before->samples[i], *found = NULL;

        for (size_t n = 0; n < family->count && found == NULL; n++) {
            if (strcmp(family->samples[n].name, old->name) == 0 &&
                strcmp(family->samples[n].labels, old->labels) == 0)
                found = &family->samples[n];
        }
        ck_assert_msg(found != NULL, "%s{%s} is gone", old->name, old->labels);
        ck_assert_msg(found->value >= old->value, "%s{%s} went from %g to %g", old->name,
                      old->labels, old->value, found->value);
    }
}

void
test_page_ck_grew(const struct test_page *before, const struct test_page *after)
{
    for (size_t i = 0; i < before->count; i++) {
        if (strcmp(before->families[i].type, "gauge") != 0)
            ck_grew(after, &before->families[i]);
    }
}
