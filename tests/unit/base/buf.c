/* Bufs: growth, the maximum and its memory, integers, giving away. */
#include "tests/unit/base/suite.h"

START_TEST(grows_and_formats)
{
    LEAT_AUTO_BUF buf = LEAT_BUF_INIT;

    ck_assert_str_eq(leat_buf_text(&buf), "");
    ck_assert(leat_buf_slice(&buf).data != NULL);
    for (int i = 0; i < 1000; i++)
        ck_assert(leat_buf_printf(&buf, "%d,", i));
    ck_assert_uint_eq(buf.size, 10 * 2 + 90 * 3 + 900 * 4);
    ck_assert(strncmp(leat_buf_text(&buf), "0,1,2,3", 7) == 0);
    ck_assert(strcmp(leat_buf_text(&buf) + buf.size - 4, "999,") == 0);
}
END_TEST

START_TEST(truncated_stays_a_prefix)
{
    struct leat_buf buf;

    leat_buf_init(&buf, 5);
    ck_assert(leat_buf_add_text(&buf, "abc"));
    ck_assert(!leat_buf_add_text(&buf, "def"));
    ck_assert(buf.is_truncated);
    ck_assert(!leat_buf_add_byte(&buf, 'g')); /* would fit, and would be no prefix */
    ck_assert(!leat_buf_printf(&buf, "%d", 1));
    ck_assert_str_eq(leat_buf_text(&buf), "abc");
    leat_buf_clear(&buf);
    ck_assert(leat_buf_add_text(&buf, "12345"));
    ck_assert_str_eq(leat_buf_text(&buf), "12345");
    leat_buf_release(&buf);
    ck_assert_uint_eq(buf.maximum, 5);
}
END_TEST

START_TEST(big_endian)
{
    LEAT_AUTO_BUF buf = LEAT_BUF_INIT;

    leat_buf_add_be16(&buf, 0x0102);
    leat_buf_add_be32(&buf, 0x03040506);
    leat_buf_add_be64(&buf, UINT64_C(0x0708090A0B0C0D0E));
    ck_assert_uint_eq(buf.size, 14);
    for (unsigned i = 0; i < 14; i++)
        ck_assert_uint_eq(buf.data[i], i + 1);
}
END_TEST

START_TEST(taken_is_the_callers)
{
    struct leat_buf buf = LEAT_BUF_INIT;
    char *text;

    text = leat_buf_take(&buf);
    ck_assert_str_eq(text, "");
    free(text);
    leat_buf_add_text(&buf, "leat");
    text = leat_buf_take(&buf);
    ck_assert_str_eq(text, "leat");
    ck_assert_ptr_null(buf.data);
    free(text);
}
END_TEST

SUITE_MAIN("buf", grows_and_formats, truncated_stays_a_prefix, big_endian, taken_is_the_callers)
