/* Tokens of every allowed length are kept whole; a listing that goes in a circle, or on for ever, is an error by name. */
#include "aws/page.h"
#include "unit/base/suite.h"

static const struct leat_page_limits limits = {
    .token_bytes = LEAT_PAGE_TOKEN_BYTES, .pages = 1000, .duration_us = 60 * 1000000};

START_TEST(keeps_a_token_of_any_allowed_length)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 65536, LEAT_PAGE_TOKEN_BYTES};
    LEAT_AUTO_BUF token = LEAT_BUF_INIT;
    struct leat_pages pages;
    struct leat_error err;

    leat_pages_begin(&pages, &limits, 0);
    for (size_t i = 0; i < LEAT_COUNT_OF(sizes); i++) {
        while (token.size < sizes[i])
            leat_buf_add_byte(&token, (unsigned char)('a' + token.size % 26));
        ck_assert_msg(leat_pages_next(&pages, leat_buf_slice(&token), 0, &err) == 0, "%s",
                      err.text);
        ck_assert(leat_slice_equals(leat_buf_slice(&pages.token), leat_buf_slice(&token)));
    }
    leat_buf_add_byte(&token, 'x');
    ck_assert_int_eq(leat_pages_next(&pages, leat_buf_slice(&token), 0, &err), LEAT_E_LIMIT);
    ck_assert_msg(strstr(err.text, "a token of 1048577 bytes") != NULL, "%s", err.text);
    leat_pages_release(&pages);
}
END_TEST

/* Pages until an error: `tail` different tokens, then a circle of `length`. */
static unsigned
pages_until_told(unsigned tail, unsigned length, struct leat_error *err)
{
    struct leat_pages pages;
    unsigned place = 0;
    int status;

    leat_pages_begin(&pages, &limits, 0);
    do {
        char token[32];

        snprintf(token, sizeof token, "t%u", place < tail ? place : tail + (place - tail) % length);
        status = leat_pages_next(&pages, leat_slice_from(token), 0, err);
        place++;
    } while (status == 0);
    leat_pages_release(&pages);
    return place;
}

START_TEST(a_circle_of_any_length_is_found)
{
    struct leat_error err;

    for (unsigned tail = 0; tail < 20; tail++) {
        for (unsigned length = 1; length < 60; length++) {
            unsigned pages = pages_until_told(tail, length, &err);

            ck_assert_int_eq(err.code, LEAT_E_FORMAT);
            ck_assert_uint_le(pages, 3 * (tail + length) + 3);
        }
    }
    ck_assert_msg(strstr(err.text, "does not end") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_list_that_is_too_long_or_too_slow_ends)
{
    struct leat_pages pages;
    struct leat_error err;
    char token[32] = "";
    int status = 0;

    leat_pages_begin(&pages, &limits, 5);
    for (int i = 0; i < 999; i++) {
        snprintf(token, sizeof token, "%d", i);
        status = leat_pages_next(&pages, leat_slice_from(token), 5, &err);
        ck_assert_msg(status == 0, "%s", err.text);
    }
    ck_assert_int_eq(leat_pages_next(&pages, TEXT("999"), 5, &err), LEAT_E_LIMIT);
    ck_assert_msg(strstr(err.text, "1000 pages") != NULL, "%s", err.text);
    leat_pages_release(&pages);
    leat_pages_begin(&pages, &limits, 5);
    ck_assert_int_eq(leat_pages_next(&pages, TEXT("a"), 60 * 1000000, &err), 0);
    ck_assert_int_eq(leat_pages_next(&pages, TEXT("b"), 61 * 1000000, &err), LEAT_E_LIMIT);
    leat_pages_release(&pages);
}
END_TEST

SUITE_MAIN("page", keeps_a_token_of_any_allowed_length, a_circle_of_any_length_is_found,
           a_list_that_is_too_long_or_too_slow_ends)
