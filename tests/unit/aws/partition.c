/* Which part of AWS a region is in, also one that nobody has heard of yet; whose a host is. */
#include <check.h>
#include <stdlib.h>

#include "aws/partition.h"
#include "base/memory.h"

START_TEST(by_region)
{
    static const struct {
        const char *region, *partition;
    } cases[] = {
        {"us-east-1", "aws"},
        {"mx-central-1", "aws"},
        {"il-central-12", "aws"},
        {"cn-north-1", "aws-cn"},
        {"cn-nowhere-9", "aws-cn"},
        {"us-gov-west-1", "aws-us-gov"},
        {"us-gov-mid-3", "aws-us-gov"},
        {"us-iso-east-1", "aws-iso"},
        {"us-isob-east-1", "aws-iso-b"},
        {"eu-isoe-west-1", "aws-iso-e"},
        {"us-isof-south-1", "aws-iso-f"},
        {"eusc-de-east-1", "aws-eusc"},
        {"aws-global", "aws"},
        {"aws-cn-global", "aws-cn"},
        {"aws-us-gov-global", "aws-us-gov"},
        /* no patterns of theirs */
        {"us-gov-1", "aws"},
        {"us-gov-west", "aws"},
        {"cn-north", "aws"},
        {"xcn-north-1", "aws"},
        {"CN-NORTH-1", "aws"},
        {"cn-1", "aws"},
        {"-north-1", "aws"},
        {"1", "aws"},
        {"-1", "aws"},
        {"cn--1", "aws"},
        {"", "aws"},
        {"cn-north-1a", "aws"},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++)
        ck_assert_msg(strcmp(leat_partition_of(cases[i].region)->name, cases[i].partition) == 0,
                      "%s: %s", cases[i].region, leat_partition_of(cases[i].region)->name);
}
END_TEST

START_TEST(by_host)
{
    static const char *const own[] = {
        "kinesis.eu-west-1.amazonaws.com", "KINESIS.cn-north-1.amazonaws.com.cn:443",
        "kinesis.eu-west-1.api.aws",       "s3.us-iso-east-1.c2s.ic.gov",
        "sts.eusc-de-east-1.amazonaws.eu", "vpce-1.kinesis.eu-west-1.vpce.amazonaws.com"};
    static const char *const others[] = {"amazonaws.com",    ".api.aws.example.com",
                                         "notamazonaws.com", "kinesis.amazonaws.com.evil.net",
                                         "localhost:4566",   "",
                                         "[::1]:4566",       "x.my-api.aws"};

    for (size_t i = 0; i < LEAT_COUNT_OF(own); i++)
        ck_assert_msg(leat_partition_has_host(own[i]), "%s", own[i]);
    for (size_t i = 0; i < LEAT_COUNT_OF(others); i++)
        ck_assert_msg(!leat_partition_has_host(others[i]), "%s", others[i]);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("aws partition");
    TCase *tests = tcase_create("aws partition");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, by_region);
    tcase_add_test(tests, by_host);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
