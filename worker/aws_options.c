/* A profile that was asked for by name is meant: its keys go before those of the environment. */
#include "worker/aws_options.h"

#include <stdlib.h>

bool
leat_aws_options_take(struct leat_aws_options *options, int letter, const char *argument)
{
    switch (letter) {
    case LEAT_AWS_ENDPOINT:
        options->endpoint = argument;
        return true;
    case LEAT_AWS_REGION:
        options->region = argument;
        return true;
    case LEAT_AWS_PROFILE:
        options->profile = argument;
        return true;
    default:
        return false;
    }
}

void
leat_aws_options_fill(struct leat_aws_options *options)
{
    /* The region is looked up in this profile, too. No other thread runs yet. */
    if (options->profile != NULL)
        setenv("AWS_PROFILE", options->profile, 1);
    options->aws = (struct leat_aws){
        .region = options->region,
        .endpoints = {[LEAT_SERVICE_KINESIS] = options->endpoint},
        .credentials = options->profile != NULL ? leat_credentials_profile_new(options->profile)
                                                : leat_credentials_default_new(),
    };
}

struct leat_kinesis *
leat_aws_options_open(struct leat_aws_options *options, struct leat_error *err)
{
    leat_aws_options_fill(options);
    return leat_kinesis_new(&options->aws, LEAT_KINESIS_AUTO, err);
}

void
leat_aws_options_close(struct leat_aws_options *options)
{
    leat_credentials_provider_free(options->aws.credentials);
    options->aws.credentials = NULL;
}
