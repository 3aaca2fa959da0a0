/* A growing run of bytes. Doubles; never beyond its maximum; remembers that something did not fit. */
#include "base/buf.h"

#include <stdlib.h>

#include "base/memory.h"

void
leat_buf_init(struct leat_buf *buf, size_t maximum_bytes)
{
    *buf = (struct leat_buf){.maximum = maximum_bytes};
}

void
leat_buf_release(struct leat_buf *buf)
{
    size_t maximum = buf->maximum;

    free(buf->data);
    leat_buf_init(buf, maximum);
}

void
leat_buf_cleanup(struct leat_buf *buf)
{
    free(buf->data);
}

void
leat_buf_clear(struct leat_buf *buf)
{
    buf->size = 0;
    buf->is_truncated = false;
}

/*
 * One byte more than asked for: leat_buf_text's zero always fits. Once something did not fit nothing more
 * is added, however small: what is there stays a prefix.
 */
bool
leat_buf_reserve(struct leat_buf *buf, size_t more_bytes)
{
    size_t wanted, capacity;

    if (buf->is_truncated || more_bytes > buf->maximum - buf->size) {
        buf->is_truncated = true;
        return false;
    }
    if (more_bytes > SIZE_MAX / 2 - buf->size)
        leat_out_of_memory(more_bytes);
    wanted = buf->size + more_bytes + 1;
    if (wanted <= buf->capacity)
        return true;
    capacity = buf->capacity < 32 ? 64 : buf->capacity * 2;
    if (capacity < wanted)
        capacity = wanted;
    buf->data = leat_realloc(buf->data, capacity, 1);
    buf->capacity = capacity;
    return true;
}

bool
leat_buf_add(struct leat_buf *buf, const void *data, size_t size)
{
    if (!leat_buf_reserve(buf, size))
        return false;
    if (size > 0)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    return true;
}

bool
leat_buf_add_slice(struct leat_buf *buf, struct leat_slice slice)
{
    return leat_buf_add(buf, slice.data, slice.size);
}

bool
leat_buf_add_text(struct leat_buf *buf, const char *text)
{
    return leat_buf_add(buf, text, strlen(text));
}

bool
leat_buf_add_byte(struct leat_buf *buf, unsigned char byte)
{
    return leat_buf_add(buf, &byte, 1);
}

bool
leat_buf_vprintf(struct leat_buf *buf, const char *format, va_list arguments)
{
    va_list again;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0 || !leat_buf_reserve(buf, (size_t)length))
        return false;
    vsnprintf((char *)buf->data + buf->size, (size_t)length + 1, format, arguments);
    buf->size += (size_t)length;
    return true;
}

bool
leat_buf_printf(struct leat_buf *buf, const char *format, ...)
{
    va_list arguments;
    bool fits;

    va_start(arguments, format);
    fits = leat_buf_vprintf(buf, format, arguments);
    va_end(arguments);
    return fits;
}

static bool
add_big_endian(struct leat_buf *buf, uint64_t value, size_t size)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> (8 * (size - 1 - i)));
    return leat_buf_add(buf, bytes, size);
}

bool
leat_buf_add_be16(struct leat_buf *buf, uint16_t value)
{
    return add_big_endian(buf, value, 2);
}

bool
leat_buf_add_be32(struct leat_buf *buf, uint32_t value)
{
    return add_big_endian(buf, value, 4);
}

bool
leat_buf_add_be64(struct leat_buf *buf, uint64_t value)
{
    return add_big_endian(buf, value, 8);
}

struct leat_slice
leat_buf_slice(const struct leat_buf *buf)
{
    return leat_slice_make(buf->data, buf->size);
}

const char *
leat_buf_text(struct leat_buf *buf)
{
    if (buf->data == NULL)
        return "";
    buf->data[buf->size] = '\0';
    return (const char *)buf->data;
}

char *
leat_buf_take(struct leat_buf *buf)
{
    char *text;

    if (buf->data == NULL)
        return leat_strdup("");
    buf->data[buf->size] = '\0';
    text = (char *)buf->data;
    leat_buf_init(buf, buf->maximum);
    return text;
}
