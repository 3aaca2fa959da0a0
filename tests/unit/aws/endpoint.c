/* Endpoints of AWS's own: by service, region, FIPS and dual stack; what contradicts them; where a bucket's name goes. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/endpoint.h"
#include "base/memory.h"

static struct leat_error err;

/* ---- by region, FIPS, dual stack ----------------------------------------------------------- */

enum flags { PLAIN = 0, FIPS = 1, DUAL = 2, BOTH = 3 };

static const struct own {
    enum leat_service service;
    const char *region;
    enum flags flags;
    const char *host;       /* NULL: there is none */
    const char *signed_for; /* NULL: the region */
} own[] = {
    {LEAT_SERVICE_KINESIS, "eu-central-2", PLAIN, "kinesis.eu-central-2.amazonaws.com", NULL},
    {LEAT_SERVICE_KINESIS, "us-west-2", FIPS, "kinesis-fips.us-west-2.amazonaws.com", NULL},
    {LEAT_SERVICE_KINESIS, "mx-central-1", DUAL, "kinesis.mx-central-1.api.aws", NULL},
    {LEAT_SERVICE_KINESIS, "ca-west-1", BOTH, "kinesis-fips.ca-west-1.api.aws", NULL},
    {LEAT_SERVICE_KINESIS, "cn-northwest-1", PLAIN, "kinesis.cn-northwest-1.amazonaws.com.cn",
     NULL},
    {LEAT_SERVICE_KINESIS, "cn-northwest-1", FIPS, "kinesis-fips.cn-northwest-1.amazonaws.com.cn",
     NULL},
    {LEAT_SERVICE_KINESIS, "cn-northwest-1", DUAL,
     "kinesis.cn-northwest-1.api.amazonwebservices.com.cn", NULL},
    {LEAT_SERVICE_KINESIS, "cn-northwest-1", BOTH,
     "kinesis-fips.cn-northwest-1.api.amazonwebservices.com.cn", NULL},
    {LEAT_SERVICE_KINESIS, "us-gov-west-1", PLAIN, "kinesis.us-gov-west-1.amazonaws.com", NULL},
    {LEAT_SERVICE_KINESIS, "us-gov-west-1", FIPS, "kinesis.us-gov-west-1.amazonaws.com", NULL},
    {LEAT_SERVICE_KINESIS, "us-gov-west-1", DUAL, "kinesis.us-gov-west-1.api.aws", NULL},
    {LEAT_SERVICE_KINESIS, "us-gov-west-1", BOTH, "kinesis-fips.us-gov-west-1.api.aws", NULL},
    {LEAT_SERVICE_KINESIS, "us-iso-west-1", PLAIN, "kinesis.us-iso-west-1.c2s.ic.gov", NULL},
    {LEAT_SERVICE_KINESIS, "us-iso-west-1", FIPS, "kinesis-fips.us-iso-west-1.c2s.ic.gov", NULL},
    {LEAT_SERVICE_KINESIS, "us-iso-west-1", DUAL, "kinesis.us-iso-west-1.api.aws.ic.gov", NULL},
    {LEAT_SERVICE_KINESIS, "us-isob-west-1", PLAIN, "kinesis.us-isob-west-1.sc2s.sgov.gov", NULL},
    {LEAT_SERVICE_KINESIS, "us-isob-west-1", BOTH, "kinesis-fips.us-isob-west-1.api.aws.scloud",
     NULL},
    {LEAT_SERVICE_KINESIS, "eu-isoe-west-1", PLAIN, "kinesis.eu-isoe-west-1.cloud.adc-e.uk", NULL},
    {LEAT_SERVICE_KINESIS, "eu-isoe-west-1", DUAL, "kinesis.eu-isoe-west-1.api.cloud-aws.adc-e.uk",
     NULL},
    {LEAT_SERVICE_KINESIS, "us-isof-east-1", PLAIN, "kinesis.us-isof-east-1.csp.hci.ic.gov", NULL},
    {LEAT_SERVICE_KINESIS, "us-isof-east-1", DUAL, "kinesis.us-isof-east-1.api.aws.hci.ic.gov",
     NULL},
    {LEAT_SERVICE_KINESIS, "eusc-de-east-1", PLAIN, "kinesis.eusc-de-east-1.amazonaws.eu", NULL},
    {LEAT_SERVICE_KINESIS, "eusc-de-east-1", DUAL,
     "kinesis.eusc-de-east-1.api.amazonwebservices.eu", NULL},
    {LEAT_SERVICE_KINESIS, "moon-1", PLAIN, "kinesis.moon-1.amazonaws.com", NULL},
    {LEAT_SERVICE_STS, "ap-east-2", PLAIN, "sts.ap-east-2.amazonaws.com", NULL},
    {LEAT_SERVICE_STS, "ap-east-2", FIPS, "sts-fips.ap-east-2.amazonaws.com", NULL},
    {LEAT_SERVICE_STS, "ap-east-2", DUAL, "sts.ap-east-2.api.aws", NULL},
    {LEAT_SERVICE_STS, "ap-east-2", BOTH, "sts-fips.ap-east-2.api.aws", NULL},
    {LEAT_SERVICE_STS, "us-gov-east-1", FIPS, "sts.us-gov-east-1.amazonaws.com", NULL},
    {LEAT_SERVICE_STS, "us-gov-east-1", BOTH, "sts-fips.us-gov-east-1.api.aws", NULL},
    {LEAT_SERVICE_STS, "cn-north-1", PLAIN, "sts.cn-north-1.amazonaws.com.cn", NULL},
    {LEAT_SERVICE_STS, "aws-global", PLAIN, "sts.amazonaws.com", "us-east-1"},
    {LEAT_SERVICE_STS, "aws-global", FIPS, "sts-fips.us-east-1.amazonaws.com", "us-east-1"},
    {LEAT_SERVICE_S3, "eu-south-2", PLAIN, "s3.eu-south-2.amazonaws.com", NULL},
    {LEAT_SERVICE_S3, "eu-south-2", FIPS, "s3-fips.eu-south-2.amazonaws.com", NULL},
    {LEAT_SERVICE_S3, "eu-south-2", DUAL, "s3.dualstack.eu-south-2.amazonaws.com", NULL},
    {LEAT_SERVICE_S3, "eu-south-2", BOTH, "s3-fips.dualstack.eu-south-2.amazonaws.com", NULL},
    {LEAT_SERVICE_S3, "us-gov-west-1", FIPS, "s3-fips.us-gov-west-1.amazonaws.com", NULL},
    {LEAT_SERVICE_S3, "us-iso-east-1", DUAL, "s3.dualstack.us-iso-east-1.c2s.ic.gov", NULL},
    {LEAT_SERVICE_S3, "cn-north-1", DUAL, "s3.dualstack.cn-north-1.amazonaws.com.cn", NULL},
    {LEAT_SERVICE_S3, "cn-north-1", FIPS, NULL, NULL},
    {LEAT_SERVICE_S3, "cn-north-1", BOTH, NULL, NULL},
    {LEAT_SERVICE_S3, "aws-global", PLAIN, "s3.amazonaws.com", "us-east-1"},
    {LEAT_SERVICE_S3, "aws-global", DUAL, "s3.dualstack.us-east-1.amazonaws.com", "us-east-1"},
};

START_TEST(of_its_own)
{
    const struct own *case_ = &own[_i];
    struct leat_endpoint_inputs inputs = {.region = case_->region,
                                          .is_fips = (case_->flags & FIPS) != 0,
                                          .is_dual_stack = (case_->flags & DUAL) != 0};
    struct leat_endpoint endpoint;
    int result = leat_endpoint_make(case_->service, &inputs, &endpoint, &err);

    if (case_->host == NULL) {
        ck_assert_int_eq(result, LEAT_E_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "AWS_USE_FIPS_ENDPOINT"));
        return;
    }
    ck_assert_msg(result == 0, "%s", err.text);
    ck_assert_str_eq(endpoint.host, case_->host);
    ck_assert_str_eq(endpoint.url + strlen("https://"), case_->host);
    ck_assert_str_eq(endpoint.region,
                     case_->signed_for != NULL ? case_->signed_for : case_->region);
    ck_assert_str_eq(endpoint.origin, "");
    ck_assert(!endpoint.is_custom);
    ck_assert(!endpoint.is_by_path);
}
END_TEST

/* What is given is taken as it is, so it cannot be asked for as FIPS or dual stack: AWS's own hosts, too. */
START_TEST(given_and_flagged)
{
    static const char *const urls[] = {"https://example.com", "http://127.0.0.1:4566",
                                       "https://vpce-1.s3.eu-west-1.vpce.amazonaws.com"};

    for (int service = 0; service < LEAT_SERVICES; service++) {
        for (size_t i = 0; i < LEAT_COUNT_OF(urls); i++) {
            struct leat_endpoint_inputs inputs = {.region = "eu-west-1",
                                                  .environment_all = urls[i]};
            struct leat_endpoint endpoint;

            ck_assert_int_eq(
                leat_endpoint_make((enum leat_service)service, &inputs, &endpoint, &err), 0);
            ck_assert_str_eq(endpoint.origin, "AWS_ENDPOINT_URL");
            inputs.is_fips = true;
            ck_assert_int_eq(
                leat_endpoint_make((enum leat_service)service, &inputs, &endpoint, &err),
                LEAT_E_INVALID);
            ck_assert_ptr_nonnull(strstr(err.text, "AWS_ENDPOINT_URL"));
            ck_assert_ptr_nonnull(strstr(err.text, "AWS_USE_FIPS_ENDPOINT"));
            inputs.is_fips = false;
            inputs.is_dual_stack = true;
            ck_assert_int_eq(
                leat_endpoint_make((enum leat_service)service, &inputs, &endpoint, &err),
                LEAT_E_INVALID);
            ck_assert_ptr_nonnull(strstr(err.text, "AWS_USE_DUALSTACK_ENDPOINT"));
        }
    }
}
END_TEST

/* ---- the environment and the profile -------------------------------------------------------- */

static char config_path[64];

static void
write_config(const char *text)
{
    FILE *file = fopen(config_path, "we");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static void
clear_environment(void)
{
    static const char *const names[] = {"AWS_PROFILE",
                                        "AWS_REGION",
                                        "AWS_DEFAULT_REGION",
                                        "AWS_ENDPOINT_URL",
                                        "AWS_ENDPOINT_URL_S3",
                                        "AWS_ENDPOINT_URL_KINESIS",
                                        "AWS_ENDPOINT_URL_STS",
                                        "AWS_USE_FIPS_ENDPOINT",
                                        "AWS_USE_DUALSTACK_ENDPOINT",
                                        "AWS_STS_REGIONAL_ENDPOINTS",
                                        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"};

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++)
        unsetenv(names[i]);
    snprintf(config_path, sizeof config_path, "/tmp/leat-endpoint-%d", (int)getpid());
    setenv("AWS_CONFIG_FILE", config_path, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    write_config("[default]\nregion = eu-west-1\n"
                 "[profile fips]\nregion = us-east-1\nuse_fips_endpoint = TRUE\n"
                 "[profile dual]\nregion = us-east-1\nUse_DualStack_Endpoint = true\n"
                 "[profile odd]\nregion = us-east-1\nuse_dualstack_endpoint = 1\n"
                 "[profile path]\nregion = us-east-1\ns3 =\n  addressing_style = Path\n"
                 "[profile host]\nregion = us-east-1\nendpoint_url = https://store.example\n"
                 "s3 =\n  addressing_style = virtual\n"
                 "[profile where]\nregion = us-east-1\ns3 =\n  addressing_style = sideways\n");
}

static void
remove_config(void)
{
    unlink(config_path);
}

static const struct told {
    const char *profile;
    const char *variables[5];
    enum leat_service service;
    const char *url; /* NULL: refused, and says: */
    const char *says;
} told[] = {
    {.profile = "fips", .url = "https://kinesis-fips.us-east-1.amazonaws.com"},
    {.profile = "dual", .service = LEAT_SERVICE_STS, .url = "https://sts.us-east-1.api.aws"},
    {.profile = "fips",
     .variables = {"AWS_USE_FIPS_ENDPOINT", "False"},
     .url = "https://kinesis.us-east-1.amazonaws.com"},
    {.profile = "fips",
     .variables = {"AWS_USE_FIPS_ENDPOINT", "  "},
     .url = "https://kinesis-fips.us-east-1.amazonaws.com"},
    {.profile = "fips",
     .variables = {"AWS_USE_DUALSTACK_ENDPOINT", "true"},
     .url = "https://kinesis-fips.us-east-1.api.aws"},
    {.variables = {"AWS_USE_FIPS_ENDPOINT", "tRuE\n"},
     .service = LEAT_SERVICE_S3,
     .url = "https://s3-fips.eu-west-1.amazonaws.com"},
    {.variables = {"AWS_USE_DUALSTACK_ENDPOINT", "true"},
     .service = LEAT_SERVICE_S3,
     .url = "https://s3.dualstack.eu-west-1.amazonaws.com"},
    {.variables = {"AWS_STS_REGIONAL_ENDPOINTS", "legacy"},
     .service = LEAT_SERVICE_STS,
     .url = "https://sts.eu-west-1.amazonaws.com"},
    {.variables = {"AWS_ENDPOINT_URL_STS", "http://sts:1", "AWS_ENDPOINT_URL", "http://all:1"},
     .service = LEAT_SERVICE_STS,
     .url = "http://sts:1"},
    {.variables = {"AWS_USE_FIPS_ENDPOINT", "true", "AWS_ENDPOINT_URL", "http://all:1"},
     .says = "FIPS and a custom endpoint"},
    {.variables = {"AWS_USE_FIPS_ENDPOINT", "yes"},
     .says = "AWS_USE_FIPS_ENDPOINT is neither true nor false"},
    {.variables = {"AWS_USE_DUALSTACK_ENDPOINT", "0"},
     .says = "AWS_USE_DUALSTACK_ENDPOINT is neither true nor false"},
    {.profile = "odd", .says = "use_dualstack_endpoint is neither true nor false"},
    {.variables = {"AWS_ENDPOINT_URL", "example.com"}, .says = "AWS_ENDPOINT_URL: endpoint"},
    {.variables = {"AWS_ENDPOINT_URL_STS", "ftp://x"},
     .service = LEAT_SERVICE_STS,
     .says = "AWS_ENDPOINT_URL_STS: endpoint"},
    {.profile = "where", .service = LEAT_SERVICE_S3, .says = "addressing_style"},
    {.profile = "where", .url = "https://kinesis.us-east-1.amazonaws.com"},
};

START_TEST(told_from_outside)
{
    const struct told *case_ = &told[_i];
    struct leat_endpoint endpoint;
    int result;

    for (size_t i = 0; case_->variables[i] != NULL; i += 2)
        setenv(case_->variables[i], case_->variables[i + 1], 1);
    result = leat_endpoint_resolve(case_->service, NULL, NULL, case_->profile, &endpoint, &err);
    if (case_->url == NULL) {
        ck_assert_int_eq(result, LEAT_E_INVALID);
        ck_assert_msg(strstr(err.text, case_->says) != NULL, "%s", err.text);
        return;
    }
    ck_assert_msg(result == 0, "%s", err.text);
    ck_assert_str_eq(endpoint.url, case_->url);
}
END_TEST

START_TEST(addressing_of_the_profile)
{
    struct leat_endpoint endpoint;

    ck_assert_int_eq(leat_endpoint_resolve(LEAT_SERVICE_S3, NULL, NULL, "path", &endpoint, &err),
                     0);
    ck_assert(!leat_endpoint_takes_bucket(&endpoint, "bucket"));
    ck_assert_int_eq(leat_endpoint_resolve(LEAT_SERVICE_S3, NULL, NULL, "host", &endpoint, &err),
                     0);
    ck_assert(endpoint.is_custom);
    ck_assert(leat_endpoint_takes_bucket(&endpoint, "bucket"));
    ck_assert(!leat_endpoint_takes_bucket(&endpoint, "bucket.with.dots"));
}
END_TEST

/* ---- buckets -------------------------------------------------------------------------------- */

START_TEST(buckets)
{
    static const struct {
        const char *url, *addressing, *bucket;
        bool is_taken;
    } cases[] = {
        {"", NULL, "bucket-1", true},
        {"", NULL, "abc", true},
        {"", NULL, "ab", false},
        {"", NULL, "0bucket", true},
        {"", NULL, "a.bucket", false}, /* the certificate is for one label */
        {"", NULL, "Bucket", false},
        {"", NULL, "under_score", false},
        {"", NULL, "-bucket", false},
        {"", NULL, "bucket-", false},
        {"", NULL, "12345678901234567890123456789012345678901234567890123456789012", true},
        {"", "path", "bucket-1", false},
        {"", "virtual", "bucket-1", true},
        {"https://vpce-1.s3.eu-west-1.vpce.amazonaws.com", NULL, "bucket-1", true},
        {"https://store.example", NULL, "bucket-1", false},
        {"https://store.example", "virtual", "bucket-1", true},
        {"https://store.example", "virtual", "a.bucket", false},
        {"http://store.example", "virtual", "a.bucket", true},
        {"http://store.example", "virtual", "a..bucket", false},
        {"http://store.example", "virtual", "a-.bucket", false},
        {"http://store.example", "virtual", "bucket.", false},
        {"http://store.example", "virtual", "10.1.2.3", false},
        {"http://10.1.2.3:9000", "virtual", "bucket-1", false},
        {"http://[::1]:9000", "virtual", "bucket-1", false},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        struct leat_endpoint_inputs inputs = {
            .region = "eu-west-1", .configured = cases[i].url, .addressing = cases[i].addressing};
        struct leat_endpoint endpoint;

        ck_assert_int_eq(leat_endpoint_make(LEAT_SERVICE_S3, &inputs, &endpoint, &err), 0);
        ck_assert_msg(leat_endpoint_takes_bucket(&endpoint, cases[i].bucket) == cases[i].is_taken,
                      "%s at \"%s\"", cases[i].bucket, cases[i].url);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("aws endpoint");
    TCase *tests = tcase_create("aws endpoint");
    TCase *outside = tcase_create("aws endpoint outside");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, of_its_own, 0, (int)LEAT_COUNT_OF(own));
    tcase_add_test(tests, given_and_flagged);
    tcase_add_test(tests, buckets);
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(outside, clear_environment, remove_config);
    tcase_add_loop_test(outside, told_from_outside, 0, (int)LEAT_COUNT_OF(told));
    tcase_add_test(outside, addressing_of_the_profile);
    suite_add_tcase(suite, outside);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
