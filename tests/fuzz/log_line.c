/* Log lines of any bytes: one line each, of bounded length, JSON where JSON was asked for. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_one(enum leat_log_format format, const char *text, struct leat_slice shard, int fd)
{
    leat_log_setup(LEAT_LOG_DEBUG, format, fd);
    leat_log_scope(text, shard, shard);
    leat_log_event(LEAT_LOG_ERROR, "a message", "error", text, "other", text, NULL);
    leat_log_scope_clear();
    /* Repeated ones are held back: the next input is news again. */
    leat_log_flush_repeats(INT64_MAX);
}

/* 8,000 bytes of fields, each byte as \\u001f at worst, and what is leat's own. */
#define LINE_BYTES (6 * 8000 + 1000)

static void
check(struct leat_slice lines, bool is_json)
{
    while (lines.size > 0) {
        const unsigned char *feed = memchr(lines.data, '\n', lines.size);
        struct leat_slice line =
            leat_slice_make(lines.data, feed != NULL ? (size_t)(feed - lines.data) : 0);
        struct json_object *root;
        struct leat_error err;

        LEAT_ASSERT(feed != NULL && line.size <= LINE_BYTES);
        for (size_t i = 0; i < line.size; i++)
            LEAT_ASSERT(line.data[i] >= ' ' && line.data[i] != 127);
        if (is_json) {
            LEAT_ASSERT(leat_json_parse(line, &root, &err) == 0);
            json_object_put(root);
        }
        lines = leat_slice_make(feed + 1, lines.size - line.size - 1);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char *text = leat_slice_strdup(leat_slice_make(data, size));

    if (fd < 0)
        fd = memfd_create("log", MFD_CLOEXEC);
    for (int format = 0; format < 2; format++) {
        unsigned char written[65536];
        ssize_t got;

        LEAT_ASSERT(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        write_one(format == 0 ? LEAT_LOG_JSON : LEAT_LOG_TEXT, text, leat_slice_make(data, size),
                  fd);
        got = pread(fd, written, sizeof written, 0);
        LEAT_ASSERT(got >= 0);
        check(leat_slice_make(written, (size_t)got), format == 0);
    }
    free(text);
    return 0;
}
