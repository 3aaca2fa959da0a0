/* What `leat put` is given: lines of any length, and a member of a line of JSON as it is written there. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <json-c/json.h>

#include "base/json.h"
#include "base/json_member.h"
#include "base/memory.h"
/* The program's, not the library's: the file is a part of this one. */
#include "worker/lines.c"

#define MAXIMUM_BYTES 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

bool
leat_is_stopped(void)
{
    return false;
}

enum leat_waited
leat_wait(int fd, int64_t deadline_us)
{
    return LEAT_WAITED_INPUT; /* a file always can be read */
}

static void
read_line(struct leat_slice line)
{
    struct json_object *root;
    struct leat_slice member;

    if (leat_json_parse(line, &root, NULL) != 0)
        return;
    if (leat_json_member(line, "a", &member))
        LEAT_ASSERT(member.data >= line.data && member.data + member.size <= line.data + line.size);
    json_object_put(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct leat_lines lines;
    struct leat_slice line;
    struct leat_error err;
    enum leat_line what;
    size_t told = 0;

    if (fd < 0)
        fd = memfd_create("lines", MFD_CLOEXEC);
    LEAT_ASSERT(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    LEAT_ASSERT(lseek(fd, 0, SEEK_SET) == 0);
    leat_lines_init(&lines, fd, MAXIMUM_BYTES);
    while ((what = leat_lines_next(&lines, INT64_MAX, &line, &err)) != LEAT_LINE_END) {
        LEAT_ASSERT(what == LEAT_LINE_READ || what == LEAT_LINE_TOO_LONG);
        LEAT_ASSERT(++told <= size + 1);
        if (what == LEAT_LINE_READ) {
            LEAT_ASSERT(line.size <= MAXIMUM_BYTES);
            read_line(line);
        }
    }
    leat_lines_release(&lines);
    read_line(leat_slice_make(data, size));
    return 0;
}
