/*
 * Rows for people (aligned columns) or for programs (a JSON object a line). A sheet is told its columns once and its cells in
 * order. Tables appear at finish, since widths come from all rows; JSON lines at once.
 */
#ifndef LEAT_WORKER_TABLE_H
#define LEAT_WORKER_TABLE_H

#include <libpq-fe.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/json.h"

enum leat_output {
    LEAT_OUTPUT_TABLE = 0,
    LEAT_OUTPUT_JSON = 1,
    LEAT_OUTPUT_WIDE = 2 /* a table with all columns */
};
/* "table", "wide", "json"; false: another word, and a line on standard error names them. */
bool leat_output_parse(const char *command, const char *text, enum leat_output *ret_output);
#define LEAT_OUTPUT_HELP                                                                           \
    "  -o table|wide|json  columns, all columns, or a JSON object a line (default: table)\n"

enum leat_cell_kind {
    LEAT_CELL_TEXT = 0,
    LEAT_CELL_RAW = 1, /* a JSON value as it is: numbers, booleans, lists of texts */
    LEAT_CELL_LONG =
        2, /* a text whose end tells it from others: in narrow tables its middle is … */
};
struct leat_sheet_column {
    const char *name; /* the JSON key; in tables in capitals */
    enum leat_cell_kind kind;
    bool is_detail; /* in JSON and wide tables alone */
};

struct leat_sheet {
    enum leat_output output;
    FILE *out;
    const struct leat_sheet_column *columns; /* borrowed */
    size_t column_count, cell_count;
    struct leat_buf cells; /* table: each cell's text behind its size */
    size_t *widths;
    struct leat_buf line; /* JSON */
    struct leat_json json;
};

void leat_sheet_init(struct leat_sheet *sheet, enum leat_output output,
                     const struct leat_sheet_column *columns, size_t column_count, FILE *out);
/* The next cell of the row, NULL: there is none (JSON null, "-" in a table). A row ends with its last cell. */
void leat_sheet_cell(struct leat_sheet *sheet, const struct leat_slice *text);
void leat_sheet_text(struct leat_sheet *sheet, const char *text); /* NULL: none */
void leat_sheet_integer(struct leat_sheet *sheet, int64_t number);
/* A row of a result whose columns are texts (::text); with all of them, in the sheet's order. */
void leat_sheet_row(struct leat_sheet *sheet, const PGresult *result, int row);
void leat_sheet_result(struct leat_sheet *sheet, const PGresult *result);
/* Prints what is left and releases. LEAT_E_SYSTEM when standard output took not all of it. */
int leat_sheet_finish(struct leat_sheet *sheet, struct leat_error *err);
void leat_sheet_release(struct leat_sheet *sheet); /* instead of finish: nothing is printed */

/* Text from elsewhere, safe for a terminal: control characters as \xNN, bytes that are no UTF-8 too. */
void leat_printable(struct leat_buf *out, struct leat_slice text);
/* fprintf() for lines that hold what others say: a server's reason, a stream's name. Line ends stay. */
void leat_print(FILE *out, const char *format, ...) LEAT_PRINTF(2, 3);
void leat_vprint(FILE *out, const char *format, va_list arguments) LEAT_PRINTF(2, 0);

#endif
