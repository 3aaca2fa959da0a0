/* The CBOR walker against RFC 8949's examples and against what must be refused; the writer against the walker. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "aws/cbor.h"
#include "base/encoding.h"
#include "base/memory.h"

static struct leat_buf bytes;

static struct leat_cbor
begin(const char *hex)
{
    struct leat_cbor cbor;

    leat_buf_clear(&bytes);
    ck_assert(leat_hex_decode(&bytes, leat_slice_from(hex)));
    leat_cbor_begin(&cbor, bytes.data, bytes.size);
    return cbor;
}

START_TEST(numbers)
{
    static const struct {
        const char *hex;
        double value;
        bool is_integer;
    } cases[] = {
        {"00", 0, true},
        {"17", 23, true},
        {"1818", 24, true},
        {"190100", 256, true},
        {"1a000f4240", 1000000, true},
        {"1b000000e8d4a51000", 1e12, true},
        {"1bffffffffffffffff", 18446744073709551615.0, false},
        {"20", -1, true},
        {"3903e7", -1000, true},
        {"3bffffffffffffffff", -18446744073709551616.0, false},
        {"f90000", 0, false},
        {"f93c00", 1, false},
        {"f97bff", 65504, false},
        {"f90001", 5.960464477539063e-8, false},
        {"f9c400", -4, false},
        {"fa47c35000", 100000, false},
        {"fb3ff199999999999a", 1.1, false},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        struct leat_cbor cbor = begin(cases[i].hex);
        struct leat_cbor_item item;

        ck_assert_msg(leat_cbor_next(&cbor, &item), "%s", cases[i].hex);
        ck_assert_int_eq(item.type, cases[i].is_integer ? LEAT_CBOR_INTEGER : LEAT_CBOR_REAL);
        ck_assert_msg(item.real == cases[i].value, "%s: %g", cases[i].hex, item.real);
        ck_assert(cbor.next == cbor.end);
        ck_assert(!leat_cbor_next(&cbor, &item));
        ck_assert(!cbor.is_bad);
    }
}
END_TEST

START_TEST(strings)
{
    struct leat_cbor_item item;
    struct leat_cbor cbor = begin("4401020304");

    ck_assert(leat_cbor_next(&cbor, &item));
    ck_assert_int_eq(item.type, LEAT_CBOR_BYTES);
    ck_assert(leat_slice_equals(item.string, leat_slice_make("\1\2\3\4", 4)));
    ck_assert(item.string.data == bytes.data + 1); /* no copy */
    cbor = begin("5f42010243030405ff"
                 "6161");
    ck_assert(leat_cbor_next(&cbor, &item));
    ck_assert(leat_slice_equals(item.string, leat_slice_make("\1\2\3\4\5", 5)));
    ck_assert(leat_cbor_next(&cbor, &item));
    ck_assert(item.type == LEAT_CBOR_TEXT && leat_slice_is(item.string, "a"));
    cbor = begin("7f657374726561646d696e67ff");
    ck_assert(leat_cbor_next(&cbor, &item));
    ck_assert(item.type == LEAT_CBOR_TEXT && leat_slice_is(item.string, "streaming"));
    cbor = begin("5fff");
    ck_assert(leat_cbor_next(&cbor, &item));
    ck_assert(item.type == LEAT_CBOR_BYTES && item.string.size == 0);
}
END_TEST

START_TEST(refused)
{
    static const char *const cases[] = {
        "18",
        "19ff",
        "1c",
        "1f",
        "42ff",
        "5f",
        "5f41",
        "5f6161ff",
        "5f5f4101ffff",
        "62",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
        "9a00000005",
        "ff",
        "f8",
        "f818",
        "fc",
        "c1",
        "c1c1c1c1c100",
        "81",
        "9f",
        "a1",
        "a16161",
        "bf6161ff",
        "9f00",
        "5bffffffffffffffff",
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        struct leat_cbor cbor = begin(cases[i]);

        ck_assert_msg(!leat_cbor_skip(&cbor), "%s", cases[i]);
        ck_assert(cbor.is_bad);
    }
}
END_TEST

START_TEST(depth_is_bounded)
{
    LEAT_AUTO_BUF deep = LEAT_BUF_INIT;
    struct leat_cbor cbor;

    for (int i = 0; i < LEAT_CBOR_DEPTH; i++)
        leat_cbor_put_array(&deep, 1);
    leat_cbor_put_integer(&deep, 1);
    leat_cbor_begin(&cbor, deep.data, deep.size);
    ck_assert(leat_cbor_skip(&cbor));
    leat_buf_clear(&deep);
    for (int i = 0; i < 100000; i++)
        leat_cbor_put_array_open(&deep);
    leat_cbor_begin(&cbor, deep.data, deep.size);
    ck_assert(!leat_cbor_skip(&cbor));
}
END_TEST

START_TEST(maps_of_both_kinds)
{
    static const char *const hexes[] = {"a26161016162820203", "bf61610161629f0203ffff"};

    for (size_t i = 0; i < 2; i++) {
        struct leat_cbor cbor = begin(hexes[i]);
        struct leat_cbor_item item;
        uint64_t pairs, items, sum = 0;
        struct leat_slice key;

        ck_assert(leat_cbor_next(&cbor, &item) && item.type == LEAT_CBOR_MAP);
        pairs = item.count;
        ck_assert(leat_cbor_more(&cbor, &pairs));
        ck_assert(leat_cbor_key(&cbor, &key) && leat_slice_is(key, "a"));
        ck_assert(leat_cbor_next(&cbor, &item) && item.integer == 1);
        ck_assert(leat_cbor_more(&cbor, &pairs));
        ck_assert(leat_cbor_key(&cbor, &key) && leat_slice_is(key, "b"));
        ck_assert(leat_cbor_next(&cbor, &item) && item.type == LEAT_CBOR_ARRAY);
        items = item.count;
        while (leat_cbor_more(&cbor, &items)) {
            ck_assert(leat_cbor_next(&cbor, &item));
            sum += (uint64_t)item.integer;
        }
        ck_assert_uint_eq(sum, 5);
        ck_assert(!leat_cbor_more(&cbor, &pairs));
        ck_assert(!cbor.is_bad && cbor.next == cbor.end);
    }
}
END_TEST

START_TEST(times)
{
    static const struct {
        const char *hex;
        int64_t us;
    } cases[] = {
        {"c11b0000019a3c5f2e00", INT64_C(0x19a3c5f2e00) * 1000}, /* as AWS */
        {"1b0000019a3c5f2e00", INT64_C(0x19a3c5f2e00) * 1000},   /* untagged ms */
        {"fb41dabdc4e4147ae1", INT64_C(1794577296319999)},       /* float seconds */
        {"1a6a6a6a6a", INT64_C(0x6a6a6a6a) * 1000000},           /* whole seconds */
    };
    struct leat_cbor cbor;
    struct leat_cbor_item item;
    int64_t us;

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        cbor = begin(cases[i].hex);
        ck_assert(leat_cbor_next(&cbor, &item));
        ck_assert(leat_cbor_time(&item, &us));
        ck_assert_msg(llabs(us - cases[i].us) <= 1, "%s: %lld", cases[i].hex, (long long)us);
    }
    cbor = begin("fb7ff0000000000000");
    ck_assert(leat_cbor_next(&cbor, &item) && !leat_cbor_time(&item, &us));
    cbor = begin("fb7ff8000000000000");
    ck_assert(leat_cbor_next(&cbor, &item) && !leat_cbor_time(&item, &us));
    cbor = begin("c11b7fffffffffffffff");
    ck_assert(leat_cbor_next(&cbor, &item) && !leat_cbor_time(&item, &us));
}
END_TEST

START_TEST(writer)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    LEAT_AUTO_BUF hex = LEAT_BUF_INIT;

    leat_cbor_put_map(&out, 1);
    leat_cbor_put_key(&out, "a");
    leat_cbor_put_array(&out, 8);
    leat_cbor_put_integer(&out, -1000);
    leat_cbor_put_integer(&out, 1000000000000);
    leat_cbor_put_bytes(&out, leat_slice_make("\1\2", 2));
    leat_cbor_put_bool(&out, true);
    leat_cbor_put_null(&out);
    leat_cbor_put_real(&out, 1.1);
    leat_cbor_put_time(&out, 24000);
    leat_cbor_put_map_open(&out);
    leat_cbor_put_break(&out);
    leat_hex_encode(&hex, leat_buf_slice(&out));
    ck_assert_str_eq(leat_buf_text(&hex), "a16161883903e71b000000e8d4a51000420102f5f6"
                                          "fb3ff199999999999ac11818bfff");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cbor");
    TCase *tests = tcase_create("cbor");
    SRunner *runner;
    int failed;

    leat_buf_init(&bytes, SIZE_MAX);
    tcase_add_test(tests, numbers);
    tcase_add_test(tests, strings);
    tcase_add_test(tests, refused);
    tcase_add_test(tests, depth_is_bounded);
    tcase_add_test(tests, maps_of_both_kinds);
    tcase_add_test(tests, times);
    tcase_add_test(tests, writer);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
