/*
 * --endpoint, --region, --profile for the commands that speak to AWS. What is not given comes from the environment
 * (AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID …) and the profile files.
 */
#ifndef LEAT_WORKER_AWS_OPTIONS_H
#define LEAT_WORKER_AWS_OPTIONS_H

#include <getopt.h>

#include "aws/kinesis.h"

struct leat_aws_options {
    const char *endpoint, *region, *profile; /* NULL: not given */
    struct leat_aws aws;                     /* filled by leat_aws_options_open */
};

enum { LEAT_AWS_ENDPOINT = 0x1000, LEAT_AWS_REGION, LEAT_AWS_PROFILE };
/* For getopt_long's table. */
#define LEAT_AWS_LONG_OPTIONS                                                                      \
    {"endpoint", required_argument, NULL, LEAT_AWS_ENDPOINT},                                      \
        {"region", required_argument, NULL, LEAT_AWS_REGION},                                      \
    {                                                                                              \
        "profile", required_argument, NULL, LEAT_AWS_PROFILE                                       \
    }
#define LEAT_AWS_HELP                                                                              \
    "  --endpoint URL   another server than AWS's own (default: $AWS_ENDPOINT_URL_KINESIS,\n"      \
    "                   $AWS_ENDPOINT_URL)\n"                                                      \
    "  --region NAME    default: $AWS_REGION, $AWS_DEFAULT_REGION, the profile's\n"                \
    "  --profile NAME   of ~/.aws/credentials and ~/.aws/config; default: the environment's "      \
    "keys,\n"                                                                                      \
    "                   then $AWS_PROFILE\n"

/* Was the letter one of these options? */
bool leat_aws_options_take(struct leat_aws_options *options, int letter, const char *argument);
/* A client, or NULL and err. The options must outlive it; then close. */
struct leat_kinesis *leat_aws_options_open(struct leat_aws_options *options,
                                           struct leat_error *err);
/* Fills options->aws alone; leat_aws_options_close afterwards. */
void leat_aws_options_fill(struct leat_aws_options *options);
void leat_aws_options_close(struct leat_aws_options *options);

#endif
