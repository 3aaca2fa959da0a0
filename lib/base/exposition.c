/* Lines are put together by hand, not by printf: a page has tens of thousands. */
#include "base/exposition.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/encoding.h"

/* In HELP a quote stands for itself. */
static void
add_escaped(struct leat_buf *out, struct leat_slice text, bool is_quoted)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = text.data[i];

        if (byte == '\n') {
            leat_buf_add_text(out, "\\n");
            continue;
        }
        if (byte == '\\' || (byte == '"' && is_quoted))
            leat_buf_add_byte(out, '\\');
        leat_buf_add_byte(out, byte);
    }
}

void
leat_exposition_head(struct leat_buf *out, const char *name, const char *type, const char *help)
{
    leat_buf_printf(out, "# HELP %s ", name);
    add_escaped(out, leat_slice_from(help), false);
    leat_buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

/* The bytes of the character at the beginning; 0: there is none. */
static size_t
character_size(struct leat_slice text)
{
    for (size_t size = 1; size <= 4 && size <= text.size; size++) {
        if (leat_utf8_is_valid(leat_slice_make(text.data, size)))
            return size;
    }
    return 0;
}

void
leat_exposition_label(struct leat_buf *labels, const char *name, struct leat_slice value)
{
    if (labels->size > 0)
        leat_buf_add_byte(labels, ',');
    leat_buf_add_text(labels, name);
    leat_buf_add_text(labels, "=\"");
    if (leat_utf8_is_valid(value)) {
        add_escaped(labels, value, true);
        value.size = 0;
    }
    while (value.size > 0) {
        size_t size = character_size(value);

        if (size > 0)
            add_escaped(labels, leat_slice_make(value.data, size), true);
        else
            leat_buf_add_text(labels, "\xef\xbf\xbd");
        size = size > 0 ? size : 1;
        value = leat_slice_make(value.data + size, value.size - size);
    }
    leat_buf_add_byte(labels, '"');
}

static void
add_name(struct leat_buf *out, const char *name, const char *labels)
{
    leat_buf_add_text(out, name);
    if (labels[0] != '\0') {
        leat_buf_add_byte(out, '{');
        leat_buf_add_text(out, labels);
        leat_buf_add_byte(out, '}');
    }
    leat_buf_add_byte(out, ' ');
}

void
leat_exposition_sample(struct leat_buf *out, const char *name, const char *labels, double value)
{
    add_name(out, name, labels);
    if (value >= 0 && value < 1e15 && value == (double)(uint64_t)value) {
        leat_exposition_end(out, (uint64_t)value);
        return;
    }
    if (isnan(value))
        leat_buf_add_text(out, "NaN\n");
    else if (isinf(value))
        leat_buf_add_text(out, value > 0 ? "+Inf\n" : "-Inf\n");
    else
        leat_buf_printf(out, "%.15g\n", value);
}

void
leat_exposition_end(struct leat_buf *out, uint64_t value)
{
    char digits[24];
    size_t at = sizeof digits;

    digits[--at] = '\n';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    leat_buf_add(out, digits + at, sizeof digits - at);
}

void
leat_exposition_count(struct leat_buf *out, const char *name, const char *labels, uint64_t value)
{
    add_name(out, name, labels);
    leat_exposition_end(out, value);
}
