/* `leat doctor`: which AWS credentials leat uses, why the others were passed over, and where it looks for each service. */
#include <getopt.h>
#include <stdio.h>

#include "aws/endpoint.h"
#include "aws/sts.h"
#include "base/memory.h"
#include "base/units.h"
#include "worker/aws_options.h"
#include "worker/command.h"
#include "worker/table.h"

struct doctor {
    struct leat_aws_options aws;
    bool asks_identity;
};

static void
help(void)
{
    fputs(
        "Usage: leat doctor [-c FILE] [OPTIONS]\n\n"
        "Which AWS credentials are used, why the others were passed over, until when they serve,\n"
        "and where Kinesis, S3 and STS are looked for. No secret is shown.\n\n"
        "  --identity       asks STS whose credentials they are "
        "(GetCallerIdentity)\n" LEAT_AWS_HELP,
        stdout);
}

/* ---- credentials --------------------------------------------------------------------------- */

struct chain_shown {
    bool is_over; /* a link had some, or failed */
};

static void
show_found(const struct leat_credentials *credentials)
{
    LEAT_AUTO_BUF expires = LEAT_BUF_INIT;
    size_t size = strlen(credentials->access_key_id);

    if (credentials->expires_us != 0)
        leat_format_time(&expires, credentials->expires_us);
    leat_print(stdout, "%s; key %.4s…%s, %s%s", credentials->source, credentials->access_key_id,
               size > 8 ? credentials->access_key_id + size - 4 : "",
               credentials->expires_us != 0 ? "until " : "without an end",
               credentials->expires_us != 0 ? leat_buf_text(&expires) : "");
}

static void
show_link(void *context, const char *name, int result, const struct leat_credentials *credentials,
          const struct leat_error *err)
{
    struct chain_shown *shown = context;

    printf("  %-13s ", name);
    if (credentials != NULL) {
        fputs("used: ", stdout);
        show_found(credentials);
    } else if (result == LEAT_E_NOT_FOUND) {
        leat_print(stdout, "passed over: %s", err->text);
    } else {
        leat_print(stdout, "failed: %s", err->text);
    }
    fputs("\n", stdout);
    shown->is_over = result != LEAT_E_NOT_FOUND;
}

static int
show_credentials(const struct leat_aws *aws, struct leat_error *err)
{
    const struct leat_credentials_context context = {
        .profile = aws->profile,
        .region = aws->region,
        .endpoint_sts = aws->endpoints[LEAT_SERVICE_STS],
        .ca_bundle = aws->ca_bundle,
        .is_stopped = aws->is_stopped};
    struct leat_credentials_provider *chain = leat_credentials_default_new(&context);
    struct chain_shown shown = {0};
    int result;

    puts("credentials");
    result = leat_credentials_explain(chain, show_link, &shown, err);
    if (result == LEAT_E_NOT_FOUND)
        leat_error_set(err, LEAT_E_NOT_FOUND,
                       "no AWS credentials found: see above, and docs/credentials.md");
    if (result == 0)
        puts("  (the first that has some is used: those below it were not asked)");
    else if (shown.is_over)
        puts("  (one that fails ends the search: those below it were not asked)");
    leat_credentials_provider_free(chain);
    return result;
}

/* ---- services ------------------------------------------------------------------------------ */

static int
show_endpoints(const struct leat_aws *aws, struct leat_error *err)
{
    int result = 0;

    puts("services");
    for (int service = 0; service < LEAT_SERVICES; service++) {
        struct leat_endpoint endpoint;
        struct leat_error local = {0};
        int here = leat_endpoint_resolve((enum leat_service)service, aws->region,
                                         aws->endpoints[service], aws->profile, &endpoint, &local);

        if (here == 0)
            leat_print(stdout, "  %-13s %s (region %s)\n",
                       leat_service_name((enum leat_service)service), endpoint.url,
                       endpoint.region);
        else
            leat_print(stdout, "  %-13s not known: %s\n",
                       leat_service_name((enum leat_service)service), local.text);
        if (here < 0 && result == 0) {
            result = here;
            *err = local;
        }
    }
    return result;
}

static int
show_identity(const struct leat_aws *aws, struct leat_error *err)
{
    LEAT_AUTO_BUF arn = LEAT_BUF_INIT;
    int result = leat_sts_who(aws, &arn, err);

    puts("identity");
    if (result == 0)
        leat_print(stdout, "  %s\n", leat_buf_text(&arn));
    else
        leat_print(stdout, "  not known: %s\n", err->text);
    return result;
}

/* ---- the command --------------------------------------------------------------------------- */

/* -1: help was asked for. */
static int
parse(int argc, char **argv, struct doctor *doctor)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},
                                            {"identity", no_argument, NULL, 'i'},
                                            LEAT_AWS_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    int letter;

    while ((letter = getopt_long(argc, argv, "+h" LEAT_AWS_LETTERS, options, NULL)) != -1) {
        if (letter == 'h')
            return -1;
        if (letter == 'i')
            doctor->asks_identity = true;
        else if (!leat_aws_options_take(&doctor->aws, letter, optarg))
            return LEAT_EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "leat doctor: unexpected argument \"%s\"\n", argv[optind]);
        return LEAT_EXIT_USAGE;
    }
    return LEAT_EXIT_OK;
}

/* All is shown, whatever fails; the first failure is the command's. */
static int
examine(struct doctor *doctor)
{
    const struct leat_aws *aws = &doctor->aws.aws;
    struct leat_error first = {0}, err = {0};
    int result = show_credentials(aws, &first);
    bool has_credentials = result == 0;
    int here = show_endpoints(aws, &err);

    if (result == 0 && here < 0)
        first = err;
    result = result < 0 ? result : here;
    if (has_credentials && doctor->asks_identity) {
        here = show_identity(aws, &err);
        if (result == 0 && here < 0)
            first = err;
        result = result < 0 ? result : here;
    }
    return result < 0 ? leat_command_failed("doctor", &first) : LEAT_EXIT_OK;
}

int
leat_command_doctor(int argc, char **argv)
{
    struct doctor doctor = {0};
    int status = parse(argc, argv, &doctor);

    if (status == -1) {
        help();
        status = LEAT_EXIT_OK;
    } else if (status == LEAT_EXIT_OK) {
        status = leat_aws_options_open(&doctor.aws, "doctor");
        if (status == LEAT_EXIT_OK)
            status = examine(&doctor);
    }
    leat_aws_options_close(&doctor.aws);
    return status;
}
