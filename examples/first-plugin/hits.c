/* Visits of a web site: lines like "GET /index.html 200 5120" become one row per page. */
#include <leat/processor.h>

/* What is written. The rule beside a column says how two rows of one key become one. */
static const struct leat_column columns[] = {
    {"page", LEAT_TEXT, LEAT_KEY},
    {"hits", LEAT_INT64, LEAT_SUM},
    {"errors", LEAT_INT64, LEAT_SUM},
    {"bytes", LEAT_DECIMAL, LEAT_SUM},
    {"largest", LEAT_DECIMAL, LEAT_MAX},
    LEAT_END,
};
static const struct leat_table tables[] = {{"hits", columns}, LEAT_END};

/* The next word of the line; empty at its end. Slices are not zero-terminated: never call strtok or atoi on them. */
static struct leat_slice
next_word(struct leat_slice *line)
{
    struct leat_slice word;
    size_t size = 0;

    while (line->size > 0 && line->data[0] == ' ')
        *line = leat_slice_make(line->data + 1, line->size - 1);
    while (size < line->size && line->data[size] != ' ')
        size++;
    word = leat_slice_make(line->data, size);
    *line = leat_slice_make(line->data + size, line->size - size);
    return word;
}

static bool
is_number(struct leat_slice word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
    }
    return word.size > 0 && word.size <= 18;
}

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_record *record = batch->records[i];
        struct leat_slice line = record->data;
        struct leat_slice method = next_word(&line), page = next_word(&line);
        struct leat_slice status = next_word(&line), bytes = next_word(&line);

        if (method.size == 0 || page.size == 0 || status.size != 3 || !is_number(status) ||
            !is_number(bytes)) {
            leat_fail(out, record, "not a line of method, page, status and bytes");
            continue; /* this record alone goes to the archive */
        }
        leat_emit(out, record, 0, leat_text(page), leat_int64(1),
                  leat_int64(status.data[0] >= '4'), leat_decimal(bytes), leat_decimal(bytes));
    }
    return LEAT_DONE;
}

LEAT_PROCESSOR(.name = "hits", .version = "1.0", .summary = "visits per page", .tables = tables,
               .process = process);
