/* One buffer: what was told is dropped before more is read, so it holds a line and one read at most. */
#include "worker/lines.h"

#include <errno.h>
#include <unistd.h>

#include "worker/wait.h"

#define READ_BYTES ((size_t)64 << 10)

void
leat_lines_init(struct leat_lines *lines, int fd, size_t maximum_bytes)
{
    *lines = (struct leat_lines){.fd = fd, .maximum_bytes = maximum_bytes};
    leat_buf_init(&lines->buf, SIZE_MAX);
}

void
leat_lines_release(struct leat_lines *lines)
{
    leat_buf_release(&lines->buf);
}

/* What waits in the buffer. */
static struct leat_slice
rest_of(const struct leat_lines *lines)
{
    return leat_slice_make(lines->buf.data != NULL ? lines->buf.data + lines->position : NULL,
                           lines->buf.size - lines->position);
}

/* A line that is there already; at the end the last one needs no newline. */
static bool
take_line(struct leat_lines *lines, struct leat_slice *ret_line)
{
    struct leat_slice rest = rest_of(lines);
    const unsigned char *end = memchr(rest.data, '\n', rest.size);

    if (end == NULL && !(lines->is_end && rest.size > 0))
        return false;
    *ret_line = leat_slice_make(rest.data, end != NULL ? (size_t)(end - rest.data) : rest.size);
    lines->position += ret_line->size + (end != NULL ? 1 : 0);
    return true;
}

static void
drop_told(struct leat_lines *lines)
{
    struct leat_slice rest = rest_of(lines);

    if (lines->position == 0)
        return;
    memmove(lines->buf.data, rest.data, rest.size);
    lines->buf.size = rest.size;
    lines->position = 0;
}

static enum leat_line
read_more(struct leat_lines *lines, int64_t deadline_us, struct leat_error *err)
{
    enum leat_waited waited = leat_wait(lines->fd, deadline_us);
    ssize_t got;

    if (waited == LEAT_WAITED_STOP)
        return LEAT_LINE_STOP;
    if (waited == LEAT_WAITED_TIME)
        return LEAT_LINE_LATER;
    drop_told(lines);
    leat_buf_reserve(&lines->buf, READ_BYTES);
    do
        got = read(lines->fd, lines->buf.data + lines->buf.size, READ_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        leat_error_set(err, LEAT_E_SYSTEM, "could not read the input: %s", strerror(errno));
        return LEAT_LINE_ERROR;
    }
    lines->buf.size += (size_t)got;
    lines->is_end = got == 0;
    return LEAT_LINE_READ;
}

enum leat_line
leat_lines_next(struct leat_lines *lines, int64_t deadline_us, struct leat_slice *ret_line,
                struct leat_error *err)
{
    for (;;) {
        struct leat_slice line;
        enum leat_line more;

        if (take_line(lines, &line)) {
            bool was_skipping = lines->is_skipping;

            lines->is_skipping = false;
            if (was_skipping)
                continue;
            lines->number++;
            if (line.size > lines->maximum_bytes)
                return LEAT_LINE_TOO_LONG;
            *ret_line = line;
            return LEAT_LINE_READ;
        }
        if (lines->is_end)
            return LEAT_LINE_END;
        if (lines->is_skipping) {
            lines->position = lines->buf.size;
        } else if (rest_of(lines).size > lines->maximum_bytes) {
            lines->is_skipping = true;
            lines->position = lines->buf.size;
            lines->number++;
            return LEAT_LINE_TOO_LONG;
        }
        more = read_more(lines, deadline_us, err);
        if (more != LEAT_LINE_READ)
            return more;
    }
}
