/* The two halves of the jsonl target: rows as lines, and lines to a file. */
#ifndef LEAT_JSONL_H
#define LEAT_JSONL_H

#include <leat/target.h>

#include "base/buf.h"

/* One line: {"table":…,"operation":…,"row":{…}} and a newline. Columns that are absent are left out. */
void leat_jsonl_line(struct leat_buf *out, const struct leat_flush_rows *rows, size_t row);

/* A file that lines are appended to; opened when something is written. Belongs to one thread. */
struct leat_jsonl_file {
    const char *path; /* borrowed */
    bool is_durable;  /* fsync before an append is done */
    int fd;           /* -1: not open */
    int64_t before;   /* its size when the append began; -1: no regular file */
};

/*
 * begin … write … end: what is written between them is in the file whole, or (after an error, which ends the append too) not
 * at all. Other processes append before or after, not in between: LEAT_E_UNAVAILABLE while one of them does. A line
 * that somebody's crash has cut is closed by a newline first. Errors that need a person are LEAT_E_INVALID.
 */
int leat_jsonl_begin(struct leat_jsonl_file *file, struct leat_error *err);
int leat_jsonl_write(struct leat_jsonl_file *file, struct leat_slice bytes, struct leat_error *err);
int leat_jsonl_end(struct leat_jsonl_file *file, struct leat_error *err);
void leat_jsonl_close(struct leat_jsonl_file *file);

#endif
