/*
 * Durations, sizes, numbers and times as people and producers write them. What is accepted must
 * read back the same after it was printed; what is refused leaves its output alone.
 */
#include <stdint.h>

#include "base/memory.h"
#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNTOUCHED INT64_C(-7777777777777)

static void
check_duration(struct leat_slice text)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct leat_error err;
    int64_t us = UNTOUCHED, again = UNTOUCHED;

    if (leat_parse_duration(text, &us, &err) != 0) {
        LEAT_ASSERT(us == UNTOUCHED);
        return;
    }
    leat_format_duration(&out, us);
    LEAT_ASSERT(leat_parse_duration(leat_buf_slice(&out), &again, &err) == 0 && again == us);
}

static void
check_size(struct leat_slice text)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct leat_error err;
    int64_t bytes = UNTOUCHED, again = UNTOUCHED;

    if (leat_parse_size(text, &bytes, &err) != 0) {
        LEAT_ASSERT(bytes == UNTOUCHED);
        return;
    }
    leat_format_size(&out, bytes);
    LEAT_ASSERT(leat_parse_size(leat_buf_slice(&out), &again, &err) == 0 && again == bytes);
}

static void
check_time(struct leat_slice text)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    int64_t us = UNTOUCHED, again = UNTOUCHED;

    if (!leat_parse_time(text, &us)) {
        LEAT_ASSERT(us == UNTOUCHED);
        return;
    }
    leat_format_time(&out, us);
    /* A zone or a leap second may carry a time out of the years that are written with four digits. */
    if (us >= INT64_C(-62135596800) * 1000000 && us < INT64_C(253402300800) * 1000000)
        LEAT_ASSERT(leat_parse_time(leat_buf_slice(&out), &again) && again == us);
}

/* A format and a text, separated by the first zero byte. */
static void
check_time_as(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    int64_t us = UNTOUCHED;

    if (end == NULL)
        return;
    if (!leat_parse_time_as(leat_slice_make(end + 1, size - (size_t)(end + 1 - data)),
                            (const char *)data, &us))
        LEAT_ASSERT(us == UNTOUCHED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"interval", "linger", "budget", NULL};
    struct leat_slice text = leat_slice_make(data, size);
    struct leat_error err;
    int64_t number = UNTOUCHED;
    bool is_true;

    check_duration(text);
    check_size(text);
    check_time(text);
    check_time_as(data, size);
    leat_parse_boolean(text, &is_true, &err);
    if (leat_parse_integer(text, &number, &err) != 0)
        LEAT_ASSERT(number == UNTOUCHED);
    if (size > 0 && size < 200 && memchr(data, 0, size) == NULL) {
        LEAT_AUTO_BUF word = LEAT_BUF_INIT;

        leat_buf_add(&word, data, size);
        leat_did_you_mean(leat_buf_text(&word), words);
    }
    return 0;
}
