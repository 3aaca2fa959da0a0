/* Cells are kept as text until the widths are known. Nothing from a stream or database reaches a terminal unescaped. */
#include "worker/table.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/encoding.h"
#include "base/memory.h"
#include "postgres/array.h"

#define LONG_SHOWN 28
#define LONG_BEGIN 3
#define LONG_END 20

bool
leat_output_parse(const char *command, const char *text, enum leat_output *ret_output)
{
    if (strcmp(text, "json") == 0)
        *ret_output = LEAT_OUTPUT_JSON;
    else if (strcmp(text, "table") == 0)
        *ret_output = LEAT_OUTPUT_TABLE;
    else if (strcmp(text, "wide") == 0)
        *ret_output = LEAT_OUTPUT_WIDE;
    else {
        fprintf(stderr, "leat %s: there is no output \"%s\": table, wide or json\n", command, text);
        return false;
    }
    return true;
}

void
leat_printable(struct leat_buf *out, struct leat_slice text)
{
    while (text.size > 0) {
        size_t size = leat_utf8_shown(text);

        if (size == 0) {
            leat_buf_printf(out, "\\x%02x", text.data[0]);
            size = 1;
        } else {
            leat_buf_add(out, text.data, size);
        }
        text.data += size;
        text.size -= size;
    }
}

void
leat_vprint(FILE *out, const char *format, va_list arguments)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    LEAT_AUTO_BUF shown = LEAT_BUF_INIT;

    leat_buf_vprintf(&text, format, arguments);
    for (const char *rest = leat_buf_text(&text); *rest != '\0';) {
        size_t size = strcspn(rest, "\n");

        leat_printable(&shown, leat_slice_make(rest, size));
        if (rest[size] == '\n')
            leat_buf_add_byte(&shown, rest[size++]);
        rest += size;
    }
    fputs(leat_buf_text(&shown), out);
}

void
leat_print(FILE *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    leat_vprint(out, format, arguments);
    va_end(arguments);
}

void
leat_sheet_init(struct leat_sheet *sheet, enum leat_output output,
                const struct leat_sheet_column *columns, size_t column_count, FILE *out)
{
    *sheet = (struct leat_sheet){
        .output = output, .out = out, .columns = columns, .column_count = column_count};
    leat_buf_init(&sheet->cells, SIZE_MAX);
    leat_buf_init(&sheet->line, SIZE_MAX);
    sheet->widths = LEAT_NEW_ARRAY(size_t, column_count + 1);
    for (size_t i = 0; i < column_count; i++)
        sheet->widths[i] = strlen(columns[i].name);
}

static size_t
width_of(struct leat_slice text)
{
    size_t width = 0;

    for (size_t i = 0; i < text.size; i++)
        width += (text.data[i] & 0xC0) != 0x80;
    return width;
}

static bool
is_hidden(const struct leat_sheet *sheet, size_t column)
{
    return sheet->columns[column].is_detail && sheet->output == LEAT_OUTPUT_TABLE;
}

/* A list of texts as people write it. */
static void
add_list(struct leat_buf *out, struct leat_slice json)
{
    LEAT_AUTO_BUF bare = LEAT_BUF_INIT;

    for (size_t i = 0; i < json.size; i++) {
        if (strchr("[]\"", json.data[i]) == NULL)
            leat_buf_add_byte(&bare, json.data[i]);
    }
    leat_printable(out, leat_buf_slice(&bare));
    if (out->size == 0)
        leat_buf_add_byte(out, '-');
}

/* Sequence numbers have 56 digits, of which neighbours share the first half. */
static struct leat_slice
shortened(struct leat_slice text, struct leat_buf *out)
{
    if (text.size <= LONG_SHOWN)
        return text;
    leat_buf_add(out, text.data, LONG_BEGIN);
    leat_buf_add_text(out, "…");
    leat_buf_add(out, text.data + text.size - LONG_END, LONG_END);
    return leat_buf_slice(out);
}

static void
table_cell(struct leat_sheet *sheet, size_t column, const struct leat_slice *text)
{
    LEAT_AUTO_BUF shown = LEAT_BUF_INIT;
    LEAT_AUTO_BUF cut = LEAT_BUF_INIT;
    enum leat_cell_kind kind = sheet->columns[column].kind;
    struct leat_slice cell = text != NULL && text->size > 0 ? *text : leat_slice_from("-");
    size_t width;

    if (is_hidden(sheet, column))
        return;
    if (kind == LEAT_CELL_LONG && sheet->output == LEAT_OUTPUT_TABLE)
        cell = shortened(cell, &cut);
    if (kind == LEAT_CELL_RAW && cell.data[0] == '[')
        add_list(&shown, cell);
    else
        leat_printable(&shown, cell);
    width = width_of(leat_buf_slice(&shown));
    if (width > sheet->widths[column])
        sheet->widths[column] = width;
    leat_buf_add_be64(&sheet->cells, shown.size);
    leat_buf_add_slice(&sheet->cells, leat_buf_slice(&shown));
}

static void
json_cell(struct leat_sheet *sheet, size_t column, const struct leat_slice *text)
{
    const char *name = sheet->columns[column].name;

    if (column == 0) {
        leat_buf_clear(&sheet->line);
        leat_json_begin(&sheet->json, &sheet->line);
        leat_json_object(&sheet->json, NULL);
    }
    if (text == NULL)
        leat_json_null(&sheet->json, name);
    else if (sheet->columns[column].kind == LEAT_CELL_RAW)
        leat_json_raw(&sheet->json, name, *text);
    else
        leat_json_slice(&sheet->json, name, *text);
    if (column + 1 == sheet->column_count) {
        leat_json_object_end(&sheet->json);
        leat_buf_add_byte(&sheet->line, '\n');
        fwrite(sheet->line.data, 1, sheet->line.size, sheet->out);
    }
}

void
leat_sheet_cell(struct leat_sheet *sheet, const struct leat_slice *text)
{
    size_t column = sheet->cell_count++ % sheet->column_count;

    if (sheet->output == LEAT_OUTPUT_JSON)
        json_cell(sheet, column, text);
    else
        table_cell(sheet, column, text);
}

void
leat_sheet_text(struct leat_sheet *sheet, const char *text)
{
    struct leat_slice slice = leat_slice_from(text);

    leat_sheet_cell(sheet, text != NULL ? &slice : NULL);
}

void
leat_sheet_integer(struct leat_sheet *sheet, int64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)number);
    leat_sheet_text(sheet, text);
}

void
leat_sheet_row(struct leat_sheet *sheet, const PGresult *result, int row)
{
    for (int column = 0; column < PQnfields(result); column++) {
        struct leat_slice text = leat_slice_make(PQgetvalue(result, row, column),
                                                 (size_t)PQgetlength(result, row, column));

        /* Results are binary: what is no text there would be shown as its bytes. */
        LEAT_ASSERT(PQftype(result, column) == LEAT_PG_TEXT);
        leat_sheet_cell(sheet, PQgetisnull(result, row, column) ? NULL : &text);
    }
}

void
leat_sheet_result(struct leat_sheet *sheet, const PGresult *result)
{
    LEAT_ASSERT((size_t)PQnfields(result) == sheet->column_count);
    for (int row = 0; row < PQntuples(result); row++)
        leat_sheet_row(sheet, result, row);
}

/* The last shown column of a row needs no padding. */
static size_t
last_shown(const struct leat_sheet *sheet)
{
    size_t last = 0;

    for (size_t i = 0; i < sheet->column_count; i++) {
        if (!is_hidden(sheet, i))
            last = i;
    }
    return last;
}

static void
print_padded(const struct leat_sheet *sheet, size_t column, size_t last, struct leat_slice text)
{
    fwrite(text.data, 1, text.size, sheet->out);
    if (column == last)
        fputc('\n', sheet->out);
    else
        fprintf(sheet->out, "%*s", (int)(sheet->widths[column] - width_of(text) + 2), "");
}

static void
print_heading(const struct leat_sheet *sheet, size_t last)
{
    for (size_t i = 0; i < sheet->column_count; i++) {
        LEAT_AUTO_BUF name = LEAT_BUF_INIT;

        if (is_hidden(sheet, i))
            continue;
        for (const char *letter = sheet->columns[i].name; *letter != '\0'; letter++)
            leat_buf_add_byte(&name, *letter == '_' ? ' ' : (unsigned char)toupper(*letter));
        print_padded(sheet, i, last, leat_buf_slice(&name));
    }
}

static void
print_table(const struct leat_sheet *sheet)
{
    size_t last = last_shown(sheet), column = 0;

    print_heading(sheet, last);
    for (size_t at = 0; at < sheet->cells.size;) {
        uint64_t size;

        for (; is_hidden(sheet, column); column = (column + 1) % sheet->column_count)
            continue;
        memcpy(&size, sheet->cells.data + at, sizeof size);
        size = __builtin_bswap64(size);
        print_padded(sheet, column, last,
                     leat_slice_make(sheet->cells.data + at + sizeof size, (size_t)size));
        at += sizeof size + (size_t)size;
        column = (column + 1) % sheet->column_count;
    }
}

void
leat_sheet_release(struct leat_sheet *sheet)
{
    leat_buf_release(&sheet->cells);
    leat_buf_release(&sheet->line);
    free(sheet->widths);
    sheet->widths = NULL;
}

int
leat_sheet_finish(struct leat_sheet *sheet, struct leat_error *err)
{
    LEAT_ASSERT(sheet->cell_count % sheet->column_count == 0);
    if (sheet->output != LEAT_OUTPUT_JSON)
        print_table(sheet);
    leat_sheet_release(sheet);
    if (fflush(sheet->out) != 0 || ferror(sheet->out))
        return leat_error_set(err, LEAT_E_SYSTEM, "could not write the output: %s",
                              strerror(errno));
    return 0;
}
