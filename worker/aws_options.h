/*
 * --endpoint, --region, --profile for the commands that speak to AWS. What is not given comes from the configuration (-c,
 * $LEAT_CONFIG), else from the environment (AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE,
 * AWS_ACCESS_KEY_ID …) and the profile files.
 */
#ifndef LEAT_WORKER_AWS_OPTIONS_H
#define LEAT_WORKER_AWS_OPTIONS_H

#include <getopt.h>

#include "aws/kinesis.h"
#include "worker/setup.h"

struct leat_aws_options {
    const char *endpoint, *region, *profile; /* NULL: not given */
    struct leat_setup_arguments setup;
    struct leat_config *config; /* what aws borrows from; NULL: none */
    struct leat_aws aws;        /* filled by leat_aws_options_open */
};

enum {
    LEAT_AWS_ENDPOINT = 0x1000,
    LEAT_AWS_REGION,
    LEAT_AWS_PROFILE,
    LEAT_AWS_CONFIG,
    LEAT_AWS_SET
};
/* For getopt_long: the letters and the table's lines. */
#define LEAT_AWS_LETTERS "c:"
#define LEAT_AWS_LONG_OPTIONS                                                                      \
    {"endpoint", required_argument, NULL, LEAT_AWS_ENDPOINT},                                      \
        {"region", required_argument, NULL, LEAT_AWS_REGION},                                      \
        {"profile", required_argument, NULL, LEAT_AWS_PROFILE},                                    \
        {"config", required_argument, NULL, LEAT_AWS_CONFIG},                                      \
    {                                                                                              \
        "set", required_argument, NULL, LEAT_AWS_SET                                               \
    }
#define LEAT_AWS_HELP                                                                              \
    "  --endpoint URL   another server than AWS's own (default: the configuration's, then\n"       \
    "                   $AWS_ENDPOINT_URL_KINESIS, $AWS_ENDPOINT_URL, the profile's)\n"            \
    "  --region NAME    default: the configuration's, $AWS_REGION, $AWS_DEFAULT_REGION, the\n"     \
    "                   profile's\n"                                                               \
    "  --profile NAME   of ~/.aws/credentials and ~/.aws/config; default: the configuration's, "   \
    "the\n"                                                                                        \
    "                   environment's keys, then $AWS_PROFILE\n" LEAT_SETUP_HELP

/* Was the letter one of these options? */
bool leat_aws_options_take(struct leat_aws_options *options, int letter, const char *argument);
/* Fills options->aws. Returns an exit code, and has said what is wrong; close in any case. */
int leat_aws_options_open(struct leat_aws_options *options, const char *command);
void leat_aws_options_close(struct leat_aws_options *options);

#endif
