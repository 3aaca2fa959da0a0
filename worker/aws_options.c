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
    case 'c':
    case LEAT_AWS_CONFIG:
        return leat_setup_argument(&options->setup, 'c', argument);
    case LEAT_AWS_SET:
        return leat_setup_argument(&options->setup, 's', argument);
    default:
        return false;
    }
}

static bool
has_configuration(const struct leat_setup_arguments *setup)
{
    const char *file = getenv("LEAT_CONFIG");

    return setup->file != NULL || setup->override_count > 0 || (file != NULL && *file != '\0');
}

int
leat_aws_options_open(struct leat_aws_options *options, const char *command)
{
    static const struct leat_config nothing;
    const char *profile = options->profile;

    if (has_configuration(&options->setup)) {
        int code = leat_setup_load(&options->setup, command, &options->config);

        if (code != LEAT_EXIT_OK)
            return code;
    }
    leat_setup_aws_init(&options->aws, options->config != NULL ? options->config : &nothing);
    if (options->endpoint != NULL)
        options->aws.endpoints[LEAT_SERVICE_KINESIS] = options->endpoint;
    if (options->region != NULL)
        options->aws.region = options->region;
    if (profile != NULL) {
        /* The region is looked up in this profile, too. No other thread runs yet. */
        setenv("AWS_PROFILE", profile, 1);
        options->aws.profile = profile;
    }
    leat_setup_aws_credentials(&options->aws, NULL);
    return LEAT_EXIT_OK;
}

void
leat_aws_options_close(struct leat_aws_options *options)
{
    leat_setup_aws_release(&options->aws);
    leat_config_free(options->config);
    options->config = NULL;
    leat_setup_arguments_release(&options->setup);
}
