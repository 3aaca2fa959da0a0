/* `leat iam`: what AWS has to allow, as a policy to give to a role. Asks nobody. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "worker/iam_policy.h"
#include "worker/setup.h"

#define MANAGED_POLICY_BYTES 6144 /* of IAM, white space not counted */

struct iam_arguments {
    struct leat_setup_arguments setup;
    enum leat_iam_role role;
    const char *account;
};

static void
help(void)
{
    fputs(
        "leat iam: what AWS has to allow to whom\n\n"
        "  leat iam policy -c leat.yaml >worker.json\n"
        "  leat iam policy -c leat.yaml --for put\n"
        "  leat iam policy -c leat.yaml --for operator --account 123456789012\n\n"
        "Prints the least policy of IAM with which leat does its work for this configuration: the "
        "actions that\n"
        "it calls, on the streams, the dead-letter stream and the letters of the archive that the "
        "configuration\n"
        "names. AWS is not asked.\n\n"
        "  --for worker       leat worker (the default)\n"
        "  --for put          leat put, into the configuration's streams\n"
        "  --for operator     leat streams, tail, checkpoint, failures, validate --connect: reads "
        "and changes\n"
        "                     streams, reads letters\n"
        "  --account ID       the account of the streams, 12 digits; default: any "
        "(*)\n" LEAT_SETUP_HELP
        "\nWhat is encrypted with a key of your own needs more, on that key: kms:Decrypt to read a "
        "stream or a\n"
        "letter, kms:GenerateDataKey to put records or store letters.\n",
        stdout);
}

static int
take_role(struct iam_arguments *arguments, const char *name)
{
    static const char *const names[] = {"worker", "put", "operator"};

    for (unsigned i = 0; i < LEAT_COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            arguments->role = (enum leat_iam_role)i;
            return 0;
        }
    }
    fprintf(stderr, "leat iam: --for wants worker, put or operator, not \"%s\"\n", name);
    return LEAT_EXIT_USAGE;
}

static int
take_account(struct iam_arguments *arguments, const char *account)
{
    if (strlen(account) != 12 || strspn(account, "0123456789") != 12) {
        fprintf(stderr, "leat iam: --account wants 12 digits, not \"%s\"\n", account);
        return LEAT_EXIT_USAGE;
    }
    arguments->account = account;
    return 0;
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct iam_arguments *arguments)
{
    static const struct option options[] = {
        LEAT_SETUP_LONG,
        {"for", required_argument, NULL, 'f'},
        {"account", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter, status = 0;

    while (status == 0 &&
           (letter = getopt_long(argc, argv, LEAT_SETUP_LETTERS "h", options, NULL)) != -1) {
        if (letter == 'f')
            status = take_role(arguments, optarg);
        else if (letter == 'a')
            status = take_account(arguments, optarg);
        else if (!leat_setup_argument(&arguments->setup, letter, optarg))
            status = letter == 'h' ? -1 : LEAT_EXIT_USAGE;
    }
    if (status == 0 && (optind + 1 != argc || strcmp(argv[optind], "policy") != 0)) {
        fputs("leat iam: say policy; see leat iam --help\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    return status;
}

static size_t
bytes_that_count(const struct leat_buf *policy)
{
    size_t count = 0;

    for (size_t i = 0; i < policy->size; i++)
        count += policy->data[i] != ' ' && policy->data[i] != '\n';
    return count;
}

static int
print_policy(const struct leat_config *config, const struct iam_arguments *arguments)
{
    struct leat_iam_place place = {.account = arguments->account};
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    struct leat_endpoint endpoint;
    struct leat_error err;

    /* The region that a worker would sign for. Nobody is asked, an instance neither; no other thread runs. */
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    if (leat_endpoint_resolve(LEAT_SERVICE_KINESIS, config->aws_region,
                              config->aws_endpoint_kinesis, config->aws_profile, &endpoint,
                              &err) != 0) {
        leat_command_failed("iam", &err);
        return LEAT_EXIT_USAGE;
    }
    place.region = endpoint.region;
    if (!leat_iam_policy(config, arguments->role, &place, &out)) {
        fputs("leat iam: nothing of AWS is asked with this configuration: no policy is needed\n",
              stderr);
        return LEAT_EXIT_FAILED;
    }
    if (bytes_that_count(&out) > MANAGED_POLICY_BYTES)
        fprintf(stderr,
                "leat iam: IAM takes at most %d characters in one policy, this one has %zu: name "
                "streams by patterns, or part its statements among several policies\n",
                MANAGED_POLICY_BYTES, bytes_that_count(&out));
    if (fwrite(out.data, 1, out.size, stdout) != out.size || fflush(stdout) != 0) {
        perror("leat iam: standard output");
        return LEAT_EXIT_FAILED;
    }
    return LEAT_EXIT_OK;
}

static int
act(const struct iam_arguments *arguments)
{
    struct leat_config *config;
    int code = leat_setup_load(&arguments->setup, "iam", &config);

    if (code != LEAT_EXIT_OK)
        return code;
    code = print_policy(config, arguments);
    leat_config_free(config);
    return code;
}

int
leat_command_iam(int argc, char **argv)
{
    struct iam_arguments arguments = {0};
    int status = parse(argc, argv, &arguments);

    if (status == -1)
        help();
    else if (status == 0)
        status = act(&arguments);
    leat_setup_arguments_release(&arguments.setup);
    return status == -1 ? LEAT_EXIT_OK : status;
}
