/* `leat dev`: everything that leat talks to, on this machine, in one command; gone when it ends. */
#include "worker/dev.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "worker/command.h"
#include "worker/dev_roles.h"

struct dev_arguments {
    const char *directory;
    int64_t kinesis_port, s3_port, role_lifetime_us;
    bool has_limits;
};

static void
help(void)
{
    fputs(
        "leat dev: a Kinesis, an S3 and a Postgres on this machine, until Ctrl-C\n\n"
        "  leat dev                              # a stream \"" LEAT_DEV_STREAM "\" of 4 shards\n"
        "  leat dev orders:8 clicks              # these streams: NAME or NAME:SHARDS\n"
        "  leat dev --directory /tmp/my-leat     # keeps its database between runs\n"
        "  leat dev --limits                     # the service's limits per shard, too\n"
        "  leat dev --with-roles=60s             # temporary credentials of roles, too\n\n"
        "  --directory DIR      where configuration, database and logs lie; default: a new one\n"
        "                       under the temporary directory, removed at the end\n"
        "  --kinesis-port PORT  default: a free one\n"
        "  --s3-port PORT       default: a free one\n"
        "  --limits             5 reads and 2 MB a second per shard, 1,000 records and 1 MB in\n"
        "  --with-roles[=LIFETIME]\n"
        "                       an STS, an instance's metadata and a container's endpoint, too, "
        "whose\n"
        "                       credentials live LIFETIME, 2s to 12h; default: 1h. Kinesis and S3\n"
        "                       take them until they expire, beside the keys of DIR/env. Tokens "
        "of\n"
        "                       web identity and container are replaced at half of LIFETIME. To "
        "be\n"
        "                       sourced in place of DIR/env: DIR/env-web-identity,\n"
        "                       DIR/env-container, DIR/env-instance, DIR/env-profile\n\n"
        "It prints how to go on, writes DIR/leat.yaml and DIR/env, then the line \"ready\".\n"
        "Streams are kept in memory; nothing listens beyond loopback.\n",
        stdout);
}

static bool
parse_port(const char *text, int64_t *ret_port)
{
    struct leat_error err;

    if (leat_parse_integer(leat_slice_from(text), ret_port, &err) == 0 && *ret_port > 0 &&
        *ret_port < 65536)
        return true;
    fprintf(stderr, "leat dev: \"%s\" is no port\n", text);
    return false;
}

static bool
parse_lifetime(const char *text, int64_t *ret_us)
{
    struct leat_error err;

    *ret_us = LEAT_DEV_LIFETIME_US;
    if (text == NULL ||
        (leat_parse_duration(leat_slice_from(text), ret_us, &err) == 0 &&
         *ret_us >= LEAT_DEV_MINIMUM_LIFETIME_US && *ret_us <= LEAT_DEV_MAXIMUM_LIFETIME_US))
        return true;
    fprintf(stderr, "leat dev: --with-roles=%s: a lifetime is 2s to 12h\n", text);
    return false;
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse(int argc, char **argv, struct dev_arguments *arguments)
{
    static const struct option options[] = {
        {"directory", required_argument, NULL, 'd'},
        {"kinesis-port", required_argument, NULL, 'k'},
        {"s3-port", required_argument, NULL, 's'},
        {"limits", no_argument, NULL, 'l'},
        {"with-roles", optional_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;

    while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (letter == 'd')
            arguments->directory = optarg;
        else if (letter == 'l')
            arguments->has_limits = true;
        else if (letter == 'r') {
            if (!parse_lifetime(optarg, &arguments->role_lifetime_us))
                return LEAT_EXIT_USAGE;
        } else if (letter == 'k' || letter == 's') {
            if (!parse_port(optarg, letter == 'k' ? &arguments->kinesis_port : &arguments->s3_port))
                return LEAT_EXIT_USAGE;
        } else {
            return letter == 'h' ? -1 : LEAT_EXIT_USAGE;
        }
    }
    return 0;
}

/* ---- the directory ---------------------------------------------------------------------------- */

static int
remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    return remove(path);
}

/* NULL: could not; said. The caller's. */
static char *
make_directory(const char *wanted)
{
    const char *base = getenv("TMPDIR");
    LEAT_AUTO_BUF path = LEAT_BUF_INIT;
    bool is_made;
    char *resolved;

    if (wanted != NULL)
        leat_buf_add_text(&path, wanted);
    else
        leat_buf_printf(&path, "%s/leat-dev-XXXXXX", base != NULL && *base != '\0' ? base : "/tmp");
    if (wanted != NULL)
        is_made = mkdir(wanted, 0700) == 0 || errno == EEXIST;
    else
        is_made = mkdtemp((char *)leat_buf_text(&path)) != NULL;
    resolved = is_made ? realpath(leat_buf_text(&path), NULL) : NULL;
    if (resolved == NULL)
        fprintf(stderr, "leat dev: could not make directory \"%s\": %s\n", leat_buf_text(&path),
                strerror(errno));
    return resolved;
}

/* ---- while it is up --------------------------------------------------------------------------- */

static void
say_what_is_there(const struct leat_dev *dev)
{
    printf("leat dev is up; Ctrl-C ends it and forgets its streams\n\n"
           "  kinesis   %s   streams:",
           leat_local_kinesis_endpoint(dev->kinesis));
    for (size_t i = 0; i < dev->stream_count; i++)
        printf(" %s", dev->streams[i]);
    printf(" %s:1\n"
           "  s3        %s   bucket: %s\n"
           "  postgres  %s\n"
           "%s%s%s"
           "  files     %s, %s\n\n"
           "In another terminal:\n"
           "  . %s\n"
           "  %s worker\n"
           "and in a third:\n"
           "  . %s\n"
           "  echo '{\"device_id\": 1, \"time\": \"2022-01-01 00:01:00\", \"measurement\": "
           "\"temperature\", \"value\": 76.1}' |\n"
           "    %s put %.*s\n"
           "  psql -c 'SELECT * FROM rollup'\n\n",
           LEAT_DEV_DEAD_LETTERS, leat_local_s3_endpoint(dev->s3), LEAT_DEV_BUCKET, dev->database,
           dev->roles != NULL ? "  roles     " : "",
           dev->roles != NULL ? leat_local_roles_endpoint(dev->roles) : "",
           dev->roles != NULL ? "   STS, instance metadata, container\n" : "", dev->config,
           dev->environment, dev->environment, dev->program, dev->environment, dev->program,
           (int)strcspn(dev->streams[0], ":"), dev->streams[0]);
    if (dev->roles != NULL)
        leat_dev_roles_say(dev);
    puts("ready");
    fflush(stdout);
}

static void
block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Meanwhile tokens are replaced, at half of their life. */
static void
wait_for_signal(struct leat_dev *dev, const sigset_t *signals)
{
    int64_t due_us = leat_clock_monotonic_us() + dev->role_lifetime_us / 2;
    struct leat_error err;
    int number;

    for (;;) {
        int64_t left_us = due_us - leat_clock_monotonic_us();
        struct timespec wait = {left_us / LEAT_SECOND_US, left_us % LEAT_SECOND_US * 1000};

        if (dev->roles == NULL) {
            if (sigwait(signals, &number) == 0)
                return;
        } else if (left_us > 0) {
            if (sigtimedwait(signals, NULL, &wait) > 0)
                return;
        } else {
            if (leat_dev_roles_rotate(dev, &err) != 0)
                fprintf(stderr, "leat dev: %s; trying again at the next turn\n", err.text);
            due_us = leat_clock_monotonic_us() + dev->role_lifetime_us / 2;
        }
    }
}

static int
stay_up(struct leat_dev *dev, const sigset_t *signals)
{
    struct leat_error err;

    if (leat_dev_open(dev, &err) != 0)
        return leat_command_failed("dev", &err);
    say_what_is_there(dev);
    wait_for_signal(dev, signals);
    leat_dev_close(dev);
    return LEAT_EXIT_OK;
}

int
leat_command_dev(int argc, char **argv)
{
    static const char *const default_streams[] = {LEAT_DEV_STREAM ":4"};
    struct dev_arguments arguments = {0};
    struct leat_dev dev = {.program = "leat"};
    int code = parse(argc, argv, &arguments);
    char *directory, program[4096];
    ssize_t size;
    sigset_t signals;

    if (code == -1)
        help();
    if (code != 0)
        return code == -1 ? LEAT_EXIT_OK : code;
    directory = make_directory(arguments.directory);
    if (directory == NULL)
        return LEAT_EXIT_FAILED;
    size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size > 0) {
        program[size] = '\0';
        dev.program = program;
    }
    dev.directory = directory;
    dev.kinesis_port = (uint16_t)arguments.kinesis_port;
    dev.s3_port = (uint16_t)arguments.s3_port;
    dev.has_limits = arguments.has_limits;
    dev.role_lifetime_us = arguments.role_lifetime_us;
    dev.streams = optind < argc ? (const char *const *)argv + optind : default_streams;
    dev.stream_count = optind < argc ? (size_t)(argc - optind) : 1;
    block_signals(&signals);
    code = stay_up(&dev, &signals);
    if (arguments.directory == NULL)
        nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(directory);
    return code;
}
