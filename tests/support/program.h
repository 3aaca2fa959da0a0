/* Runs the program `leat` (of $LEAT_BUILD) as a process and keeps what it said. */
#ifndef LEAT_TESTS_PROGRAM_H
#define LEAT_TESTS_PROGRAM_H

#include "base/buf.h"

struct json_object;

struct program_run {
    int code;                 /* exit code; -1: it died of a signal */
    struct leat_buf out, err; /* zero-terminated by leat_buf_text */
};

/* NULL-ended arguments, without the program's name. input: for its standard input; NULL: none. */
void program_run(struct program_run *run, const char *input, const char *const *arguments);
void program_run_release(struct program_run *run);
/* The line of standard output, from 0, as JSON; aborts when it is none. The caller's: json_object_put. */
struct json_object *program_run_json(struct program_run *run, size_t line);
size_t program_run_lines(const struct program_run *run);

#endif
