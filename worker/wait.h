/* Waiting in commands: for a time, for input, for a signal that asks to stop. One thread: the command's. */
#ifndef LEAT_WORKER_WAIT_H
#define LEAT_WORKER_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include <leat/error.h>

enum leat_waited {
    LEAT_WAITED_TIME = 0,  /* the deadline has passed */
    LEAT_WAITED_INPUT = 1, /* the descriptor can be read, or is at its end */
    LEAT_WAITED_STOP = 2   /* SIGINT or SIGTERM came */
};

/* From now on the first SIGINT or SIGTERM only says "stop"; the second one kills. */
int leat_stop_setup(struct leat_error *err);
bool leat_is_stopped(void);
/* The exit code of what a signal ended before it was done, as a shell says it: 130 or 143; 0: there was none. */
int leat_stop_code(void);
/* As leat_is_stopped, a second later: for what may still send what was read. */
bool leat_is_stopped_for_good(void);
/* As if the signal had come: for who reads signals otherwise (the worker). Any thread. */
void leat_stop(void);
/* Until deadline_us (monotonic; INT64_MAX: none). fd -1: for no input. */
enum leat_waited leat_wait(int fd, int64_t deadline_us);

#endif
