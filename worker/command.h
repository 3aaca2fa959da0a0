/* The program's commands: one file each. A command gets its own arguments (argv[0] is its name) and returns an exit code. */
#ifndef LEAT_WORKER_COMMAND_H
#define LEAT_WORKER_COMMAND_H

#include <leat/error.h>

/* Documented in `leat --help`. */
enum leat_exit {
    LEAT_EXIT_OK = 0,
    LEAT_EXIT_FAILED = 1,     /* it was tried and did not work */
    LEAT_EXIT_USAGE = 2,      /* the command line or the configuration is wrong */
    LEAT_EXIT_UNAVAILABLE = 3 /* the other side is down: the same again may work later */
};

struct leat_command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

int leat_command_checkpoint(int argc, char **argv);
int leat_command_config(int argc, char **argv);
int leat_command_dev(int argc, char **argv);
int leat_command_db(int argc, char **argv);
int leat_command_doctor(int argc, char **argv);
int leat_command_failures(int argc, char **argv);
int leat_command_iam(int argc, char **argv);
int leat_command_leases(int argc, char **argv);
int leat_command_metrics(int argc, char **argv);
int leat_command_plugin(int argc, char **argv);
int leat_command_processors(int argc, char **argv);
int leat_command_put(int argc, char **argv);
int leat_command_shards(int argc, char **argv);
int leat_command_streams(int argc, char **argv);
int leat_command_tail(int argc, char **argv);
int leat_command_validate(int argc, char **argv);
int leat_command_worker(int argc, char **argv);
int leat_command_version(int argc, char **argv);
int leat_command_workers(int argc, char **argv);

/* One line on standard error: `leat db: text`. Returns the exit code for the error. */
int leat_command_failed(const char *command, const struct leat_error *err);

#endif
