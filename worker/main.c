/* `leat`: finds the command and runs it. Everything else is in the commands' own files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/units.h"
#include "worker/command.h"

static const struct leat_command commands[] = {
    {"worker", "read streams, run processors, write targets", leat_command_worker},
    {"validate", "everything that is wrong with a configuration", leat_command_validate},
    {"dev", "a Kinesis, an S3 and a Postgres on this machine, to try leat with", leat_command_dev},
    {"doctor", "which AWS credentials and endpoints are used, and why", leat_command_doctor},
    {"db", "migrate and inspect the databases (migrate | status | grants | ddl)", leat_command_db},
    {"config", "the configuration as leat understands it (show | schema | reference)",
     leat_command_config},
    {"iam", "what AWS has to allow to a worker, to put, to operators (policy)", leat_command_iam},
    {"plugin", "what a plugin is and takes (info)", leat_command_plugin},
    {"streams", "streams and their shards (create | ls | show | split | merge | delete)",
     leat_command_streams},
    {"put", "put lines of standard input into a stream", leat_command_put},
    {"tail", "print a stream's records as JSON lines", leat_command_tail},
    {"leases", "who reads which shard, and who did ([ls] | history | release)",
     leat_command_leases},
    {"workers", "the worker processes, their health and what they hold ([ls] | drain)",
     leat_command_workers},
    {"shards", "each shard of each processor: how far it is, how it fares", leat_command_shards},
    {"processors", "what is registered ([ls] | pause | resume | retire)", leat_command_processors},
    {"checkpoint", "where a processor is, and how to put it elsewhere (show | set)",
     leat_command_checkpoint},
    {"failures", "records that were diverted, and why (ls | show)", leat_command_failures},
    {"metrics", "every metric that a worker has, and what to alert on", leat_command_metrics},
    {"version", "print the version", leat_command_version},
};

static void
help(FILE *out)
{
    fputs("leat: a stream's records, through your code, into your database, exactly once\n\n"
          "  leat dev                          # a stream, a bucket, a database to try it with\n"
          "  leat validate -c leat.yaml --connect\n"
          "  leat db migrate -c leat.yaml\n"
          "  leat worker -c leat.yaml\n\n"
          "Commands (each has --help):\n",
          out);
    for (size_t i = 0; i < LEAT_COUNT_OF(commands); i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 the other side is down,\n128 + n ended "
          "by signal n before it was done\n",
          out);
}

int
leat_command_failed(const char *command, const struct leat_error *err)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;

    leat_buf_printf(&line, "leat %s: %s", command, err->text);
    leat_log_say(leat_buf_text(&line));
    return err->is_retryable ? LEAT_EXIT_UNAVAILABLE : LEAT_EXIT_FAILED;
}

int
leat_command_version(int argc, char **argv)
{
    puts("leat " LEAT_VERSION);
    return LEAT_EXIT_OK;
}

static int
unknown(const char *name)
{
    const char *names[LEAT_COUNT_OF(commands) + 1] = {0};
    const char *nearest;

    for (size_t i = 0; i < LEAT_COUNT_OF(commands); i++)
        names[i] = commands[i].name;
    nearest = leat_did_you_mean(name, names);
    fprintf(stderr, "leat: there is no command \"%s\"%s%s%s; see leat --help\n", name,
            nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "\"?" : "");
    return LEAT_EXIT_USAGE;
}

/*
 * A descriptor of 0 to 2 that is closed would become the first socket or file that is opened, and log lines would go
 * there. So it is opened now, such that its use fails as it would have: reading from 0, writing to 1; what goes to 2
 * is gone.
 */
static void
occupy_standard_descriptors(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* The lowest that is free: this one. Without a /dev any place will do that takes no bytes. */
        if (open("/dev/null", modes[fd]) != fd && open("/", O_RDONLY | O_DIRECTORY) != fd)
            _exit(LEAT_EXIT_FAILED);
    }
}

/* What a command printed and nobody could take, it has not done: a cut file must not look like a whole one. */
static int
finish(const char *command, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    if (code == LEAT_EXIT_OK) {
        fprintf(stderr, "leat %s: could not write the output: %s\n", command, strerror(errno));
        code = LEAT_EXIT_FAILED;
    }
    return code;
}

int
main(int argc, char **argv)
{
    occupy_standard_descriptors();
    if (argc < 2) {
        help(stderr);
        return LEAT_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help(stdout);
        return finish("--help", LEAT_EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0)
        return finish("--version", leat_command_version(argc - 1, argv + 1));
    for (size_t i = 0; i < LEAT_COUNT_OF(commands); i++) {
        char name[64];

        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        /* getopt tells of wrong options under this name. */
        snprintf(name, sizeof name, "leat %s", commands[i].name);
        argv[1] = name;
        return finish(commands[i].name, commands[i].run(argc - 1, argv + 1));
    }
    return unknown(argv[1]);
}
