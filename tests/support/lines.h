/*
 * Tables and rows as short texts, and the processor that emits them: what a test of targets says in one line.
 *
 * Tables: "NAME(COLUMN:TYPE:RULE,…);…". Types: bool int64 float64 decimal text bytes timestamp json. Rules: set key sum min max
 * count first=ORDER last=ORDER; `!` behind a rule: LEAT_INEXACT.
 * A line is a record: rows joined by " ++ ", each "TABLE|OPERATION|VALUE|…" with the table's number and m (merge), r (replace)
 * or d (delete, key columns alone). Values: texts; bytes in hex; timestamps in µs; bool t or f; \N null; \A absent.
 */
#ifndef TESTS_SUPPORT_LINES_H
#define TESTS_SUPPORT_LINES_H

#include <leat/processor.h>

#include "base/arena.h"

/* Lives as long as the arena; a spec that is none ends the program. */
const struct leat_table *test_lines_tables(const char *spec, struct leat_arena *arena);

struct test_lines_row {
    size_t table, count;
    enum leat_operation operation;
    struct leat_value values[64]; /* borrow the line's bytes, or lie in the arena */
};
/* The next row of a line, taken off it; false: none is left, or (*ret_bad) it is no row. */
bool test_lines_row(const struct leat_table *tables, struct leat_slice *line,
                    struct leat_arena *arena, struct test_lines_row *ret_row, bool *ret_bad);

/* A processor that emits the rows of its records; one that is no line of rows is failed. One at a time in a program. */
const struct leat_processor *test_lines_processor(const struct leat_table *tables);

#endif
