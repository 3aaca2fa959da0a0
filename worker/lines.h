/* Lines of a descriptor, without waiting longer than told. Not for threads. */
#ifndef LEAT_WORKER_LINES_H
#define LEAT_WORKER_LINES_H

#include "base/buf.h"

struct leat_lines {
    int fd;
    size_t maximum_bytes; /* of a line */
    struct leat_buf buf;
    size_t position;
    bool is_end, is_skipping; /* the rest of a line that is too long */
    uint64_t number;          /* of the line told last, from 1 */
};

enum leat_line {
    LEAT_LINE_READ = 0,     /* without its end; lives until the next call */
    LEAT_LINE_TOO_LONG = 1, /* told once; the next call goes on behind it */
    LEAT_LINE_END = 2,
    LEAT_LINE_LATER = 3, /* the deadline has passed */
    LEAT_LINE_STOP = 4,  /* leat_is_stopped */
    LEAT_LINE_ERROR = 5  /* err says */
};

void leat_lines_init(struct leat_lines *lines, int fd, size_t maximum_bytes);
void leat_lines_release(struct leat_lines *lines);
enum leat_line leat_lines_next(struct leat_lines *lines, int64_t deadline_us,
                               struct leat_slice *ret_line, struct leat_error *err);

#endif
